//! `hoopyd state`: puts the directories that outlive a boot over those of the image.
//!
//! ```text
//! filesystem there? ─▶ finish a restore ─▶ copy what it lacks from the image ─▶ bind each ─▶ write the outcome
//! ```
//!
//! Whatever fails is reported with the directory's name and never stops a boot. Where the state of a directory is missing,
//! an empty, read-only directory is mounted over it: a service that would start afresh there fails, and what it would have
//! lost is still on the disk.

mod bind;
mod keep;

use std::path::Path;

use hoopy_boot::secrets::State as SecretsState;
use hoopy_boot::state::{Directory, MAP, Map, OUTCOME, Outcome, VERSION};

use crate::error::AgentError;
use crate::{files, outcome};

pub use keep::Keep;

/// What the service `hoopy-state` does at boot. Failures of single directories are in the outcome.
///
/// # Errors
/// [`AgentError`] where the image has no map of state, or the outcome cannot be written.
pub fn at_boot(root: &Path) -> Result<Outcome, AgentError> {
    let map = map(root)?;
    let mut result = Outcome::default();
    match keep(root, &map) {
        Ok(keep) => all(root, &map, &keep, &mut result),
        Err(error) => {
            let reason = error.to_string();
            map.directories.iter().for_each(|directory| lost(root, directory, &reason, &mut result));
        }
    }
    files::write_json(&root.join(OUTCOME.trim_start_matches('/')), &result)?;
    Ok(result)
}

fn all(root: &Path, map: &Map, keep: &Keep, result: &mut Outcome) {
    match keep.finish_restore() {
        Ok(restored) => result.restored = restored,
        Err(error) => result.failures.push(format!("restore: {error}")),
    }
    let restore_failed = !result.failures.is_empty() && !keep.has_any();
    for directory in &map.directories {
        if restore_failed {
            // A copy from the image made now would count as the state at the next boot.
            lost(root, directory, "the backup that was to be restored could not be", result);
            continue;
        }
        let target = root.join(&directory.path);
        let bound = keep.directory(&directory.path, &target).and_then(|(place, copied)| {
            bind::bind(&place, &target)?;
            Ok(copied)
        });
        match bound {
            Ok(copied) => {
                result.bound.push(directory.path.clone());
                result.copied.extend(copied.then(|| directory.path.clone()));
            }
            Err(error) => lost(root, directory, &error.to_string(), result),
        }
    }
}

/// Records that the state of a directory is missing; unless it is optional, nothing may write to it.
fn lost(root: &Path, directory: &Directory, reason: &str, result: &mut Outcome) {
    let said = format!("/{}: {reason}", directory.path);
    if directory.optional {
        // Its service starts with an empty directory, in memory.
        let made = std::fs::create_dir_all(root.join(&directory.path));
        result.missing.push(made.err().map_or(said.clone(), |error| format!("{said}; make it: {error}")));
        return;
    }
    result.failures.push(said);
    if let Err(error) = bind::guard(&root.join(&directory.path)) {
        result.failures.push(format!("/{}: cannot be made read-only either: {error}", directory.path));
    }
}

/// Opens the filesystem that keeps the state, and mounts it first if needed.
///
/// # Errors
/// [`AgentError`].
pub fn keep(root: &Path, map: &Map) -> Result<Keep, AgentError> {
    // A directory that stands for a machine's root has no mounts of its own.
    if root == Path::new("/") {
        bind::ensure_mounted(&map.on)?;
    }
    Keep::open(&root.join(map.on.trim_start_matches('/')))
}

/// The map of state that the image brings.
///
/// # Errors
/// [`AgentError`].
pub fn map(root: &Path) -> Result<Map, AgentError> {
    let path = root.join(MAP);
    let map: Map = files::read_json(&path)?;
    if map.version != VERSION {
        let reason = format!("expected version {VERSION}, found {}", map.version);
        return Err(AgentError::Map { path, reason });
    }
    Ok(map)
}

/// The outcome that the service wrote at this boot.
///
/// # Errors
/// [`AgentError`]; also where the service did not run.
pub fn read(root: &Path) -> Result<Outcome, AgentError> {
    files::read_json(&root.join(OUTCOME.trim_start_matches('/')))
}

/// Whether state is not there because the owner has yet to unlock what keeps it.
pub fn waits_for_owner(root: &Path, result: &Outcome) -> bool {
    result.bound.is_empty()
        && !result.failures.is_empty()
        && outcome::read(root).is_ok_and(|secrets| secrets.state == SecretsState::Locked)
}

/// The outcome as text for people.
pub fn text(result: &Outcome) -> String {
    let mut lines: Vec<String> = Vec::new();
    if result.failures.is_empty() {
        lines.push(format!("state is there: {}", list(&result.bound)));
    } else {
        lines.push("not all state is there".to_owned());
        lines.extend(result.failures.iter().cloned());
    }
    lines.extend(result.missing.iter().map(|said| format!("optional, and not there: {said}")));
    if result.restored {
        lines.push("a backup was restored at this boot".to_owned());
    }
    lines.join("\n")
}

fn list(paths: &[String]) -> String {
    paths.iter().map(|path| format!("/{path}")).collect::<Vec<_>>().join(", ")
}
