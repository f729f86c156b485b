//! A layer in the store: its entries, and where the contents of its files are.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use hoopy_base::digest::{ContentId, LayerId};
use sha2::{Digest as _, Sha256};

use super::{Entry, EntryPath, Kind};
use crate::{Seal, Store, StoreError, at};

/// How much of a data file is read at a time.
const BUFFER: usize = 128 << 10;

/// Where the contents of a layer's files are: in the data file of the layer that it was made from, since a
/// package settled on a stack has the package's own contents.
#[derive(Debug, Clone)]
struct Contents {
    data: LayerId,
    /// Where each entry's content begins in the data file.
    offsets: Arc<[u64]>,
    /// The data file as it was when every digest in it was right.
    seal: Option<Arc<Seal>>,
}

/// A layer: its id, its entries, and where their contents are.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The digest of its entries.
    pub id: LayerId,
    /// What it holds; the first name of a hard link stands before the others.
    pub entries: Arc<[Entry]>,
    contents: Contents,
}

/// The contents of a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadLayerError {
    /// The store or whoever takes the contents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file's content is not what the layer says. The data file was removed, so that the next build makes it
    /// again.
    #[error(
        "layer {layer}: the store's content of {path} is damaged; it was removed, and another build makes it again"
    )]
    Damaged {
        /// The layer whose data file it was.
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
    /// The layer `id` with contents of its own: its data file has them end to end, in the order of `entries`.
    pub fn whole(id: LayerId, entries: Vec<Entry>) -> Self {
        let starts = entries.iter().scan(0, |end, e| {
            *end += e.size();
            Some(*end - e.size())
        });
        let offsets = starts.collect();
        Self { id, entries: entries.into(), contents: Contents { data: id, offsets, seal: None } }
    }

    /// The same, and its contents need not be digested again while `seal` holds.
    #[must_use]
    pub fn sealed(mut self, seal: Seal) -> Self {
        self.contents.seal = Some(Arc::new(seal));
        self
    }

    /// The layer `id` with `entries`, whose regular files are those of `self` that `kept` says, in its order.
    pub fn settled(&self, id: LayerId, entries: Vec<Entry>, kept: &[bool]) -> Self {
        let is_file = |e: &Entry| matches!(e.kind, Kind::File { .. });
        let own = self.entries.iter().zip(self.contents.offsets.iter()).filter(|(e, _)| is_file(e));
        let mut starts = own.zip(kept).filter(|(_, kept)| **kept).map(|((_, start), _)| *start);
        let offsets = entries.iter().map(|e| if is_file(e) { starts.next().unwrap_or(0) } else { 0 });
        let contents = Contents { offsets: offsets.collect(), ..self.contents.clone() };
        Self { id, entries: entries.into(), contents }
    }

    /// What the layer has at `path`. Every entry is looked at: their order is that of the package or script that brought
    /// them, and of hard links, never that of the paths.
    pub fn entry(&self, path: &EntryPath) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == *path)
    }

    /// The unpacked size: regular files in whole pages, as the kernel's tmpfs counts them.
    pub fn unpacked_size(&self) -> u64 {
        self.entries.iter().map(|e| e.size().next_multiple_of(4096)).sum()
    }

    /// The size of the data file of a layer with these entries.
    pub fn data_size(entries: &[Entry]) -> u64 {
        entries.iter().map(Entry::size).sum()
    }

    /// Gives every entry in order, with content, to `visit`. What it reads is checked against the entry's digest,
    /// unless the layer is sealed; what it leaves unread is passed over.
    ///
    /// # Errors
    /// [`ReadLayerError`].
    pub fn stream(&self, store: &Store, visit: &mut Visit<'_>) -> Result<(), ReadLayerError> {
        let path = store.data_path(self.contents.data);
        let (file, vouched) = self.open(store)?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let mut position = 0;
        for (entry, &start) in self.entries.iter().zip(self.contents.offsets.iter()) {
            let Kind::File { size, content: expected } = entry.kind else {
                visit(entry, &mut io::empty())?;
                continue;
            };
            let distance = start as i64 - position as i64;
            file.seek_relative(distance).map_err(at(&path))?;
            let hash = (!vouched).then(Sha256::new);
            let mut content = Checked { inner: (&mut file).take(size), hash };
            visit(entry, &mut content)?;
            let left = content.inner.limit();
            position = start + size - left;
            if left < size || size == 0 {
                self.check(content, expected, entry, store)?;
                position = start + size;
            }
        }
        Ok(())
    }

    /// The content of the regular file `path`, or `None` where the layer has no such file.
    ///
    /// # Errors
    /// [`ReadLayerError`].
    pub fn read_file(&self, store: &Store, path: &EntryPath) -> Result<Option<Vec<u8>>, ReadLayerError> {
        let found = self.entries.iter().position(|e| e.path == *path && matches!(e.kind, Kind::File { .. }));
        let Some(index) = found else { return Ok(None) };
        let (entry, start) = (&self.entries[index], self.contents.offsets[index]);
        let data = store.data_path(self.contents.data);
        let (mut file, vouched) = self.open(store)?;
        file.seek(SeekFrom::Start(start)).map_err(at(&data))?;
        // A kernel is read at once: growing would move its megabytes.
        let there = file.metadata().map_err(at(&data))?.len().saturating_sub(start);
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size().min(there)).unwrap_or(0));
        file.take(entry.size()).read_to_end(&mut bytes).map_err(at(&data))?;
        let whole = bytes.len() as u64 == entry.size();
        let good = |content| if vouched { whole } else { ContentId::of(&bytes) == content };
        match entry.kind {
            Kind::File { content, .. } if good(content) => Ok(Some(bytes)),
            _ => Err(self.damaged(entry, store)),
        }
    }

    /// The file that has the contents, where they need not be digested again.
    pub fn vouched(&self, store: &Store) -> Option<PathBuf> {
        let (_, vouched) = self.open(store).ok()?;
        vouched.then(|| store.data_path(self.contents.data))
    }

    /// Every entry in order, with where its content begins in that file.
    pub fn places(&self) -> impl Iterator<Item = (&Entry, u64)> {
        self.entries.iter().zip(self.contents.offsets.iter().copied())
    }

    /// The data file, and whether its seal holds.
    fn open(&self, store: &Store) -> Result<(File, bool), StoreError> {
        let path = store.data_path(self.contents.data);
        let file = File::open(&path).map_err(at(&path))?;
        let vouched = self.contents.seal.as_ref().is_some_and(|seal| store.is_sealed(&file, seal));
        Ok((file, vouched))
    }

    /// Reads what is left of `content` and compares.
    fn check<R: Read>(
        &self,
        mut content: Checked<io::Take<R>>,
        expected: ContentId,
        entry: &Entry,
        store: &Store,
    ) -> Result<(), ReadLayerError> {
        io::copy(&mut content, &mut io::sink())?;
        let whole = content.inner.limit() == 0;
        let found = content.hash.map(|hash| ContentId::from_bytes(hash.finalize().into()));
        let good = found.is_none_or(|found| found == expected);
        if whole && good { Ok(()) } else { Err(self.damaged(entry, store)) }
    }

    fn damaged(&self, entry: &Entry, store: &Store) -> ReadLayerError {
        store.drop_damaged(&store.data_path(self.contents.data));
        ReadLayerError::Damaged { layer: self.contents.data, path: entry.path.clone() }
    }
}

/// Digests what is read, unless somebody vouches for it.
struct Checked<R> {
    inner: R,
    hash: Option<Sha256>,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.iter_mut().for_each(|hash| hash.update(&buffer[..n]));
        Ok(n)
    }
}
