//! The v2 package (`.apk`): gzip members with the signature, the control files (`.PKGINFO`, scripts) and the
//! data, and nothing after (apk-tools `doc/apk-v2.5`).
//!
//! The chain of trust: the index's signature, its `C:` (the digest of the compressed control member), the
//! control member's `datahash` (the digest of the compressed data member).

mod data;
mod info;
mod read;
mod script;
pub mod write;

pub use data::{Data, File, FileKind};
pub use info::PackageInfo;
pub use read::{Opened, open, verify};
pub use script::ScriptKind;

use crate::record::Checksum;
use crate::signature::SignatureError;
use crate::tar::TarError;

/// A package that is none, or is not the one it should be.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The archive is damaged.
    #[error("the package is damaged: {0}")]
    Tar(#[from] TarError),
    /// The signature is missing, by nobody trusted, or wrong.
    #[error("the package cannot be trusted: {0}")]
    Signature(#[from] SignatureError),
    /// The control member is not the one that the index names.
    #[error("not the package that the index describes: expected checksum {expected}, found {found}")]
    Checksum {
        /// What the index says.
        expected: Checksum,
        /// What the control member has.
        found: Checksum,
    },
    /// The data member is not the one that the control member names.
    #[error("the package's data is not what its .PKGINFO says: expected SHA-256 {expected}, found {found}")]
    DataHash {
        /// What `.PKGINFO` says.
        expected: String,
        /// What the data has.
        found: String,
    },
    /// There is no `.PKGINFO`, or a line of it is wrong.
    #[error(".PKGINFO: {0}")]
    Info(String),
    /// The control member is larger than one can be.
    #[error("the control member inflates to more than {} bytes", read::MAX_CONTROL)]
    ControlTooLarge,
    /// Something stands behind the data.
    #[error("the package goes on after its data, which no package does")]
    Trailing,
    /// A path that leaves the root, or that no filesystem holds.
    #[error("{path:?}: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More files than a package has.
    #[error("over {} files, more than any package has", data::MAX_FILES)]
    TooManyFiles,
    /// Files far larger than their compressed form can be.
    #[error("its files hold far more bytes than a package of its size can: refused, it may be a bomb")]
    TooLarge,
    /// A file's content is not what its checksum says.
    #[error("{path:?}: its content has not the SHA-1 that the package says")]
    FileChecksum {
        /// The file.
        path: String,
    },
}

impl From<std::io::Error> for PackageError {
    fn from(e: std::io::Error) -> Self {
        Self::Tar(e.into())
    }
}
