//! The package (`.apk`), v2 or v3, behind one interface: [`open`] tells them apart by how they begin.
//!
//! v2 is gzip members with the signature, the control files (`.PKGINFO`, scripts) and the data, and nothing after
//! (apk-tools `doc/apk-v2.5`). v3 is a database and blocks of data ([`crate::adb`]).
//!
//! The chain of trust: the index's signature, its `C:` (of v2, the digest of the compressed control member; of v3,
//! that of the database), then of v2 the control member's `datahash` (the digest of the compressed data member), of
//! v3 the digest of each file in the database.

mod admit;
mod data;
mod info;
pub mod member;
mod read;
mod script;
pub mod write;

pub use admit::FileKind;
pub use data::{Data, File};
pub use info::PackageInfo;
pub use read::{Opened, open, open_signed, verify};
pub use script::ScriptKind;

use crate::adb::AdbError;
use crate::record::Checksum;
use crate::signature::SignatureError;
use crate::tar::TarError;

/// A package that is none, or is not the one it should be.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The archive is damaged.
    #[error("the package is damaged: {0}")]
    Tar(#[from] TarError),
    /// A v3 package is damaged, or has what it must not.
    #[error("the package is damaged: {0}")]
    Adb(#[from] AdbError),
    /// The signature is missing, by nobody trusted, or wrong.
    #[error("the package cannot be trusted: {0}")]
    Signature(#[from] SignatureError),
    /// The control member or database is not the one that the index names.
    #[error("not the package that the index describes: expected checksum {expected}, found {found}")]
    Checksum {
        /// What the index says.
        expected: Checksum,
        /// What the control member has.
        found: Checksum,
    },
    /// The data member is not the one that the control member names.
    #[error("checksum mismatch: .PKGINFO lists SHA-256 {expected} for the data, found {found}")]
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
    #[error("over {} files, more than any package has", admit::MAX_FILES)]
    TooManyFiles,
    /// Files far larger than their compressed form can be.
    #[error(
        "its files are far larger than a package of its size can make them: refused, since it may be a decompression bomb"
    )]
    TooLarge,
    /// A file's content is not what its checksum says.
    #[error("{path:?}: checksum mismatch: the content is not what the package lists")]
    FileChecksum {
        /// The file.
        path: String,
    },
    /// The data of a v3 package are not in the order of its files.
    #[error("{path:?}: the data are not in the order or of the size that the package lists")]
    Misplaced {
        /// The file.
        path: String,
    },
}

impl From<std::io::Error> for PackageError {
    fn from(e: std::io::Error) -> Self {
        Self::Tar(e.into())
    }
}
