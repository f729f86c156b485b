//! A FAT filesystem as Linux changes it where it is mounted `sync`: in single writes of a sector, each of which may be the
//! last.
//!
//! The order is that of Linux 6.x. A new file: its name, then for each cluster the table, the name's first cluster, the data,
//! the size (`fat_add_cluster`, `fat_write_end`). Removing: the name, then the table (`vfat_unlink`, `fat_free_clusters`). A
//! rename over a file: the name turns to the new clusters, the old name goes, the old clusters are freed (`vfat_rename`).

use std::collections::BTreeMap;

/// Bytes of a cluster. Small, so that small files have several.
const CLUSTER: usize = 64;

/// The end of a chain.
const END: usize = usize::MAX;

/// The power is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    start: Option<usize>,
    size: usize,
}

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// For each cluster, the number of the next one in its file; `None` for a free cluster.
    table: Vec<Option<usize>>,
    clusters: Vec<[u8; CLUSTER]>,
    names: BTreeMap<String, Entry>,
    /// Linux goes on from the last cluster that it gave out.
    hint: usize,
    /// How many writes are left.
    pub fuse: Option<usize>,
    /// Freed what was free: Linux makes the filesystem read-only then.
    pub is_damaged: bool,
}

impl Disk {
    pub fn new(clusters: usize) -> Self {
        Self {
            table: vec![None; clusters],
            clusters: vec![[0; CLUSTER]; clusters],
            names: BTreeMap::new(),
            hint: 0,
            fuse: None,
            is_damaged: false,
        }
    }

    /// One write.
    fn burn(&mut self) -> Result<(), Cut> {
        match &mut self.fuse {
            Some(0) => Err(Cut),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn allocate(&mut self) -> Result<usize, Cut> {
        let count = self.table.len();
        let free = (0..count).map(|n| (self.hint + n) % count).find(|at| self.table[*at].is_none());
        let at = free.expect("the card is full");
        self.burn()?;
        self.table[at] = Some(END);
        self.hint = at + 1;
        Ok(at)
    }

    fn chain(&self, entry: Entry) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut at = entry.start;
        while let Some(cluster) = at.filter(|at| *at != END && chain.len() <= self.table.len()) {
            chain.push(cluster);
            at = self.table[cluster];
        }
        chain
    }

    fn free(&mut self, entry: Entry) -> Result<(), Cut> {
        let mut at = entry.start;
        while let Some(cluster) = at.filter(|at| *at != END) {
            at = self.table[cluster];
            if at.is_none() {
                self.is_damaged = true;
                return Ok(());
            }
            self.burn()?;
            self.table[cluster] = None;
        }
        Ok(())
    }

    /// `cat >PATH`: what was there is cut to nothing first.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Cut> {
        let old = self.names.get(path).copied();
        self.burn()?;
        self.names.insert(path.to_owned(), Entry::default());
        self.free(old.unwrap_or_default())?;
        let mut last = None;
        for chunk in bytes.chunks(CLUSTER) {
            let at = self.allocate()?;
            self.burn()?;
            match last {
                Some(last) => {
                    let last: usize = last;
                    self.table[last] = Some(at);
                }
                None => self.names.get_mut(path).unwrap().start = Some(at),
            }
            // A cut tears the sector that is being written.
            if let Err(cut) = self.burn() {
                self.clusters[at] = [0xa5; CLUSTER];
                return Err(cut);
            }
            self.clusters[at][..chunk.len()].copy_from_slice(chunk);
            self.burn()?;
            self.names.get_mut(path).unwrap().size += chunk.len();
            last = Some(at);
        }
        Ok(())
    }

    /// `dd conv=notrunc` of bytes that are there already: in place. A cut tears the sector that is being written.
    pub fn overwrite(&mut self, path: &str, from: usize, bytes: &[u8]) -> Result<(), Cut> {
        let chain = self.chain(self.names[path]);
        for (n, chunk) in bytes.chunks(CLUSTER).enumerate() {
            let at = chain[from / CLUSTER + n];
            if let Err(cut) = self.burn() {
                self.clusters[at] = [0xa5; CLUSTER];
                return Err(cut);
            }
            self.clusters[at][..chunk.len()].copy_from_slice(chunk);
        }
        Ok(())
    }

    /// `rm -f PATH`.
    pub fn remove(&mut self, path: &str) -> Result<(), Cut> {
        let Some(entry) = self.names.get(path).copied() else { return Ok(()) };
        self.burn()?;
        self.names.remove(path);
        self.free(entry)
    }

    /// `mv -f FROM TO`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Cut> {
        let entry = self.names[from];
        let over = self.names.get(to).copied();
        self.burn()?;
        self.names.insert(to.to_owned(), entry);
        self.burn()?;
        self.names.remove(from);
        self.free(over.unwrap_or_default())
    }

    /// The bytes of a file.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let entry = *self.names.get(path)?;
        let chain = self.chain(entry);
        let mut bytes: Vec<u8> = chain.iter().flat_map(|at| self.clusters[*at]).collect();
        // A chain that is too short is read as far as it goes.
        bytes.truncate(entry.size);
        Some(bytes)
    }

    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn paths(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub fn listing(&self) -> String {
        let line = |(path, entry): (&String, &Entry)| format!("{path} {entry:?}\n");
        self.names.iter().map(line).collect()
    }
}
