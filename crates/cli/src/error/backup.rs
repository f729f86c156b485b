//! Backups.

use hoopy_backup::BackupError;

use super::ErrorKind::{Failed, System};
use super::{Class, Classify};

impl Classify for BackupError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Write(_) => Failed.into(),
            Self::Damaged(_) => Failed
                .hint("nothing was changed: use another backup, or another copy of this one")
                .and("see which are whole with `hoopy backup --verify FILE`"),
            Self::NotABackup { .. } => {
                System.hint("expected a file of `hoopy backup`, or of `hoopyd backup` on the machine")
            }
            Self::Encrypt(error) => error.class(),
        }
    }
}
