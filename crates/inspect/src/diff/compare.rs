//! Compares two sides: packages, files, texts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use hoopy_apk::Version;

use super::{Became, DiffError, Difference, Entry, Fact, FileChange, Held, How, PackageChange, Side, patch};
use crate::image::root::FileType;

/// What belongs to no package, and says only which packages there are.
const DATABASES: [&[u8]; 2] = [b"lib/apk/db/", b"usr/lib/apk/db/"];

/// What [`FileChange::package`] says of those.
pub(super) const DATABASE: &str = "the package database";

/// What differs; how the lines of texts do too, with `patches`.
///
/// # Errors
/// [`DiffError`] when a side cannot be read.
pub fn compare(old: &Side, new: &Side, patches: bool) -> Result<Difference, DiffError> {
    match (old.is_directory, new.is_directory) {
        (true, false) => alike(&old.root(), new, patches),
        (false, true) => alike(old, &new.root(), patches),
        _ => alike(old, new, patches),
    }
}

fn alike(old: &Side, new: &Side, patches: bool) -> Result<Difference, DiffError> {
    let mut packages = match (&old.packages, &new.packages) {
        (Some(old), Some(new)) => of_packages(old, new),
        _ => Vec::new(),
    };
    let mut files = files(old, new)?;
    let changed: BTreeSet<String> = packages.iter().map(|change| change.name.clone()).collect();
    for change in &mut files {
        let path = change.path.as_bytes();
        let owner = new.owner(path).or_else(|| old.owner(path)).filter(|owner| changed.contains(*owner));
        let record = DATABASES.iter().any(|dir| path.starts_with(dir)) && !changed.is_empty();
        change.package = owner.or_else(|| record.then_some(DATABASE)).map(str::to_owned);
    }
    for package in &mut packages {
        package.files = files.iter().filter(|file| file.package.as_ref() == Some(&package.name)).count();
    }
    if patches {
        patch::add(old, new, &mut files)?;
    }
    Ok(Difference { facts: facts(old, new), packages, files })
}

/// Facts that both sides know, or that one kind of side knows and the other of the same kind has not.
fn facts(old: &Side, new: &Side) -> Vec<Fact> {
    let value =
        |side: &Side, what: &str| side.facts.iter().find(|(name, _)| *name == what).map(|(_, v)| v.clone());
    let mut names: Vec<&'static str> = Vec::new();
    for (name, _) in old.facts.iter().chain(&new.facts) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    // A lock and an image have nothing in common.
    let common = names.iter().any(|name| value(old, name).is_some() && value(new, name).is_some());
    let fact = |what| Fact { what, old: value(old, what), new: value(new, what) };
    let all = names.into_iter().filter(|_| common).map(fact);
    all.filter(|fact| fact.old != fact.new).collect()
}

fn of_packages(old: &BTreeMap<String, Held>, new: &BTreeMap<String, Held>) -> Vec<PackageChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (old, new) = (old.get(name), new.get(name));
        let how = match (old, new) {
            (None, _) => How::In,
            (_, None) => How::Out,
            (Some(old), Some(new)) => match Version::new(&old.version).cmp(&Version::new(&new.version)) {
                Ordering::Less => How::Up,
                Ordering::Greater => How::Down,
                Ordering::Equal => match (old.digest, new.digest) {
                    (Some(old), Some(new)) if old != new => How::Rebuilt,
                    _ => return None,
                },
            },
        };
        let version = |held: Option<&Held>| held.map(|held| held.version.clone());
        Some(PackageChange { name: name.clone(), how, old: version(old), new: version(new), files: 0 })
    };
    names.into_iter().filter_map(change).collect()
}

fn files(old: &Side, new: &Side) -> Result<Vec<FileChange>, DiffError> {
    let (Some(mut before), Some(mut after)) = (old.entries(), new.entries()) else { return Ok(Vec::new()) };
    match (old.is_root, new.is_root) {
        (true, false) => only_root(&mut before, new, &mut after),
        (false, true) => only_root(&mut after, old, &mut before),
        _ => {}
    }
    let unsure = unsure(&before, &after);
    let (one, other) = (old.digests(&unsure)?, new.digests(&unsure)?);
    let differs = |path: &Vec<u8>| one.get(path) != other.get(path);
    let unsure: BTreeSet<Vec<u8>> = unsure.into_iter().filter(differs).collect();
    let paths: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    let mut all = Vec::new();
    for path in paths {
        let (old, new) = (before.get(path), after.get(path));
        let (became, what) = match (old, new) {
            (None, Some(_)) => (Became::Added, Vec::new()),
            (Some(_), None) => (Became::Removed, Vec::new()),
            (Some(old), Some(new)) => (Became::Changed, what(old, new, unsure.contains(path))),
            (None, None) => continue,
        };
        if became == Became::Changed && what.is_empty() {
            continue;
        }
        let size = |entry: Option<&Entry>| entry.filter(|e| e.kind == FileType::File).map(|e| e.size);
        let path = String::from_utf8_lossy(path).into_owned();
        let (old_size, new_size) = (size(old), size(new));
        all.push(FileChange { path, became, what, old_size, new_size, package: None, patch: None });
    }
    Ok(all)
}

/// Leaves of an image what `root/` has or had. git keeps of modes the right to execute and no more: the others, which
/// are those of `[modes]`, are no difference.
fn only_root(root: &mut BTreeMap<Vec<u8>, Entry>, image: &Side, all: &mut BTreeMap<Vec<u8>, Entry>) {
    let own = image.of_root();
    all.retain(|path, _| root.contains_key(path) || own.contains(path));
    for (path, entry) in root.iter_mut() {
        let other = all.get(path).filter(|other| other.kind == entry.kind);
        let executable = |mode: u32| mode & 0o100;
        if let Some(other) = other.filter(|other| executable(other.mode) == executable(entry.mode)) {
            entry.mode = other.mode;
        }
    }
}

/// Files that may be the same, and must be read to know.
fn unsure(before: &BTreeMap<Vec<u8>, Entry>, after: &BTreeMap<Vec<u8>, Entry>) -> Vec<Vec<u8>> {
    let both = before.iter().filter_map(|(path, old)| Some((path, old, after.get(path)?)));
    let is_unsure = |old: &Entry, new: &Entry| {
        let files =
            old.kind == FileType::File && new.kind == FileType::File && old.size == new.size && old.size > 0;
        files
            && (old.place.is_none() || old.place != new.place)
            && (old.digest.is_none() || old.digest != new.digest)
    };
    both.filter(|(_, old, new)| is_unsure(old, new)).map(|(path, ..)| path.clone()).collect()
}

fn what(old: &Entry, new: &Entry, other_content: bool) -> Vec<String> {
    if old.kind != new.kind {
        return vec![format!("type {} -> {}", old.kind, new.kind)];
    }
    let mut all = Vec::new();
    if other_content || old.size != new.size {
        all.push("content".to_owned());
    }
    if let (Some(old), Some(new)) = (&old.text, &new.text)
        && old != new
    {
        all.push(format!("target {old} -> {new}"));
    }
    if old.mode != new.mode {
        all.push(format!("mode {:04o} -> {:04o}", old.mode, new.mode));
    }
    if let (Some(old), Some(new)) = (old.owner, new.owner)
        && old != new
    {
        all.push(format!("owner {}:{} -> {}:{}", old.0, old.1, new.0, new.1));
    }
    all
}
