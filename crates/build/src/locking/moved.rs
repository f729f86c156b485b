//! What a move to another branch of Alpine brings that single packages do not show: packages that go on under another
//! name, and kernels.

use std::fmt;

use hoopy_lock::{Change, Lock, LockedPackage, Role, changes};
use hoopy_store::Store;
use hoopy_store::layer::package::{self, ImportError, Package};

use super::package_file;

/// How the names of Alpine's kernels begin.
const KERNEL: &str = "linux-";

/// Where kernels have their image.
const IMAGE: &[u8] = b"boot/vmlinuz";

/// A move from one branch to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchMove {
    /// The branch of the old lock.
    pub old: String,
    /// That of the new one.
    pub new: String,
    /// Packages that are gone, and what takes their place.
    pub renamed: Vec<Renamed>,
    /// Kernels of the new lock.
    pub kernels: Vec<Kernel>,
}

/// A package that goes on under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The one that is gone.
    pub old: LockedPackage,
    /// The one that provides or replaces it.
    pub new: LockedPackage,
}

/// A kernel that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The one before, where there was one.
    pub old: Option<LockedPackage>,
    /// The one after.
    pub new: LockedPackage,
}

impl BranchMove {
    /// What the move from `old` to `new` brings; none where both are of one branch. The packages of `new` are in the store.
    ///
    /// # Errors
    /// [`ImportError`] when one of them cannot be read.
    pub fn between(old: &Lock, new: &Lock, store: &Store) -> Result<Option<Self>, ImportError> {
        if old.branch == new.branch {
            return Ok(None);
        }
        let mut moved = Self {
            old: old.branch.clone(),
            new: new.branch.clone(),
            renamed: Vec::new(),
            kernels: Vec::new(),
        };
        let changes = changes(old, new);
        let gone = || changes.iter().filter_map(|c| if let Change::Out(old) = c { Some(old) } else { None });
        for change in &changes {
            let (before, after) = match change {
                Change::In(new) => (None, new),
                Change::Up(old, new) | Change::Down(old, new) | Change::Rebuilt(old, new) => (Some(old), new),
                Change::Out(_) => continue,
            };
            if after.role != Role::Root {
                continue;
            }
            if after.name.starts_with(KERNEL) && is_kernel(&read(after, store)?) {
                let other = gone().find(|gone| gone.name.starts_with(KERNEL));
                moved.kernels.push(Kernel { old: before.or(other).cloned(), new: after.clone() });
            }
            if before.is_none() {
                let package = read(after, store)?;
                let renamed = gone().filter(|gone| takes_the_place_of(&package, &gone.name));
                moved.renamed.extend(renamed.map(|old| Renamed { old: old.clone(), new: after.clone() }));
            }
        }
        Ok(Some(moved))
    }
}

fn read(locked: &LockedPackage, store: &Store) -> Result<Package, ImportError> {
    package::import(&package_file(locked), store)
}

fn is_kernel(package: &Package) -> bool {
    package.layer.entries.iter().any(|entry| entry.path.as_bytes().starts_with(IMAGE))
}

/// A package that only replaces files of one that stays is none: that one is not gone.
fn takes_the_place_of(package: &Package, gone: &str) -> bool {
    let record = &package.record;
    record.provides.iter().chain(&record.replaces).any(|d| &*d.name == gone && !d.conflict)
}

impl fmt::Display for BranchMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "branch   {} -> {}", self.old, self.new)?;
        for Kernel { old, new } in &self.kernels {
            match old {
                None => writeln!(f, "kernel   {} {}", new.name, new.version)?,
                Some(old) if old.name == new.name => {
                    writeln!(f, "kernel   {} {} -> {}", new.name, old.version, new.version)?;
                }
                Some(old) => {
                    writeln!(f, "kernel   {} {} -> {} {}", old.name, old.version, new.name, new.version)?;
                }
            }
        }
        for Renamed { old, new } in &self.renamed {
            writeln!(f, "renamed  {} {} -> {} {}", old.name, old.version, new.name, new.version)?;
        }
        Ok(())
    }
}
