//! Building twice, in different places, and comparing: does the image depend on anything but its inputs?
//!
//! The second build has a store of its own with nothing in it but the locked packages, so every script runs anew; it
//! works on a copy of the system directory elsewhere, whose files have other times; and it happens later. All of that
//! lies among the first store's temporary files, which are swept after a kill. Only unpacked layers are the first
//! store's own: they are known by their digest, and an ordinary user could not remove them by hand.
//!
//! Stacks are
//! compared layer by layer, since the lowest layer that differs is the one at fault: what lies above may differ for
//! its sake alone.

mod cause;
mod difference;

use std::path::{Path, PathBuf};
use std::{fs, io};

use hoopy_lock::LockError;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::{Store, StoreError};
use tempfile::TempDir;

use crate::stack::UNREAD;
use crate::target::Target;

pub use cause::Cause;
pub use difference::{Difference, compare, compare_images};

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// A file could not be copied or read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock could not be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
}

/// Another place to build in. It is gone when this is dropped.
#[derive(Debug)]
pub struct SecondPlace {
    /// The system, in its copy of the directory.
    pub target: Target,
    /// The directory of a store that has the locked packages and nothing else.
    pub store: PathBuf,
    _dir: TempDir,
}

impl SecondPlace {
    /// A place for what `target` is built from: in `store`, or below `temp` where that cannot be written to. The
    /// system has a lock, and `store` has what that names.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn new(target: &Target, store: &Store, temp: &Path) -> Result<Self, ReproduceError> {
        let io = |path: &Path| io_at(path.to_owned());
        let dir = match store.workspace() {
            Err(StoreError::ReadOnly { .. }) => {
                tempfile::Builder::new().prefix("hoopy-check-").tempdir_in(temp).map_err(io(temp))?
            }
            made => made?,
        };
        // Longer than the first place's, so that a path that found its way into the image changes its size, too.
        let copy = dir.path().join("another-place").join("system");
        copy_tree(&target.system.dir, &copy, &UNREAD)?;
        let other = Self { target: target.moved_to(&copy)?, store: dir.path().join("store"), _dir: dir };
        let seeded = Store::open(&other.store)?;
        for package in other.target.lock.content.iter().flat_map(|lock| &lock.packages) {
            let (from, to) = (store.blob_path(package.sha256), seeded.blob_path(package.sha256));
            fs::copy(&from, &to).map_err(io(&from))?;
        }
        Ok(other)
    }
}

fn io_at(path: PathBuf) -> impl FnOnce(io::Error) -> ReproduceError {
    move |source| ReproduceError::Io { path, source }
}

/// Copies files, directories and links with their modes, and not with their times; `without` at the top.
fn copy_tree(from: &Path, to: &Path, without: &[&str]) -> Result<(), ReproduceError> {
    fs::create_dir_all(to).map_err(io_at(to.to_owned()))?;
    for entry in fs::read_dir(from).map_err(io_at(from.to_owned()))? {
        let entry = entry.map_err(io_at(from.to_owned()))?;
        let (path, name) = (entry.path(), entry.file_name());
        if without.iter().any(|hidden| name == *hidden) {
            continue;
        }
        let (io, copy) = (|| io_at(path.clone()), to.join(&name));
        let kind = entry.file_type().map_err(io())?;
        if kind.is_dir() {
            copy_tree(&path, &copy, &[])?;
            let mode = fs::metadata(&path).map_err(io())?.permissions();
            fs::set_permissions(&copy, mode).map_err(io())?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(io())?;
            std::os::unix::fs::symlink(target, &copy).map_err(io())?;
        } else if kind.is_file() {
            fs::copy(&path, &copy).map_err(io())?;
        }
    }
    Ok(())
}
