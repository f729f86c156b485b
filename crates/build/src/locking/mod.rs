//! The lock: from what `packages` asks for to the exact packages, and back out of `hoopy.lock`.

mod error;
mod indexes;
mod listed;
mod make;
mod mismatch;
mod nearest;
mod older;
mod pins;
mod refused;
mod tools;

use hoopy_lock::LockedPackage;
use hoopy_store::layer::package::PackageFile;

pub use error::MakeError;
pub use indexes::{MAX_INDEX, Mirrored, indexes};
pub use make::{choose, make, package_location};
pub use mismatch::Mismatch;
pub use older::Older;
pub use pins::Keep;
pub use refused::Refused;

/// The file of a locked package, as the store takes it apart.
pub fn package_file(package: &LockedPackage) -> PackageFile {
    let name = format!("{}-{}", package.name, package.version);
    PackageFile { name, sha256: package.sha256, size: package.size }
}
