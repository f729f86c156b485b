//! The tree of an image that was not built: the files of the locked packages and `root/` over them. What scripts
//! change is not in it.
//!
//! Only paths matter here, so packages are laid down in the lock's order: first every symbolic link, then, settled
//! on those, everything but directories. A directory that one package has and another replaces with a link (a
//! merged `/usr`) comes out right whatever the order.

use std::sync::Arc;

use hoopy_base::digest::ContentId;
use hoopy_lock::{LockedPackage, Role};
use hoopy_store::layer::entry::layer_id;
use hoopy_store::layer::package::{self, Package};
use hoopy_store::layer::{Entry, Kind, Layer};
use hoopy_store::tree::settle::{Accounts, Directories, NO_MODES, settle};

use super::CheckError;
use super::own::{self, What};
use crate::config::System;
use crate::context::Context;
use crate::locking;
use crate::locking::Mismatch;
use crate::stack::{Origin, Stack};
use crate::target::Target;

/// What can be known without building.
pub enum KnownFiles {
    /// The files of every package.
    Packages(Stack),
    /// Not even those, and why.
    Nothing(String),
}

/// The tree of the locked packages and `root/`.
pub fn stack(target: &Target, context: Context<'_>) -> Result<KnownFiles, CheckError> {
    let store = context.store;
    let (system, name) = (&target.system, target.lock.name());
    let Some(lock) = &target.lock.content else {
        return Ok(KnownFiles::Nothing(format!("there is no {name} yet (`hoopy build` makes it)")));
    };
    let mismatch = Mismatch::between(lock, system);
    if !mismatch.is_none() {
        return Ok(KnownFiles::Nothing(format!("{name} does not fit the system ({mismatch})")));
    }
    let locked: Vec<&LockedPackage> = lock.with_role(Role::Root).collect();
    let missing = locked.iter().filter(|p| !store.has_blob(p.sha256, p.size)).count();
    if missing > 0 {
        let why = format!("{missing} of {} locked packages are not downloaded", locked.len());
        return Ok(KnownFiles::Nothing(why));
    }
    let packages =
        context.jobs.map(&locked, |p| package::import(&locking::package_file(p), store).map(Arc::new))?;
    let mut stack = Stack::default();
    for package in &packages {
        lay(&mut stack, package, |e| matches!(e.kind, Kind::Symlink(_)), false)?;
    }
    for package in &packages {
        lay(&mut stack, package, |e| !e.is_dir(), true)?;
    }
    let own = Layer::whole(layer_id(&[]), own_entries(system)?);
    push(&mut stack, &own, own.entries.to_vec(), Origin::Files)?;
    Ok(KnownFiles::Packages(stack))
}

/// Lays down those entries of a package that `wanted` takes; the first pass only prepares links, and what it laid
/// down is named once more by the second.
fn lay(
    stack: &mut Stack,
    package: &Arc<Package>,
    wanted: impl Fn(&Entry) -> bool,
    settled: bool,
) -> Result<(), CheckError> {
    let entries: Vec<Entry> = package.layer.entries.iter().filter(|e| wanted(e)).cloned().collect();
    let origin = Origin::Package(package.clone());
    if settled {
        return push(stack, &package.layer, entries, origin);
    }
    stack.push(package.layer.settled(package.layer.id, entries, &[]), origin);
    Ok(())
}

/// Lays down `entries` with the contents of `layer`, all of whose regular files are among them.
fn push(stack: &mut Stack, layer: &Layer, entries: Vec<Entry>, origin: Origin) -> Result<(), CheckError> {
    let settled = settle(&entries, &stack.tree, &Accounts::default(), Directories::Keep(&NO_MODES))?;
    let kept = vec![true; entries.len()];
    stack.push(layer.settled(layer.id, settled, &kept), origin);
    Ok(())
}

/// `root/` and `programs` by path alone: their contents are read from the directory.
fn own_entries(system: &System) -> Result<Vec<Entry>, CheckError> {
    let file = || Kind::File { size: 0, content: ContentId::of(b"") };
    let mut entries: Vec<Entry> = own::in_directory(system)?
        .into_iter()
        .map(|own| {
            let kind = if let What::Link(target) = own.what { Kind::Symlink(target) } else { file() };
            Entry::new(own.path, kind, own.mode)
        })
        .collect();
    let copied = system.programs.iter().flat_map(|p| &p.copy);
    entries.extend(copied.map(|copied| Entry::new(copied.to.clone(), file(), 0o755)));
    Ok(entries)
}
