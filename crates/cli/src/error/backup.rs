//! Backups.

use hoopy_backup::BackupError;

use super::ErrorKind::Failed;
use super::{Class, Classify};

/// What helps where a backup is not whole.
pub const ANOTHER: &str = "use another backup, or another copy of this one";

/// What a backup is made by.
pub const OURS: &str = "expected a file of `hoopy backup`, or of `hoopyd backup` on the machine";

impl Classify for BackupError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Write(_) | Self::Subvolume(_) => Failed.into(),
            Self::Damaged(_) => Failed.hint(ANOTHER),
            Self::NotABackup { .. } => Failed.hint(OURS),
            Self::Encrypt(error) => error.class(),
        }
    }
}
