//! Locked packages that are fetched, and those of which hoopy itself takes a file: the EFI stub, the boot loader.

use hoopy_base::jobs;
use hoopy_lock::{Lock, LockedPackage, Role};
use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, package};

use super::BuildError;
use crate::config::System;
use crate::context::Context;
use crate::fetch::{self, DOWNLOADS, Download, Progress, Proof};
use crate::image::ImageError;
use crate::locking;
use crate::locking as lock;

/// Where systemd's packages have their EFI programs.
const PLACE: &str = "usr/lib/systemd/boot/efi";

/// Fetches the locked packages that are `wanted` and not in the store.
pub(super) fn fetch(
    system: &System,
    lock: &Lock,
    wanted: &dyn Fn(&LockedPackage) -> bool,
    context: Context<'_>,
) -> Result<(), BuildError> {
    let Context { store, client, observer, .. } = context;
    let wanted = lock.packages.iter().filter(|p| wanted(p));
    let missing: Vec<&LockedPackage> = wanted.filter(|p| !store.has_blob(p.sha256, p.size)).collect();
    let progress = Progress::new(missing.iter().map(|p| p.size).sum(), observer);
    jobs::map_on(DOWNLOADS, &missing, |package| {
        let location = lock::package_location(&system.repositories, package, lock.arch)
            .ok_or_else(|| BuildError::NoRepository((*package).clone()))?;
        let download = Download { location, size: package.size, proof: Proof::Sha256(package.sha256) };
        fetch::package(&download, store, client, &progress).map_err(BuildError::Fetch)
    })?;
    Ok(())
}

/// The EFI stub, out of the locked package that brings it, and what that is called.
pub(super) fn stub(lock: &Lock, store: &Store) -> Result<(Vec<u8>, String), BuildError> {
    let name = format!("linux{}.efi.stub", lock.arch.efi_suffix());
    file(lock, Role::Stub, &name, store)?.ok_or(BuildError::NoStubLocked)
}

/// systemd-boot, out of the locked package that brings it, which is fetched where it is missing; none where none is
/// locked, as for the layout `single`.
///
/// # Errors
/// [`BuildError`].
pub fn loader(system: &System, lock: &Lock, context: Context<'_>) -> Result<Option<Vec<u8>>, BuildError> {
    fetch(system, lock, &|p| p.role == Role::Loader, context)?;
    let name = format!("systemd-boot{}.efi", lock.arch.efi_suffix());
    let loader = file(lock, Role::Loader, &name, context.store)?;
    Ok(loader.map(|(bytes, _)| bytes))
}

/// The firmware of a Raspberry Pi, out of the locked packages that bring it: the files of `boot/`, by name.
///
/// # Errors
/// [`BuildError`].
pub fn firmware(
    system: &System,
    lock: &Lock,
    context: Context<'_>,
) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    fetch(system, lock, &|p| p.role == Role::Loader, context)?;
    let mut files = Vec::new();
    for locked in lock.with_role(Role::Loader) {
        let package = package::import(&locking::package_file(locked), context.store)?;
        for entry in package.layer.entries.iter() {
            let path = entry.path.to_string();
            let Some(name) = path.strip_prefix("boot/").filter(|name| !name.contains('/')) else { continue };
            let content = package.layer.read_file(context.store, &entry.path).map_err(ImageError::from)?;
            files.extend(content.map(|bytes| (name.to_owned(), bytes)));
        }
    }
    Ok(files)
}

/// A file of the package with this role, and what that is called; none where there is no such package.
fn file(lock: &Lock, role: Role, name: &str, store: &Store) -> Result<Option<(Vec<u8>, String)>, BuildError> {
    let Some(locked) = lock.with_role(role).next() else { return Ok(None) };
    let path = format!("{PLACE}/{name}");
    let package = package::import(&locking::package_file(locked), store)?;
    let found = package.layer.read_file(store, &EntryPath::new(&path)?).map_err(ImageError::from)?;
    let found = found.ok_or_else(|| ImageError::NoEfi { package: locked.name.clone(), path })?;
    Ok(Some((found, format!("{}-{}", package.record.name, package.record.version))))
}
