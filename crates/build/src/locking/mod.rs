//! The lock: from what `packages` asks for to the exact packages, and back out of `hoopy.lock`.

mod indexes;
mod listed;
mod make;
mod nearest;
mod older;
mod pins;
mod refused;

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_boot::layout::Layout;
use hoopy_lock::{Lock, LockError, LockedPackage, Role};
use hoopy_store::layer::package::PackageFile;

use crate::config::System;

pub use indexes::{MAX_INDEX, Mirrored, indexes};
pub use make::{MakeError, choose, make, package_location};
pub use older::Older;
pub use pins::Keep;
pub use refused::Refused;

/// The lock and `packages` do not say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Asked for in `packages`, not in the lock.
    pub added: Vec<String>,
    /// In the lock, not asked for any more.
    pub removed: Vec<String>,
    /// The branch in the lock and the one in `hoopy.toml`, where they differ.
    pub branch: Option<(String, String)>,
    /// The layout asks for a boot loader, and none is locked.
    pub loader: bool,
}

impl Drift {
    /// What has changed since `lock` was made of `system`.
    pub fn between(lock: &Lock, system: &System) -> Self {
        let world = system.world.texts();
        let only_in = |a: &[String], b: &[String]| a.iter().filter(|t| !b.contains(t)).cloned().collect();
        Self {
            added: only_in(&world, &lock.world),
            removed: only_in(&lock.world, &world),
            branch: (lock.branch != system.branch).then(|| (lock.branch.clone(), system.branch.clone())),
            loader: system.layout == Layout::Ab && lock.with_role(Role::Loader).next().is_none(),
        }
    }

    /// Whether nothing has.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.added.iter().map(|t| format!("`{t}` is new")));
        parts.extend(self.removed.iter().map(|t| format!("`{t}` is gone")));
        parts.extend(self.branch.iter().map(|(old, new)| format!("the branch is {new}, the lock's {old}")));
        parts.extend(self.loader.then(|| "layout = \"ab\" starts images with a boot loader".to_owned()));
        f.write_str(&parts.join(", "))
    }
}

/// The file of a locked package, as the store takes it apart.
pub fn package_file(package: &LockedPackage) -> PackageFile {
    let name = format!("{}-{}", package.name, package.version);
    PackageFile { name, sha256: package.sha256, size: package.size }
}

/// The architecture to build for and the lock that goes with it.
///
/// `hoopy.lock` is for the directory's own architecture: what `hoopy.toml` says, else what the lock says, else
/// this machine's. `--arch` with another one has a lock of its own beside it.
///
/// # Errors
/// [`LockError`] when the lock is there and cannot be read.
pub fn place(system: &System) -> Result<(Option<Arch>, PathBuf), LockError> {
    let own = system.path("hoopy.lock");
    let locked = Lock::read(&own)?.map(|l| l.arch);
    let home = if system.arch_overridden { locked } else { system.arch.or(locked) };
    Ok(match system.arch {
        Some(arch)
            if system.arch_overridden
                && home != Some(arch)
                && (home.is_some() || Arch::host() != Some(arch)) =>
        {
            (Some(arch), system.path(&format!("hoopy-{arch}.lock")))
        }
        asked => (asked.or(home).or_else(Arch::host), own),
    })
}

/// What images built with the lock at `path` are called: the machine's name, and the architecture where it is not
/// the directory's own, so that the two kinds stand side by side.
pub fn image_name(system: &System, arch: Arch, path: &std::path::Path) -> String {
    let own = path.file_name().is_some_and(|name| name == "hoopy.lock");
    if own { system.name.clone() } else { format!("{}-{arch}", system.name) }
}
