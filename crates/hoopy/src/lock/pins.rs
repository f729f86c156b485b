//! Packages that stay where they are while others move: an update of some packages alone.
//!
//! A pin takes the other versions of a package out of its repository. Where the packages that move cannot do with
//! what is pinned, the pins that are in their way are given up, nearest first: those of packages that the moving
//! ones depend on, and of those that depend on a certain version of a moving one. What gave up its pin moves too.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_apk::Record;

use super::file::LockedPackage;
use super::make::Mirrored;

/// What is to stay, and what is to move.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep<'a> {
    /// The packages of the lock before. Each stays at its version where a repository still has it.
    pub packages: &'a [LockedPackage],
    /// The names of those among them that move.
    pub moving: &'a [String],
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
    pub fn new(mirrored: &mut [Mirrored<'_>], keep: Keep<'_>) -> Self {
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

    /// Gives up the pins nearest to what moves; whether there were any.
    pub fn release(&mut self, mirrored: &mut [Mirrored<'_>]) -> bool {
        let records = || mirrored.iter().flat_map(|m| &m.index.records);
        let moves = |r: &&Record| self.moving.contains(&r.name);
        let needed: BTreeSet<&str> =
            records().filter(moves).flat_map(|r| &r.depends).map(|d| &*d.name).collect();
        let offered: BTreeSet<&str> = records().filter(moves).flat_map(names).collect();
        let in_the_way = |r: &Record| {
            let tied = |d: &&hoopy_apk::Dependency| d.constraint.is_some() && offered.contains(&*d.name);
            names(r).any(|name| needed.contains(name)) || r.depends.iter().any(|d| tied(&d))
        };
        let released: BTreeSet<Box<str>> = records()
            .filter(|r| self.held.contains_key(&r.name) && in_the_way(r))
            .map(|r| r.name.clone())
            .collect();
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
}

/// A package's name and what else it offers.
fn names(record: &Record) -> impl Iterator<Item = &str> {
    std::iter::once(&*record.name).chain(record.provides.iter().map(|p| &*p.name))
}
