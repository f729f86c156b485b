//! The packages of the root, out of the store and in the order in which they are installed.

use std::sync::Arc;

use hoopy_apk::resolve::{self, Universe};
use hoopy_lock::{Lock, LockedPackage, Role};
use hoopy_store::layer::modules;
use hoopy_store::layer::package::{self, Package};

use super::BuildError;
use crate::config::System;
use crate::context::Context;
use crate::locking;

/// The packages as `system` wants them, in install order; and how many bytes of the machine's memory their modules
/// take more, being unpacked.
pub(super) fn import(
    system: &System,
    lock: &Lock,
    context: Context<'_>,
) -> Result<(Vec<Arc<Package>>, u64), BuildError> {
    let packages = as_they_are(lock, context)?;
    if !system.unpacked_modules {
        return Ok((packages, 0));
    }
    let unpacked = context.jobs.map(&packages, |package| modules::unpacked(package, context.store))?;
    let more = size(&unpacked).saturating_sub(size(&packages));
    Ok((unpacked, more))
}

fn size(packages: &[Arc<Package>]) -> u64 {
    packages.iter().map(|p| p.layer.unpacked_size()).sum()
}

/// Resolved among themselves, so that nothing else can come out.
fn as_they_are(lock: &Lock, context: Context<'_>) -> Result<Vec<Arc<Package>>, BuildError> {
    let locked: Vec<&LockedPackage> = lock.with_role(Role::Root).collect();
    let packages = context.jobs.map_largest_first(
        &locked,
        |p| p.size,
        |p| package::import(&locking::package_file(p), context.store).map(Arc::new),
    )?;
    let records: Vec<_> = packages.iter().map(|p| p.record.clone()).collect();
    let world =
        lock.world.iter().map(|text| text.parse::<hoopy_apk::Dependency>()).collect::<Result<Vec<_>, _>>();
    let world = world.map_err(|e| BuildError::Inconsistent(e.to_string()))?;
    // Tags say where a package may come from; here it is decided.
    let world: Vec<_> = world.into_iter().map(|d| hoopy_apk::Dependency { tag: None, ..d }).collect();
    let repository = resolve::Repository { records: &records, tag: None };
    let universe = Universe::new(&[repository], lock.arch.as_str());
    let universe = universe.map_err(|e| BuildError::Inconsistent(e.to_string()))?;
    let solution = resolve::solve(&universe, &world).map_err(|e| BuildError::Inconsistent(e.to_string()))?;
    let place = |name: &str| packages.iter().position(|p| &*p.record.name == name);
    let ordered: Vec<_> =
        solution.install.iter().filter_map(|c| Some(packages[place(&c.record.name)?].clone())).collect();
    if ordered.len() != packages.len() {
        let extra = packages.iter().find(|p| !ordered.iter().any(|o| o.record.name == p.record.name));
        let name = extra.map_or_else(String::new, |p| p.record.name.to_string());
        return Err(BuildError::Inconsistent(format!("no package needs {name}")));
    }
    Ok(ordered)
}
