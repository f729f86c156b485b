//! Packages that cannot be laid over each other, and two with the same file: who wins, as apk decides.

use std::collections::HashSet;

use hoopy_apk::Record;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Origin, Stack, StackError};

/// Two packages do not fit into one root.
#[derive(Debug, thiserror::Error)]
pub enum Conflict {
    /// Both have the same file, and neither says that it replaces the other's.
    #[error(
        "/{path} is in both {first} and {second}, and neither replaces the other: leave one of them out of `packages`"
    )]
    File {
        /// The file.
        path: EntryPath,
        /// The package that is installed first.
        first: String,
        /// The one installed later.
        second: String,
    },
    /// One has a directory where the other has something else.
    #[error("/{path} is a directory in {directory}, but not in {other}: leave one of them out of `packages`")]
    Kind {
        /// The path.
        path: EntryPath,
        /// Whose it is a directory of.
        directory: String,
        /// Whose it is something else of.
        other: String,
    },
    /// A hard link to a file that its package gives up to another.
    #[error(
        "{package}: /{path} is a hard link to /{first}, which another package replaces: leave one of them out of \
         `packages`"
    )]
    Link {
        /// Whose link.
        package: String,
        /// The link.
        path: EntryPath,
        /// The file.
        first: EntryPath,
    },
}

impl Conflict {
    /// The file `path` is in both.
    pub fn both(path: &EntryPath, first: &Package, second: &Package) -> Self {
        Self::File { path: path.clone(), first: label(first), second: label(second) }
    }
}

fn label(package: &Package) -> String {
    format!("{}-{}", package.record.name, package.record.version)
}

/// Refuses a directory over what is none, and the reverse: all below it would be lost, and apk fails there too. A
/// directory over a link goes where the link leads.
pub fn check_kinds(entry: &Entry, there: &Entry, package: &Package, stack: &Stack) -> Result<(), Conflict> {
    let leads_to_directory = || stack.tree.follow(&there.path).is_some_and(Entry::is_dir);
    let owner = || stack.package_with(&entry.path, &there.path);
    let is_link = matches!(there.kind, Kind::Symlink(_));
    let clash = match (entry.is_dir(), there.is_dir()) {
        (true, true) | (false, false) => false,
        (true, false) => !(is_link && leads_to_directory()),
        // What is protected goes beside it.
        (false, true) => !super::protect::is_protected(&entry.path) || owner().is_some(),
    };
    if !clash {
        return Ok(());
    }
    let found = owner().map_or_else(|| "what is there already".to_owned(), |p| label(p));
    let (directory, other) = if entry.is_dir() { (label(package), found) } else { (found, label(package)) };
    Err(Conflict::Kind { path: entry.path.clone(), directory, other })
}

/// Refuses a hard link to a file that `package` yields: there would be nothing that it is another name of. apk fails
/// there too.
pub fn check_links(package: &Package, yielded: &HashSet<EntryPath>) -> Result<(), Conflict> {
    let broken = |entry: &Entry| match &entry.kind {
        Kind::Hardlink(first) if yielded.contains(first) => {
            Some(Conflict::Link { package: label(package), path: entry.path.clone(), first: first.clone() })
        }
        _ => None,
    };
    package.layer.entries.iter().find_map(broken).map_or(Ok(()), Err)
}

/// Refuses what is no directory in the place of one that has something in it: a link `bin` over `/bin` would take
/// `/bin/sh` away.
///
/// And the reverse: a directory in the place of a file. Over a link it goes where the link leads, unless that is a file.
pub fn check_covers(layer: &Layer, origin: &Origin, stack: &Stack) -> Result<(), StackError> {
    let mut walk = stack.tree.walk();
    for entry in layer.entries.iter().filter(|e| e.is_dir()) {
        let there = walk.through_links(&entry.path).and_then(|path| stack.tree.follow(&path));
        let Some(there) = there.filter(|there| !there.is_dir()) else { continue };
        return Err(StackError::CoversFile {
            origin: origin.label(),
            path: entry.path.clone(),
            whose: whose(&there.path, stack),
        });
    }
    for entry in layer.entries.iter().filter(|e| !e.is_dir() && e.kind != Kind::Whiteout) {
        let Some(path) = walk.through_links(&entry.path) else { continue };
        let lost =
            stack.tree.get(&path).filter(|there| there.is_dir()).and_then(|_| stack.tree.below(&path).next());
        let Some((lost, _)) = lost else { continue };
        return Err(StackError::Covers {
            origin: origin.label(),
            path: entry.path.clone(),
            lost: lost.clone(),
            whose: whose(lost, stack),
        });
    }
    Ok(())
}

fn whose(path: &EntryPath, stack: &Stack) -> String {
    let origin = stack.tree.at(path).and_then(|at| stack.origins.get(at.layer));
    origin.map_or_else(String::new, Origin::label)
}

/// Whose file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    /// That of the package installed first.
    First,
    /// That of the one installed later.
    Second,
    /// Nobody says.
    Neither,
}

/// Who wins a file that `first` has and `second`, installed later, has too. Packages of one origin replace each
/// other's files without saying so.
pub fn winner(first: &Record, second: &Record) -> Winner {
    if first.name == second.name {
        return Winner::Second;
    }
    let priority = |a: &Record, b: &Record| {
        let replaces = a.replaces.iter().any(|d| d.name == b.name && d.satisfied_by(Some(&b.version)));
        replaces.then_some(a.replaces_priority)
    };
    match (priority(first, second), priority(second, first)) {
        (Some(a), b) if b.is_none_or(|b| a > b) => Winner::First,
        (_, Some(_)) => Winner::Second,
        _ if first.origin == second.origin && !first.origin.is_empty() => Winner::Second,
        _ => Winner::Neither,
    }
}
