//! Packages that keep their version while others are updated: `hoopy update PKG`.
//!
//! A pin takes the other versions of a package out of its repository. Where the packages that move cannot do with
//! what is pinned, the pins that are in their way are given up, nearest first: those of packages that the moving
//! ones depend on, and of those that depend on a certain version of a moving one. What gave up its pin moves too.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_apk::{Dependency, Record};

use super::indexes::RepositoryIndex;
use hoopy_lock::{LockedImage, LockedPackage};

/// What is to stay, and what is to move.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep<'a> {
    /// The packages of the lock before. Each stays at its version where a repository still has it.
    pub packages: &'a [LockedPackage],
    /// The names of those among them that move.
    pub moving: &'a [String],
    /// The images of the lock before. One whose registry does not answer stays what it is.
    pub images: &'a [LockedImage],
    /// Which of them are asked for again; where this is `None`, all.
    pub moving_images: Option<&'a [String]>,
}

/// The pins, with what they took out.
#[derive(Debug)]
pub(super) struct Pins {
    /// By name: the repository's number and the record.
    held: BTreeMap<Box<str>, Vec<(usize, Record)>>,
    moving: BTreeSet<Box<str>>,
}

impl Pins {
    /// Pins all packages that are to stay.
    pub fn new(mirrored: &mut [RepositoryIndex<'_>], keep: Keep<'_>) -> Self {
        let moving: BTreeSet<Box<str>> = keep.moving.iter().map(|m| m.as_str().into()).collect();
        let stays = |p: &&LockedPackage| !moving.contains(p.name.as_str());
        let wanted: BTreeMap<&str, &str> =
            keep.packages.iter().filter(stays).map(|p| (p.name.as_str(), p.version.as_str())).collect();
        let is_it = |r: &Record| wanted.get(&*r.name).is_some_and(|v| r.version.as_str() == *v);
        let there: BTreeSet<Box<str>> = mirrored
            .iter()
            .flat_map(|m| m.index.records.iter().filter(|r| is_it(r)).map(|r| r.name.clone()))
            .collect();
        let mut held: BTreeMap<_, Vec<_>> = there.iter().map(|name| (name.clone(), Vec::new())).collect();
        for (n, m) in mirrored.iter_mut().enumerate() {
            let (out, stay) = std::mem::take(&mut m.index.records)
                .into_iter()
                .partition(|r| there.contains(&r.name) && !is_it(r));
            m.index.records = stay;
            for record in out {
                held.entry(record.name.clone()).or_default().push((n, record));
            }
        }
        Self { held, moving }
    }

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives up the pins that are in the way of what moves; whether there were any.
    pub fn release(&mut self, mirrored: &mut [RepositoryIndex<'_>]) -> bool {
        let records: Vec<&Record> = mirrored.iter().flat_map(|m| &m.index.records).collect();
        let mut released = self.certain(&records);
        if released.is_empty() {
            released = self.possible(&records);
        }
        for name in &released {
            for (n, record) in self.held.remove(name).unwrap_or_default() {
                if let Some(m) = mirrored.get_mut(n) {
                    m.index.records.push(record);
                }
            }
        }
        let any = !released.is_empty();
        self.moving.extend(released);
        any
    }

    /// Pins without which something is needed that nobody offers.
    fn certain(&self, records: &[&Record]) -> BTreeSet<Box<str>> {
        let mut released = BTreeSet::new();
        let nobody = |d: &Dependency| !d.conflict && !records.iter().any(|r| r.offers(d));
        for needed in self.moving(records).flat_map(|r| &r.depends).filter(|d| nobody(d)) {
            let has = |held: &[(usize, Record)]| held.iter().any(|(_, r)| r.offers(needed));
            released.extend(self.held.iter().filter(|(_, held)| has(held)).map(|(name, _)| name.clone()));
        }
        let offered: BTreeSet<&str> = self.moving(records).flat_map(Record::names).collect();
        let stuck = |r: &Record| r.depends.iter().any(|d| offered.contains(&*d.name) && nobody(d));
        released.extend(self.pinned(records).filter(|r| stuck(r)).map(|r| r.name.clone()));
        released
    }

    /// Pins that may have to do with it.
    fn possible(&self, records: &[&Record]) -> BTreeSet<Box<str>> {
        let needed: BTreeSet<&str> =
            self.moving(records).flat_map(|r| &r.depends).map(|d| &*d.name).collect();
        let offered: BTreeSet<&str> = self.moving(records).flat_map(Record::names).collect();
        let tied = |d: &Dependency| d.constraint.is_some() && offered.contains(&*d.name);
        let near = |r: &Record| r.names().any(|name| needed.contains(name)) || r.depends.iter().any(tied);
        self.pinned(records).filter(|r| near(r)).map(|r| r.name.clone()).collect()
    }

    fn moving<'r>(&self, records: &[&'r Record]) -> impl Iterator<Item = &'r Record> {
        records.iter().copied().filter(|r| self.moving.contains(&r.name))
    }

    fn pinned<'r>(&self, records: &[&'r Record]) -> impl Iterator<Item = &'r Record> {
        records.iter().copied().filter(|r| self.held.contains_key(&r.name))
    }
}
