//! Files that may be exchanged while the agent runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What changes where a file is written or exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file; none where it is not there.
    pub fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }
}
