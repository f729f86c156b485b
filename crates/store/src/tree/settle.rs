//! Settling a layer on the stack below it: what a package or `root/` leaves open is decided by what is there.
//!
//! - Owners by name become numbers, as the `passwd` and `group` of the stack below have them.
//! - A path below a symbolic link goes where the link leads: `var/run/x` is `run/x`.
//! - Directories that a path needs are added, as they are below, or root's, 0755, where nobody has them.
//! - Directories that are there already keep their owner and mode, where the layer's own say nothing
//!   ([`Directories::Keep`], since git cannot record a directory's mode) or count less ([`Directories::Except`]).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Tree, links};
use crate::layer::{Entry, EntryPath, Kind, Owner};

/// Whose owner and mode a directory has that is in the layer and below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directories<'a> {
    /// The layer's, but of these what was there: it is a package.
    Except(&'a HashSet<EntryPath>),
    /// What was there: it is `root/`. But these have modes of their own.
    Keep(&'a BTreeMap<EntryPath, u32>),
}

/// No directory has a mode of its own.
pub static NO_MODES: BTreeMap<EntryPath, u32> = BTreeMap::new();

impl Directories<'_> {
    fn keeps(self, path: &EntryPath) -> bool {
        match self {
            Self::Except(kept) => kept.contains(path),
            Self::Keep(_) => true,
        }
    }

    /// The mode that a path has whatever was there.
    fn mode(self, path: &EntryPath) -> Option<u32> {
        match self {
            Self::Except(_) => None,
            Self::Keep(modes) => modes.get(path).copied(),
        }
    }
}

/// A path of a layer leads nowhere in the stack below.
#[derive(Debug, thiserror::Error)]
#[error("/{path}: its directory is reached over a symbolic link that leads to nothing or in a circle")]
pub struct LostPath {
    /// The path.
    pub path: EntryPath,
}

/// The entries as they are once settled.
///
/// # Errors
/// [`LostPath`].
pub fn settle(
    entries: &[Entry],
    below: &Tree,
    accounts: &Accounts,
    directories: Directories<'_>,
) -> Result<Vec<Entry>, LostPath> {
    let mut settled: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut own: BTreeSet<EntryPath> = BTreeSet::new();
    let mut walk = below.walk();
    for entry in entries {
        let lost = || LostPath { path: entry.path.clone() };
        let mut path = walk.through_links(&entry.path).ok_or_else(lost)?;
        if entry.is_dir() && directories.keeps(&entry.path) && below.follow(&path).is_none() {
            path = place_of_directory(path, below).ok_or_else(lost)?;
        }
        if let (Kind::Dir { .. }, Some(there)) = (&entry.kind, below.follow(&path))
            && there.is_dir()
            && (directories.keeps(&entry.path) || !below.get(&path).is_some_and(Entry::is_dir))
        {
            // There already, or reached over a link, which stays.
            let mut there = there.clone();
            there.mode = directories.mode(&entry.path).unwrap_or(there.mode);
            add_parents(&there.path, below, &mut own, &mut settled);
            if own.insert(there.path.clone()) {
                settled.push(there);
            }
            continue;
        }
        add_parents(&path, below, &mut own, &mut settled);
        if entry.is_dir() && own.contains(&path) {
            continue;
        }
        own.insert(path.clone());
        let kind = match &entry.kind {
            Kind::Hardlink(first) => {
                Kind::Hardlink(below.through_links(first).unwrap_or_else(|| first.clone()))
            }
            kind => kind.clone(),
        };
        let mut new = Entry {
            path,
            kind,
            user: Owner::id(accounts.uid(&entry.user)),
            group: Owner::id(accounts.gid(&entry.group)),
            ..entry.clone()
        };
        if let (Directories::Keep(_), Some(there)) = (directories, below.get(&new.path)) {
            stay_strict(&mut new, there);
            new.mode = directories.mode(&entry.path).unwrap_or(new.mode);
        }
        settled.push(new);
    }
    Ok(settled)
}

/// Where a directory comes to lie that is a link below, to a place where nothing is yet: there.
fn place_of_directory(mut path: EntryPath, below: &Tree) -> Option<EntryPath> {
    for _ in 0..links::MAX_LINKS {
        let Some(Kind::Symlink(target)) = below.get(&path).map(|entry| &entry.kind) else {
            return Some(path);
        };
        path = below.through_links(&links::join(&path, target)?)?;
    }
    None
}

/// A file in place of one that fewer may read or write is for no more than those: git has no mode for `/etc/shadow`, and
/// no owner. Who may execute it, the new one says.
fn stay_strict(new: &mut Entry, there: &Entry) {
    let files =
        matches!((&new.kind, &there.kind), (Kind::File { .. }, Kind::File { .. } | Kind::Hardlink(_)));
    let opened = new.mode & OTHERS & !there.mode;
    if files && opened != 0 {
        new.mode &= !opened;
        (new.user, new.group) = (there.user.clone(), there.group.clone());
    }
}

/// What group and others may read and write.
const OTHERS: u32 = 0o066;

/// A layer stands on its own: unpacked for scripts, it needs every directory above what it has. One that is below
/// already comes with the owner and mode it has there.
fn add_parents(path: &EntryPath, below: &Tree, own: &mut BTreeSet<EntryPath>, settled: &mut Vec<Entry>) {
    let mut missing = Vec::new();
    let mut above = path.parent();
    while let Some(dir) = above.filter(|dir| !own.contains(dir)) {
        above = dir.parent();
        missing.push(dir);
    }
    for dir in missing.into_iter().rev() {
        let there = below.get(&dir).filter(|e| e.is_dir()).cloned();
        settled.push(there.unwrap_or_else(|| Entry::new(dir.clone(), Kind::Dir { opaque: false }, 0o755)));
        own.insert(dir);
    }
}

/// The users and groups of a stack, by name.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: Vec<(String, u32)>,
    groups: Vec<(String, u32)>,
}

impl Accounts {
    /// Out of the texts of `etc/passwd` and `etc/group`.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: numbers(passwd), groups: numbers(group) }
    }

    /// The number of a user. A name that nobody has leaves the number that the package has, as apk does.
    pub fn uid(&self, owner: &Owner) -> u32 {
        look_up(&self.users, owner)
    }

    /// The same of a group.
    pub fn gid(&self, owner: &Owner) -> u32 {
        look_up(&self.groups, owner)
    }
}

fn look_up(accounts: &[(String, u32)], owner: &Owner) -> u32 {
    let named = owner.name.as_ref().and_then(|name| accounts.iter().find(|(n, _)| n == name));
    named.map_or(owner.id, |(_, id)| *id)
}

/// Both files have the name first and the number third.
fn numbers(text: &[u8]) -> Vec<(String, u32)> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?))
    };
    String::from_utf8_lossy(text).lines().filter_map(account).collect()
}
