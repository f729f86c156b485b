//! A layer in the store: its entries, and where the contents of its files are.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::sync::Arc;

use super::{Entry, EntryPath, Kind};
use crate::digest::{ContentId, LayerId};
use crate::store::{Store, StoreError, at};

/// Where the contents of a layer's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the data member of this package file.
    Package(ContentId),
    /// In the store's data file of the layer.
    Data,
}

/// A layer: its id, its entries, and where their contents are.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The digest of its entries.
    pub id: LayerId,
    /// What it holds; the first name of a hard link stands before the others.
    pub entries: Arc<[Entry]>,
    /// Where the contents are.
    pub source: Source,
}

/// The contents of a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadLayerError {
    /// The store or whoever takes the contents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The package file is not what it was when the layer was made.
    #[error("package {blob}: {source}")]
    Package {
        /// The blob.
        blob: ContentId,
        /// What is wrong with it.
        source: hoopy_apk::package::PackageError,
    },
    /// A file of the layer is not in the package, or not with that size.
    #[error("layer {layer}: {path} is not where its contents should be: run `hoopy store verify`")]
    Missing {
        /// The layer.
        layer: LayerId,
        /// The file.
        path: EntryPath,
    },
    /// Whoever took the contents failed.
    #[error("{0}")]
    Sink(#[from] io::Error),
}

/// Takes an entry and the content of a regular file, empty for others.
pub type Visit<'a> = dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()> + 'a;

impl Layer {
    /// The unpacked size: regular files in whole pages, as the kernel's tmpfs counts them.
    pub fn unpacked_size(&self) -> u64 {
        self.entries.iter().map(|e| e.size().next_multiple_of(4096)).sum()
    }

    /// Gives every entry in order, with content, to `visit`.
    ///
    /// # Errors
    /// [`ReadLayerError`].
    pub fn stream(&self, store: &Store, visit: &mut Visit<'_>) -> Result<(), ReadLayerError> {
        match self.source {
            Source::Data => self.stream_data(store, visit),
            Source::Package(blob) => self.stream_package(store, blob, visit),
        }
    }

    /// The content of the regular file `path`, or `None` where the layer has no such file.
    ///
    /// # Errors
    /// [`ReadLayerError`].
    pub fn read_file(&self, store: &Store, path: &EntryPath) -> Result<Option<Vec<u8>>, ReadLayerError> {
        let mut offset = 0;
        for entry in self.entries.iter() {
            if entry.path == *path && matches!(entry.kind, Kind::File { .. }) {
                return self.read_at(store, entry, offset).map(Some);
            }
            offset += entry.size();
        }
        Ok(None)
    }

    fn read_at(&self, store: &Store, wanted: &Entry, offset: u64) -> Result<Vec<u8>, ReadLayerError> {
        let mut bytes = Vec::new();
        if self.source == Source::Data {
            let path = store.data_path(self.id);
            let mut file = File::open(&path).map_err(at(&path))?;
            file.seek(SeekFrom::Start(offset)).map_err(at(&path))?;
            file.take(wanted.size()).read_to_end(&mut bytes).map_err(at(&path))?;
        } else {
            self.stream(store, &mut |entry, content| {
                if entry.path == wanted.path {
                    content.read_to_end(&mut bytes)?;
                }
                Ok(())
            })?;
        }
        Ok(bytes)
    }

    fn stream_data(&self, store: &Store, visit: &mut Visit<'_>) -> Result<(), ReadLayerError> {
        let path = store.data_path(self.id);
        let mut file = BufReader::with_capacity(128 << 10, File::open(&path).map_err(at(&path))?);
        for entry in self.entries.iter() {
            let mut content = (&mut file).take(entry.size());
            visit(entry, &mut content)?;
            io::copy(&mut content, &mut io::sink()).map_err(at(&path))?;
            if content.limit() > 0 {
                return Err(self.missing(entry));
            }
        }
        Ok(())
    }

    /// The entries follow the package's order, with directories in between that only the stack called for.
    fn stream_package(
        &self,
        store: &Store,
        blob: ContentId,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadLayerError> {
        let path = store.blob_path(blob);
        let bad = |source| ReadLayerError::Package { blob, source };
        let file = BufReader::with_capacity(128 << 10, File::open(&path).map_err(at(&path))?);
        let mut data = hoopy_apk::package::open(file).map_err(bad)?.data;
        let mut entries = self.entries.iter();
        let mut files = self.entries.iter().filter(|e| matches!(e.kind, Kind::File { .. })).count();
        while files > 0 {
            let Some(mut content) = data.next_file().map_err(bad)? else { break };
            if !matches!(content.entry.kind, hoopy_apk::tar::Kind::File(_)) {
                continue;
            }
            files -= self.hand_over(&mut entries, &mut content, visit)?;
        }
        for entry in entries {
            if matches!(entry.kind, Kind::File { .. }) {
                return Err(self.missing(entry));
            }
            visit(entry, &mut io::empty())?;
        }
        Ok(())
    }

    /// Gives entries up to the next regular file, and that with its content. A file of the package that the layer
    /// left out is passed over.
    fn hand_over<R: BufRead>(
        &self,
        entries: &mut std::slice::Iter<'_, Entry>,
        content: &mut hoopy_apk::package::File<'_, R>,
        visit: &mut Visit<'_>,
    ) -> Result<usize, ReadLayerError> {
        let next = entries.as_slice().iter().position(|e| matches!(e.kind, Kind::File { .. }));
        let Some(wanted) = next.map(|i| &entries.as_slice()[i]) else { return Ok(0) };
        let same_size =
            matches!(content.entry.kind, hoopy_apk::tar::Kind::File(size) if size == wanted.size());
        if !same_size
            || wanted.path.name() != content.entry.path.rsplit(|&b| b == b'/').next().unwrap_or_default()
        {
            return Ok(0);
        }
        for entry in entries.by_ref() {
            if std::ptr::eq(entry, wanted) {
                visit(entry, content)?;
                return Ok(1);
            }
            visit(entry, &mut io::empty())?;
        }
        Ok(0)
    }

    fn missing(&self, entry: &Entry) -> ReadLayerError {
        ReadLayerError::Missing { layer: self.id, path: entry.path.clone() }
    }
}
