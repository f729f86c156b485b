//! Where the road begins: the directory is looked through, locked, and what the lock names is fetched.

use std::path::PathBuf;

use hoopy_base::report::{Event, Timings};
use hoopy_lock::Lock;

use super::{BuildError, packages, tool};
use crate::context::Context;
use crate::stack::Inputs;
use crate::target::Target;
use crate::working_tree::WorkingTree;
use crate::{fetch, ignored, locking as lock, programs};

/// Refuses a directory without what `.gitignore` names: its image would lack that in silence.
pub(super) fn refuse_missing(target: &Target) -> Result<(), BuildError> {
    let missing = ignored::missing(&target.system);
    if missing.is_empty() { Ok(()) } else { Err(BuildError::Missing(missing)) }
}

/// The lock: the one that is there, or a new one where there is none and `must_exist` does not say otherwise.
pub(super) fn locked(target: &Target, must_exist: bool, context: Context<'_>) -> Result<Lock, BuildError> {
    let path = &target.lock.path;
    if let Some(lock) = &target.lock.content {
        let mismatch = lock::Mismatch::between(lock, &target.system);
        return if mismatch.is_none() {
            Ok(lock.clone())
        } else {
            Err(BuildError::Mismatch { path: path.clone(), mismatch })
        };
    }
    if must_exist {
        return Err(BuildError::NoLock(path.clone()));
    }
    context.observer.event(Event::Note(&format!("no {}: creating it", path.display())));
    let lock = lock::make(target, lock::Keep::default(), context)?;
    lock.write(path)?;
    Ok(lock)
}

/// What a root is made of, fetched; and how many bytes of the machine's memory modules take more, being unpacked.
pub(super) fn inputs<'a>(
    target: &'a Target,
    lock: &'a Lock,
    tree: &'a WorkingTree,
    boots: bool,
    agents: &'a [PathBuf],
    timings: &mut Timings,
    context: Context<'_>,
) -> Result<(Inputs<'a>, u64), BuildError> {
    let (system, observer) = (&target.system, context.observer);
    timings.step("fetch", observer, || tool::fetch(system, lock, &|_| true, context))?;
    programs::build(&system.programs, observer)?;
    let imported = timings.step("import", observer, || packages::import(system, lock, context));
    let (packages, modules) = imported?;
    let (_, keys) = fetch::keyring(lock.arch, system.keys.as_deref())?;
    let arch = lock.arch;
    let (epoch, images) = (lock.epoch, &lock.images);
    Ok((Inputs { system, arch, epoch, boots, packages, keys, images, agents, tree }, modules))
}
