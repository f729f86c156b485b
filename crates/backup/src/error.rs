//! Why an archive was not made or not read.

use std::io;
use std::path::PathBuf;

/// Something is wrong with an archive, or with what it is made of.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file that is archived, or unpacked, failed.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A btrfs subvolume within a directory of the state: a snapshot does not hold what is in it.
    #[error(
        "/{0} is a btrfs subvolume, which a snapshot of the state leaves out: expected an ordinary directory; copy it into \
         one and remove it with `btrfs subvolume delete`, or keep it outside the directories of `state`"
    )]
    Subvolume(String),
    /// The archive could not be written.
    #[error("write the backup: {0}")]
    Write(io::Error),
    /// The archive ends early, or its bytes are not what was written.
    #[error("the backup is damaged or cut short: {0}")]
    Damaged(String),
    /// It could not be encrypted.
    #[error("encrypt the backup: {0}")]
    Encrypt(#[from] hoopy_secrets::cipher::EncryptError),
    /// It is an archive of something else.
    #[error("not a backup of hoopy's: expected {expected}, found {found}")]
    NotABackup {
        /// What it must have.
        expected: &'static str,
        /// What it has.
        found: String,
    },
}

impl BackupError {
    /// An error of a file.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// An error of the archive that is read.
    pub(crate) fn damaged(source: &io::Error) -> Self {
        let short = source.kind() == io::ErrorKind::UnexpectedEof;
        Self::Damaged(if short { "it ends early".to_owned() } else { source.to_string() })
    }
}
