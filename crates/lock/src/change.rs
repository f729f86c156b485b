//! What differs between two locks: packages up, down, in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hoopy_apk::Version;
use hoopy_base::size::show;

use super::file::{Lock, LockedPackage};

/// What happened to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Not there before.
    In(LockedPackage),
    /// Not there any more.
    Out(LockedPackage),
    /// A newer version: old, new.
    Up(LockedPackage, LockedPackage),
    /// An older version: old, new.
    Down(LockedPackage, LockedPackage),
    /// The same version with other bytes: old, new.
    Rebuilt(LockedPackage, LockedPackage),
}

/// The changes from `old` to `new`, sorted by name.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let by_key = |lock: &Lock| -> BTreeMap<_, _> {
        lock.packages.iter().map(|p| ((p.role, p.name.clone()), p.clone())).collect()
    };
    let (mut old, new) = (by_key(old), by_key(new));
    let mut all = Vec::new();
    for (key, after) in new {
        match old.remove(&key) {
            None => all.push((key, Change::In(after))),
            Some(before) => all.extend(compare(before, after).map(|c| (key, c))),
        }
    }
    all.extend(old.into_iter().map(|(key, gone)| (key, Change::Out(gone))));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter().map(|(_, change)| change).collect()
}

fn compare(old: LockedPackage, new: LockedPackage) -> Option<Change> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match Version::new(&old.version).cmp(&Version::new(&new.version)) {
        Less => Some(Change::Up(old, new)),
        Greater => Some(Change::Down(old, new)),
        Equal if old.sha256 != new.sha256 => Some(Change::Rebuilt(old, new)),
        Equal => None,
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(p) => write!(f, "in       {} {} ({})", p.name, p.version, show(p.size)),
            Self::Out(p) => write!(f, "out      {} {} ({})", p.name, p.version, show(p.size)),
            Self::Up(a, b) => moved(f, "up", a, b),
            Self::Down(a, b) => moved(f, "down", a, b),
            Self::Rebuilt(a, b) => moved(f, "rebuilt", a, b),
        }
    }
}

/// What happened to the image of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// Registry, name and tag.
    pub name: String,
    /// Its digest before; none where it is new.
    pub old: Option<String>,
    /// Its digest now; none where nothing names it any more.
    pub new: Option<String>,
}

/// The images that differ from `old` to `new`, sorted by name.
pub fn image_changes(old: &Lock, new: &Lock) -> Vec<ImageChange> {
    let digests = |lock: &Lock| -> BTreeMap<String, String> {
        lock.images.iter().map(|image| (image.name.clone(), format!("sha256:{}", image.sha256))).collect()
    };
    let (old, new) = (digests(old), digests(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| ImageChange {
        name: name.clone(),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    };
    names.into_iter().map(change).filter(|change| change.old != change.new).collect()
}

impl fmt::Display for ImageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "image    {} {old} -> {new}", self.name),
            (None, Some(new)) => write!(f, "image    {} {new}", self.name),
            (_, None) => write!(f, "image    {} out", self.name),
        }
    }
}

fn moved(f: &mut fmt::Formatter<'_>, how: &str, a: &LockedPackage, b: &LockedPackage) -> fmt::Result {
    write!(f, "{how:8} {} {} -> {} ({} -> {})", a.name, a.version, b.version, show(a.size), show(b.size))
}
