//! Seals: they tell whether a file has changed since it was digested, without reading it.
//!
//! A file that nobody wrote to keeps its inode, size and change time: the kernel sets the last, and no program can
//! set it back. What had not reached the disk at a power cut can be lost in spite of all three, so a seal holds
//! only for the boot that it was made in. A seal that does not hold means no damage: digest the file again.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

use super::Store;

/// What a file was like when it was digested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    boot: String,
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Store {
    /// The seal of `file` as it is now.
    ///
    /// # Errors
    /// What the system says.
    pub fn seal(&self, file: &File) -> io::Result<Seal> {
        let meta = file.metadata()?;
        Ok(Seal {
            boot: self.boot.clone(),
            inode: (meta.dev(), meta.ino()),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// Whether `file` is as it was when `seal` was made. Never where boots have no names.
    pub fn is_sealed(&self, file: &File, seal: &Seal) -> bool {
        !self.boot.is_empty() && self.seal(file).is_ok_and(|now| now == *seal)
    }
}

/// `/proc/sys/kernel/random/boot_id` (Documentation/admin-guide/sysctl/kernel.rst).
pub(super) fn this_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().into())
}
