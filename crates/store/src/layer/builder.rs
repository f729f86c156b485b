//! Building a layer of files that hoopy has at hand: contents go to a scratch file as they are added.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek as _};

use hoopy_base::digest::HashingWriter;
use tempfile::SpooledTempFile;

use super::stored::Layer;
use super::{Entry, EntryPath, Kind};
use crate::{Store, StoreError, at};

/// A layer being built. Directories above what is added come by themselves, 0755.
#[derive(Debug)]
pub struct Builder {
    entries: BTreeMap<EntryPath, (Entry, u64)>,
    contents: SpooledTempFile,
    written: u64,
    mtime: u64,
}

impl Builder {
    /// An empty one; all its entries have the time `mtime`.
    pub fn new(store: &Store, mtime: u64) -> Self {
        Self { entries: BTreeMap::new(), contents: store.scratch(), written: 0, mtime }
    }

    /// Adds an entry without content of its own.
    pub fn add(&mut self, path: &EntryPath, kind: Kind, mode: u32) {
        self.parents(path);
        let entry = Entry { mtime: self.mtime, ..Entry::new(path.clone(), kind, mode) };
        self.entries.insert(path.clone(), (entry, 0));
    }

    /// Adds a regular file with what `reader` gives.
    ///
    /// # Errors
    /// What `reader` or the scratch file fails with.
    pub fn add_file(&mut self, path: &EntryPath, mode: u32, reader: &mut dyn Read) -> io::Result<()> {
        let mut writer = HashingWriter::new(&mut self.contents);
        io::copy(reader, &mut writer)?;
        let (_, content, size) = writer.finish();
        self.add(path, Kind::File { size, content }, mode);
        if let Some(slot) = self.entries.get_mut(path) {
            slot.1 = self.written;
        }
        self.written += size;
        Ok(())
    }

    /// Adds a regular file, 0644 or as told, with these bytes.
    ///
    /// # Errors
    /// What the scratch file fails with.
    pub fn add_bytes(&mut self, path: &EntryPath, mode: u32, mut bytes: &[u8]) -> io::Result<()> {
        self.add_file(path, mode, &mut bytes)
    }

    /// What has been added at `path`.
    pub fn get_mut(&mut self, path: &EntryPath) -> Option<&mut Entry> {
        self.entries.get_mut(path).map(|(entry, _)| entry)
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the layer in the store.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn finish(mut self, store: &Store) -> Result<Layer, StoreError> {
        let entries: Vec<Entry> = self.entries.values().map(|(e, _)| e.clone()).collect();
        let id = store.put_layer(&entries)?;
        let path = store.data_path(id);
        if !store.has_data(id, Layer::data_size(&entries)) {
            // Added in any order, kept in the order of the entries.
            let io = |e| at(&path)(e);
            let mut ordered = store.scratch();
            for (entry, start) in self.entries.values() {
                self.contents.seek(io::SeekFrom::Start(*start)).map_err(io)?;
                io::copy(&mut (&mut self.contents).take(entry.size()), &mut ordered).map_err(io)?;
            }
            ordered.rewind().map_err(io)?;
            store.put_data(id, &mut ordered)?;
        }
        Ok(Layer::whole(id, entries))
    }

    fn parents(&mut self, path: &EntryPath) {
        let mut above = path.parent();
        while let Some(dir) = above {
            above = dir.parent();
            if self.entries.contains_key(&dir) {
                break;
            }
            let entry =
                Entry { mtime: self.mtime, ..Entry::new(dir.clone(), Kind::Dir { opaque: false }, 0o755) };
            self.entries.insert(dir, (entry, 0));
        }
    }
}
