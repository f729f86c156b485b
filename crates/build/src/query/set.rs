//! The packages of a system, each with all that its index says of it.

use std::collections::HashMap;
use std::path::PathBuf;

use hoopy_apk::{Dependency, Record};
use hoopy_base::arch::Arch;
use hoopy_base::report::Event;
use hoopy_lock::{Lock, LockedPackage, Role};

use super::QueryError;
use super::shelf::{Shelf, kept};
use crate::config::System;
use crate::context::Context;
use crate::fetch;
use crate::locking as lock;
use crate::locking::Mismatch;
use crate::target::Target;

/// One package of a system.
#[derive(Debug, Clone)]
pub struct Member {
    /// What the index says of it.
    pub record: Record,
    /// The repository it comes from.
    pub repository: String,
    /// What it is for.
    pub role: Role,
}

/// The packages of a system, sorted by role and name.
#[derive(Debug)]
pub struct Set {
    /// The lock that says so, or would.
    pub lock: PathBuf,
    /// The packages.
    pub members: Vec<Member>,
    /// What they were resolved for.
    pub world: Vec<(String, Dependency)>,
    /// What else the repositories had then.
    pub shelves: Vec<Shelf>,
}

impl Set {
    /// What `hoopy.lock` holds; where there is none, what it would hold, resolved without fetching a package.
    /// Nothing is asked of a mirror where the store has the indexes that the lock was made of.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn of(target: &Target, context: Context<'_>) -> Result<Self, QueryError> {
        let (system, path) = (&target.system, target.lock.path.clone());
        let Some(lock) = &target.lock.content else {
            let note = format!("no {}: showing what `hoopy lock` would write", path.display());
            context.observer.event(Event::Note(&note));
            let target = lock::with_branch(target.clone(), context)?;
            return Self::resolved(&target.system, target.arch, path, context);
        };
        let mismatch = Mismatch::between(lock, system);
        if !mismatch.is_none() {
            let warning = format!("{} does not fit the system: {mismatch}", path.display());
            context.observer.event(Event::Warning(&warning));
        }
        Self::locked(system, path, lock, context)
    }

    fn resolved(
        system: &System,
        arch: Arch,
        path: PathBuf,
        context: Context<'_>,
    ) -> Result<Self, QueryError> {
        let (keys, _) = fetch::keyring(arch, system.keys.as_deref())?;
        let mirrored = lock::indexes(system, arch, &keys, context)?;
        let mut members: Vec<Member> = lock::choose(system, arch, &mirrored)?
            .into_iter()
            .filter_map(|(role, choice)| {
                let repository = mirrored.get(choice.repository)?.repository.name.clone();
                Some(Member { record: choice.record.clone(), repository, role })
            })
            .collect();
        members.sort_by(|a, b| (a.role, &a.record.name).cmp(&(b.role, &b.record.name)));
        let world = system.world.0.iter().map(|a| (a.text.clone(), a.dependency.clone())).collect();
        let shelves = mirrored.into_iter().map(Shelf::from);
        Ok(Self { lock: path, members, world, shelves: shelves.collect() })
    }

    fn locked(system: &System, path: PathBuf, lock: &Lock, context: Context<'_>) -> Result<Self, QueryError> {
        let (keys, _) = fetch::keyring(lock.arch, system.keys.as_deref())?;
        let shelves = match kept(system, lock, &keys, context.store) {
            Some(shelves) => shelves,
            None => {
                context
                    .observer
                    .event(Event::Note("the indexes of the lock are not in the store: asking the mirror"));
                let mirrored = lock::indexes(system, lock.arch, &keys, context)?;
                mirrored.into_iter().map(Shelf::from).collect()
            }
        };
        let by_place: HashMap<(&str, &str, &str), &Record> = shelves
            .iter()
            .flat_map(|s| s.records.iter().map(|r| ((&*s.repository, &*r.name, r.version.as_str()), r)))
            .collect();
        let member = |p: &LockedPackage| {
            let place = (p.repository.as_str(), p.name.as_str(), p.version.as_str());
            let record = by_place.get(&place).filter(|r| r.checksum.to_string() == p.checksum);
            let record = record.ok_or_else(|| QueryError::Gone {
                lock: path.clone(),
                package: format!("{}-{}", p.name, p.version),
                repository: p.repository.clone(),
            })?;
            Ok(Member { record: (*record).clone(), repository: p.repository.clone(), role: p.role })
        };
        let members = lock.packages.iter().map(member).collect::<Result<_, QueryError>>()?;
        // A lock of an older hoopy may hold what this one cannot read; then there is nothing to follow from it.
        let world = lock.world.iter().filter_map(|text| Some((text.clone(), text.parse().ok()?))).collect();
        Ok(Self { lock: path, members, world, shelves })
    }

    /// The repository that has a package of this name, locked or not.
    pub fn holder(&self, name: &str) -> Option<String> {
        self.shelves.iter().find(|s| s.records.iter().any(|r| &*r.name == name)).map(Shelf::label)
    }
}
