//! Everything that can end a build.

use std::path::PathBuf;

use hoopy_lock::{LockError, LockedPackage};
use hoopy_store::StoreError;
use hoopy_store::layer::BadPath;
use hoopy_store::layer::package::ImportError;

use crate::fetch::FetchError;
use crate::ignored::MissingFile;
use crate::image::ImageError;
use crate::locking::{MakeError, Mismatch};
use crate::programs::ProgramError;
use crate::stack::StackError;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `--locked`, and there is no lock.
    #[error("{}: no lock, which --locked requires", .0.display())]
    NoLock(PathBuf),
    /// Files that `.gitignore` names, which a clone does not have.
    #[error("{}", missing(.0))]
    Missing(Vec<MissingFile>),
    /// The lock does not answer what the directory asks.
    #[error("{} does not fit the system: {mismatch}", .path.display())]
    Mismatch {
        /// The lock.
        path: PathBuf,
        /// What has changed.
        mismatch: Mismatch,
    },
    /// The lock names a repository that `hoopy.toml` does not.
    #[error("hoopy.lock: {} {} comes from repository {:?}, which hoopy.toml does not have", .0.name, .0.version, .0.repository)]
    NoRepository(LockedPackage),
    /// The lock has no EFI stub.
    #[error("hoopy.lock: no package with role \"stub\": run `hoopy update`")]
    NoStubLocked,
    /// The packages of the lock do not fit together.
    #[error("hoopy.lock: its packages do not fit together: {0}")]
    Inconsistent(String),
    /// The lock could not be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A package could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A package is damaged.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A program of the user's own did not build.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The root could not be put together.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The image could not be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A path that hoopy itself writes is not one; cannot happen short of a bug.
    #[error(transparent)]
    Path(#[from] BadPath),
}

fn missing(files: &[MissingFile]) -> String {
    let mut text = String::from("files are missing that git ignores, so that a clone does not have them:");
    for file in files {
        text += &format!("\n  {file}");
    }
    text
}
