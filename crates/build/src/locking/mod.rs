//! The lock: from what `packages` asks for to the exact packages, and back out of `hoopy.lock`.

mod catalogue;
mod error;
mod images;
mod indexes;
mod make;
mod mismatch;
mod moved;
mod newest;
mod older;
mod pins;
mod suggestions;
mod tools;
mod unsatisfiable;

use hoopy_lock::LockedPackage;
use hoopy_store::layer::package::PackageFile;

pub use error::MakeError;
pub use images::{Newer, newer, unread};
pub use indexes::{MAX_INDEX, RepositoryIndex, indexes, locate};
pub use make::{choose, make, package_location};
pub use mismatch::Mismatch;
pub use moved::{BranchMove, Kernel, Renamed};
pub use newest::{requested, with_branch};
pub use older::Older;
pub use pins::Keep;
pub use unsatisfiable::UnsatisfiableWorld;

/// The file of a locked package, as the store takes it apart.
pub fn package_file(package: &LockedPackage) -> PackageFile {
    let name = format!("{}-{}", package.name, package.version);
    PackageFile { name, sha256: package.sha256, size: package.size }
}
