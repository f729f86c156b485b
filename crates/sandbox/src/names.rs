//! How much memory the names take of what a script changed: its paths, the targets of its links and its attributes, all of
//! which are held at once, on both ends of the pipe and wherever a layer is made of them.
//!
//! A script's own limits do not bound that: the names lie on the disk when it has ended.

use std::io;

use hoopy_store::layer::{Entry, Kind, Xattrs};

/// Most paths that a script may change: more than any image has.
const MAX_ENTRIES: usize = 1 << 20;

/// Most bytes of names: those of a million paths of 256 bytes.
const MAX_NAMES: usize = 256 << 20;

/// What an attribute takes beside its bytes, whatever their number: two allocations and its place in the tree.
const ATTRIBUTE: usize = 64;

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Names {
    paths: usize,
    bytes: usize,
}

impl Names {
    /// Counts one more path that a script changed.
    ///
    /// # Errors
    /// Where there are too many: the message says how many there may be.
    pub fn path(&mut self, path: &[u8]) -> io::Result<()> {
        self.paths = self.paths.saturating_add(1);
        if self.paths > MAX_ENTRIES {
            return Err(io::Error::other(format!(
                "more than {MAX_ENTRIES} paths: expected at most {MAX_ENTRIES}"
            )));
        }
        self.more(path.len())
    }

    /// Counts all of an entry that came.
    ///
    /// # Errors
    /// As [`Names::path`], and where names take too much memory.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.path(entry.path.as_bytes())?;
        self.target(&entry.kind)?;
        self.attributes(&entry.xattrs)
    }

    /// Counts what a link names.
    pub(super) fn target(&mut self, kind: &Kind) -> io::Result<()> {
        match kind {
            Kind::Symlink(target) => self.more(target.len()),
            Kind::Hardlink(first) => self.more(first.as_bytes().len()),
            _ => Ok(()),
        }
    }

    /// Counts attributes.
    pub(super) fn attributes(&mut self, attributes: &Xattrs) -> io::Result<()> {
        attributes.iter().try_for_each(|(name, value)| {
            self.more(ATTRIBUTE.saturating_add(name.len()).saturating_add(value.len()))
        })
    }

    /// Counts so many bytes more.
    pub(super) fn more(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= MAX_NAMES {
            return Ok(());
        }
        let most = MAX_NAMES >> 20;
        Err(io::Error::other(format!(
            "paths and attributes take more than {most} MiB: expected at most {most} MiB"
        )))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_store::layer::EntryPath;

    use super::*;

    fn link(target: usize, attributes: usize) -> Entry {
        let path = EntryPath::new("a".repeat(200)).unwrap();
        let mut entry = Entry::new(path, Kind::Symlink(vec![b'x'; target]), 0o777);
        entry.xattrs.extend((0..attributes).map(|n| (n.to_le_bytes().to_vec(), Vec::new())));
        entry
    }

    /// How many of these are taken.
    fn taken(entry: &Entry) -> (usize, String) {
        let mut names = Names::default();
        let mut errors = (0..).map(|n| (n, names.entry(entry)));
        let (n, error) = errors.find(|(_, result)| result.is_err()).unwrap();
        (n, error.unwrap_err().to_string())
    }

    #[test]
    fn paths_targets_and_attributes_are_bounded_together() {
        let words = "paths and attributes take more than 256 MiB: expected at most 256 MiB";
        assert_eq!(taken(&link(3896, 0)), ((256 << 20) / 4096, words.into()));
        assert_eq!(taken(&link(0, 200)), ((256 << 20) / (200 + 200 * 72), words.into()));
        let paths = "more than 1048576 paths: expected at most 1048576";
        assert_eq!(taken(&link(3, 0)), (MAX_ENTRIES, paths.into()));
    }
}
