//! Whose mode and owner a directory has that several packages have, as apk decides it: the directory belongs to the
//! package of the highest `replaces_priority`; among packages of one origin to the one that is called like the origin;
//! else to the one whose name is first. The package installed last is not better than the others: `/root` would lose its
//! 0700 to whichever package comes after alpine-baselayout.
//!
//! A directory that a script made before the first package that has it came stays as the script made it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hoopy_apk::Record;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{Entry, EntryPath};
use hoopy_store::tree::Tree;
use hoopy_store::tree::settle::Accounts;

/// The owners of the directories of the packages so far.
#[derive(Default)]
pub(super) struct DirectoryOwners(HashMap<EntryPath, Owned>);

struct Owned {
    package: Arc<Package>,
    /// What its owner says of it: mode, user and group.
    access: (u32, u32, u32),
    /// It was there before its first package.
    found: bool,
}

impl DirectoryOwners {
    /// Takes the directories of `package`, about to be laid over `below`. Gives those that stay as they are there.
    /// `unclaimed` are directories below that no script and no package made.
    pub fn claim(
        &mut self,
        package: &Arc<Package>,
        below: &Tree,
        accounts: &Accounts,
        unclaimed: &dyn Fn(&EntryPath) -> bool,
    ) -> HashSet<EntryPath> {
        let dirs = package.layer.entries.iter().filter(|e| e.is_dir());
        let stays = |dir: &&Entry| !self.takes(dir, package, below, accounts, unclaimed);
        dirs.filter(stays).map(|dir| dir.path.clone()).collect()
    }

    /// Whether `dir` gets the mode and owner that `package` says.
    fn takes(
        &mut self,
        dir: &Entry,
        package: &Arc<Package>,
        below: &Tree,
        accounts: &Accounts,
        unclaimed: &dyn Fn(&EntryPath) -> bool,
    ) -> bool {
        let access = (dir.mode, accounts.uid(&dir.user), accounts.gid(&dir.group));
        if let Some(owned) = self.0.get_mut(&dir.path) {
            if !is_better(&package.record, &owned.package.record) {
                return false;
            }
            // One that says the same changes nothing, whatever the directory has become.
            let changes = owned.access != access && !owned.found;
            (owned.package, owned.access) = (package.clone(), access);
            return changes;
        }
        let found = below.follow(&dir.path).is_some_and(Entry::is_dir) && !unclaimed(&dir.path);
        self.0.insert(dir.path.clone(), Owned { package: package.clone(), access, found });
        !found
    }
}

/// Whether a directory of both belongs to `new`, installed later than its owner so far.
fn is_better(new: &Record, owner: &Record) -> bool {
    if new.replaces_priority != owner.replaces_priority {
        return new.replaces_priority > owner.replaces_priority;
    }
    let is_main = |record: &Record| record.name == record.origin;
    if new.origin == owner.origin && is_main(new) != is_main(owner) {
        return is_main(new);
    }
    new.name < owner.name
}
