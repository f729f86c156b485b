//! `hoopy vendor`: the locked packages and indexes as a mirror beside the system, so that the same lock builds
//! the same bytes after Alpine has dropped the versions.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_base::atomic::{Pending, Readers, directory_of};

use crate::config::release_dir;
use crate::context::Context;
use crate::fetch::{self, Download, FetchError, Progress, Proof};
use crate::locking as lock;
use crate::target::Target;

/// A mirror that was written.
#[derive(Debug)]
pub struct VendorMirror {
    /// Its directory.
    pub dir: PathBuf,
    /// How many package files it has.
    pub packages: usize,
}

/// A mirror that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// There is no lock to keep packages of.
    #[error("{}: no lock, which names the packages to save", .0.display())]
    NoLock(PathBuf),
    /// A package could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The lock names a repository that `hoopy.toml` does not.
    #[error("hoopy.lock: {package} comes from repository {repository:?}, which hoopy.toml does not have")]
    NoRepository {
        /// The package.
        package: String,
        /// Its repository.
        repository: String,
    },
    /// The index that the lock was made of is neither in the store nor on the mirror any more.
    #[error(
        "{repository}: its index of the lock (SHA-256 {index}) is not in the store: run `hoopy lock` again"
    )]
    NoIndex {
        /// The repository.
        repository: String,
        /// The digest.
        index: String,
    },
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes `vendor/` in the system directory: `vBRANCH/REPOSITORY/ARCH/`, as a mirror of Alpine's has it.
///
/// # Errors
/// [`VendorError`].
pub fn vendor(target: &Target, context: Context<'_>) -> Result<VendorMirror, VendorError> {
    let Context { store, client, observer, .. } = context;
    let system = &target.system;
    let lock = target.lock.content.as_ref().ok_or_else(|| VendorError::NoLock(target.lock.path.clone()))?;
    let root = system.path("vendor");
    let dir =
        |repository: &str| root.join(release_dir(&lock.branch)).join(repository).join(lock.arch.as_str());
    for repository in &lock.repositories {
        let bytes = store.read_blob(repository.index).ok_or_else(|| VendorError::NoIndex {
            repository: repository.name.clone(),
            index: repository.index.to_string(),
        })?;
        let name = hoopy_apk::index::file_name(&bytes);
        place(&dir(&repository.name).join(name), &mut bytes.as_slice())?;
    }
    let progress = Progress::new(lock.packages.iter().map(|p| p.size).sum(), observer);
    for package in &lock.packages {
        let location = lock::package_location(&system.repositories, package, lock.arch);
        let location = location.ok_or_else(|| VendorError::NoRepository {
            package: package.name.clone(),
            repository: package.repository.clone(),
        })?;
        let download = Download { location, size: package.size, proof: Proof::Sha256(package.sha256) };
        let id = fetch::package(&download, store, client, &progress)?;
        let blob = store.blob_path(id);
        let io = |source| VendorError::Io { path: blob.clone(), source };
        let mut file = fs::File::open(&blob).map_err(io)?;
        place(&dir(&package.repository).join(package.file_name()), &mut file)?;
    }
    Ok(VendorMirror { dir: root, packages: lock.packages.len() })
}

fn place(path: &Path, bytes: &mut dyn std::io::Read) -> Result<(), VendorError> {
    let io = |source| VendorError::Io { path: path.to_owned(), source };
    let dir = directory_of(path);
    fs::create_dir_all(dir).map_err(io)?;
    let mut pending = Pending::new_in(dir).map_err(io)?;
    std::io::copy(bytes, pending.file()).map_err(io)?;
    pending.keep(path, Readers::Umask).map_err(io)
}
