//! Making a lock: indexes fetched and verified, the world resolved, every package fetched and digested.

use std::thread;

use hoopy_apk::resolve::{self, Choice, Universe};
use hoopy_base::arch::Arch;
use hoopy_base::jobs;
use hoopy_store::{Store, StoreError};

use super::catalogue::{self, IndexCatalogue};
use super::error::MakeError;
use super::images;
use super::indexes::{self, FetchedIndex, RepositoryIndex};
use super::pins::{Keep, Pins};
use super::tools::{of_root, tools};
use super::unsatisfiable::UnsatisfiableWorld;
use crate::config::{Repository, System};
use crate::context::Context;
use crate::fetch::{self, DOWNLOADS, Download, Progress, Proof};
use crate::target::Target;
use hoopy_lock::{Lock, LockedPackage, LockedRepository, Role};

/// Where the file of a locked package is.
pub fn package_location(repositories: &[Repository], package: &LockedPackage, arch: Arch) -> Option<String> {
    let repository = repositories.iter().find(|r| r.name == package.repository)?;
    Some(repository.package_place(arch, &package.file_name()))
}

/// Resolves the world of `target`, fetches what it needs, asks registries for the images of its containers, and gives the lock. What `keep` holds stays
/// at its version where a repository still has it and what moves can do with it.
///
/// # Errors
/// [`MakeError`].
pub fn make(target: &Target, keep: Keep<'_>, context: Context<'_>) -> Result<Lock, MakeError> {
    let lock = make_of_packages(target, keep, context)?;
    Ok(Lock { images: images::lock(&target.system.dir, keep, context)?, ..lock })
}

fn make_of_packages(target: &Target, keep: Keep<'_>, context: Context<'_>) -> Result<Lock, MakeError> {
    let (system, arch, store) = (&target.system, target.arch, context.store);
    let (keys, _) = fetch::keyring(arch, system.keys.as_deref())?;
    let world = system.world.dependencies();
    let fetched = FetchedIndex::all(system, arch, context.client)?;
    if keep.packages.is_empty()
        && let Some(listed) = IndexCatalogue::all(&fetched, arch, &keys, context)?
    {
        let tools = tools(system, arch)?;
        let choose = || match catalogue::choose(&listed, &world, &tools) {
            Some(chosen) => {
                let packages = fetch_all(&chosen, &listed.repositories, arch, context)?;
                Ok::<_, MakeError>(Some(lock(system, arch, &chosen, packages, listed.locked.clone())))
            }
            None => Ok(None),
        };
        let (made, kept) = thread::scope(|scope| {
            let keeping = scope.spawn(|| listed.keep(store));
            (choose(), keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        kept?;
        if let Some(lock) = made? {
            return Ok(lock);
        }
    }
    let mut mirrored = indexes::verified(&fetched, &keys, context)?;
    let mut pins = Pins::new(&mut mirrored, keep);
    while !pins.is_empty() {
        let repositories = repositories(&mirrored);
        let fits = resolve::solve(&Universe::new(&repositories, arch.as_str())?, &world).is_ok();
        if fits || !pins.release(&mut mirrored) {
            break;
        }
    }
    let chosen = choose(system, arch, &mirrored).map_err(|error| match error {
        MakeError::Unsatisfiable(refused) => refused.look_elsewhere(system, arch, context.observer).into(),
        other => other,
    })?;
    let repositories: Vec<&Repository> = mirrored.iter().map(|m| m.repository).collect();
    let packages = fetch_all(&chosen, &repositories, arch, context)?;
    Ok(lock(system, arch, &chosen, packages, mirrored.iter().map(|m| m.locked.clone()).collect()))
}

fn lock(
    system: &System,
    arch: Arch,
    chosen: &[(Role, Choice<'_>)],
    packages: Vec<LockedPackage>,
    repositories: Vec<LockedRepository>,
) -> Lock {
    let epoch = chosen.iter().map(|(_, c)| c.record.build_time).max().unwrap_or(0);
    Lock { epoch, packages, repositories, ..Lock::new(arch, &system.branch, system.world.texts()) }
}

/// Resolves the world of `system` for `arch` out of these indexes, and takes the packages of which hoopy itself
/// takes a file.
///
/// # Errors
/// [`MakeError`] when nothing fits.
pub fn choose<'m>(
    system: &System,
    arch: Arch,
    mirrored: &'m [RepositoryIndex<'_>],
) -> Result<Vec<(Role, Choice<'m>)>, MakeError> {
    let world = system.world.dependencies();
    let tools = tools(system, arch)?;
    let repositories = repositories(mirrored);
    let universe = Universe::new(&repositories, arch.as_str())?;
    let mut chosen =
        of_root(resolve::solve(&universe, &world).map_err(|why| UnsatisfiableWorld::new(system, why))?);
    for tool in &tools {
        let solution = resolve::solve(&universe, &tool.wanted).map_err(|_| (tool.missing)(arch))?;
        chosen.extend(tool.of(solution));
    }
    Ok(chosen)
}

fn repositories<'a>(mirrored: &'a [RepositoryIndex<'_>]) -> Vec<resolve::Repository<'a>> {
    let repository = |m: &'a RepositoryIndex<'_>| resolve::Repository {
        records: &m.index.records,
        tag: m.repository.tag.as_deref(),
    };
    mirrored.iter().map(repository).collect()
}

fn fetch_all(
    chosen: &[(Role, Choice<'_>)],
    repositories: &[&Repository],
    arch: Arch,
    context: Context<'_>,
) -> Result<Vec<LockedPackage>, MakeError> {
    let Context { store, client, observer, .. } = context;
    let progress = Progress::new(chosen.iter().map(|(_, c)| c.record.size).sum(), observer);
    let mut packages = jobs::map_on(DOWNLOADS, chosen, |&(role, choice)| {
        let record = choice.record;
        let from = repositories[choice.repository];
        let file = format!("{}-{}.apk", record.name, record.version);
        let download = Download {
            location: from.package_place(arch, &file),
            size: record.size,
            proof: Proof::Index(record.checksum),
        };
        let sha256 = known(store, &download)
            .map_or_else(|| fetch::package(&download, store, client, &progress), Ok)?;
        remember(store, &download, sha256)?;
        Ok::<_, MakeError>(LockedPackage {
            name: record.name.to_string(),
            version: record.version.to_string(),
            repository: from.name.clone(),
            size: record.size,
            checksum: record.checksum.to_string(),
            sha256,
            role,
        })
    })?;
    packages.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
    Ok(packages)
}

/// The digest of a package that an earlier lock fetched from the same place under the same checksum. A directory is
/// read again: its files may have been signed anew, which the checksum does not show.
fn known(store: &Store, download: &Download) -> Option<hoopy_base::digest::ContentId> {
    if !fetch::is_remote(&download.location) {
        return None;
    }
    let id = store.recall(recipe(download))?;
    store.has_blob(id, download.size).then_some(id)
}

fn remember(store: &Store, download: &Download, id: hoopy_base::digest::ContentId) -> Result<(), StoreError> {
    store.remember(recipe(download), &id)
}

fn recipe(download: &Download) -> hoopy_base::digest::RecipeId {
    let mut hasher = hoopy_base::digest::Hasher::new("hoopy package by checksum 1");
    hasher.field(download.location.as_bytes());
    if let Proof::Index(checksum) = &download.proof {
        hasher.field(checksum.to_string().as_bytes());
    }
    hoopy_base::digest::RecipeId::from_bytes(hasher.finish())
}
