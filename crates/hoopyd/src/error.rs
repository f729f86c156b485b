//! Why the agent could not do what it was asked.

use std::io;
use std::path::PathBuf;

/// Something the agent could not do.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A file failed.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The map of secrets does not parse, or is of another version.
    #[error("{}: {reason}", .path.display())]
    Map {
        /// The map.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no identity, or not one that can be used.
    #[error("cannot use the machine's identity: {0}")]
    Identity(String),
    /// A TPM did not open the identity, and what to do about it.
    #[error("{0}")]
    Locked(String),
    /// The TPM is not the one that sealed the identity.
    #[error(
        "the identity was sealed in another TPM, or this one was cleared since: hoopy secret enroll HOST seals the \
         identity again"
    )]
    OtherTpm,
    /// There is no TPM that can be used.
    #[error("no TPM 2.0: {0}")]
    NoTpm(String),
    /// The TPM, or what it was given.
    #[error(transparent)]
    Tpm(#[from] hoopy_tpm::TpmError),
    /// The firmware does not enforce what the identity would be sealed under.
    #[error("the TPM gets no identity and gives none: {0}")]
    SecureBoot(String),
    /// A volume that this image has no key for.
    #[error("volume {0:?}: this image has no key for it")]
    NoVolume(String),
    /// Some volumes were not unlocked.
    #[error("{}", .0.join("; "))]
    Volumes(Vec<String>),
    /// A filesystem that is needed is not mounted.
    #[error("{on}: not mounted: {reason}")]
    Filesystem {
        /// Its mount point.
        on: String,
        /// Why.
        reason: String,
    },
    /// A directory that has no state yet.
    #[error("/{0}: its state is missing")]
    NoState(String),
    /// The image has no settings for backups.
    #[error(
        "this image makes no backups of its own: expected `to` under [backup] in hoopy.toml, found nothing"
    )]
    NoBackup,
    /// The recipients in the image's settings cannot be used.
    #[error("cannot read the backup recipients: {0}")]
    Recipients(String),
    /// A program of `backup.d` failed.
    #[error("{} {when}: {reason}", .program.display())]
    Hook {
        /// The program.
        program: PathBuf,
        /// What it was called with.
        when: &'static str,
        /// How it failed.
        reason: String,
    },
    /// No snapshot was made of the filesystem that keeps the state, or one was not removed.
    #[error("{command}: {reason}")]
    Snapshot {
        /// The command.
        command: String,
        /// How it failed.
        reason: String,
    },
    /// An archive was not made, or is not whole.
    #[error(transparent)]
    Backup(#[from] hoopy_backup::BackupError),
    /// The secrets were not opened.
    #[error("secrets are not open: {}", .0.join("; "))]
    NotOpen(Vec<String>),
}

impl AgentError {
    /// An error of a file.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
