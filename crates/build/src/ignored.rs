//! Files that `.gitignore` names below `root/` and that are not there: secrets that each machine's owner brings by hand. A
//! clone has none of them, and an image without its host keys builds, boots and lets nobody in.
//!
//! A pattern without a wildcard that says where its file is names that very file (gitignore(5)); one with a wildcard names
//! whatever there may be. One without a directory, above `root/`, means a file there where something in `root/` says in which
//! directory: see `places`.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::input::{Kind, read_text};
use hoopy_store::layer::files::MAX_DEPTH;

use crate::check::litter;
use crate::config::System;
use crate::git;

mod places;

/// A file that `.gitignore` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFile {
    /// The file, from the system directory: `root/etc/ssh/ssh_host_ed25519_key`.
    pub path: PathBuf,
    /// The `.gitignore` that names it.
    pub named_by: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for MissingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.path.display(), self.named_by.display(), self.line)
    }
}

/// What is missing of what `system` needs, but for what its `optional` names and what lies encrypted in `secrets/`.
pub fn missing(system: &System) -> Vec<MissingFile> {
    missing_of(named(system), system)
}

/// The same, of what [`named`] found.
pub fn missing_of(mut named: Vec<MissingFile>, system: &System) -> Vec<MissingFile> {
    let is_optional = |file: &MissingFile| {
        let inside = file.path.strip_prefix("root").unwrap_or(&file.path);
        system.optional.iter().any(|path| inside.starts_with(path.as_path()))
    };
    let is_there = |file: &MissingFile| std::fs::symlink_metadata(system.path("").join(&file.path)).is_ok();
    let is_secret = |file: &MissingFile| {
        let inside = file.path.strip_prefix("root").unwrap_or(&file.path);
        system.has_secret(inside.display())
    };
    named.retain(|file: &MissingFile| !is_optional(file) && !is_there(file) && !is_secret(file));
    named
}

/// What `.gitignore` names below the `root/` of `system`.
pub fn named(system: &System) -> Vec<MissingFile> {
    let Ok(dir) = system.dir.canonicalize() else { return Vec::new() };
    let top = git::top(&dir).unwrap_or_else(|| dir.clone());
    let mut named = Vec::new();
    let above = dir.ancestors().take_while(|above| above.starts_with(&top)).map(Path::to_owned);
    let mut places: Vec<PathBuf> = above.collect();
    places.reverse();
    below(&dir.join("root"), 0, &mut places);
    let mut places_of = places::Places::new(&dir);
    for place in &places {
        patterns(place, &dir, &mut places_of, &mut named);
    }
    named
}

/// The directories of `root/` that have a `.gitignore` of their own.
fn below(dir: &Path, depth: usize, places: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    if depth > MAX_DEPTH {
        return;
    }
    let mut dirs = Vec::new();
    for entry in entries.flatten() {
        if entry.file_name() == ".gitignore" {
            places.push(dir.to_owned());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    dirs.iter().for_each(|dir| below(dir, depth + 1, places));
}

/// Adds to `named` what the `.gitignore` in `place` names, or takes out what it has an exception for.
fn patterns(place: &Path, dir: &Path, places: &mut places::Places<'_>, named: &mut Vec<MissingFile>) {
    let file = place.join(".gitignore");
    let Ok(text) = read_text(&file, Kind::Text) else { return };
    for (number, line) in (1..).zip(text.lines()) {
        let line = trimmed(line);
        let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |p| (true, p));
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        let literal = literal(pattern);
        let path = literal.as_deref().and_then(|pattern| place_of(pattern, place, dir));
        let name = literal.as_deref().and_then(|pattern| name_of(pattern, place, dir));
        if negated {
            named.retain(|file| {
                let is_named = name.is_some_and(|name| file.path.file_name() == Some(name.as_ref()));
                !is_named && path.as_ref().is_none_or(|path| !file.path.starts_with(path))
            });
            continue;
        }
        let anywhere = name.map(|name| places.of(name)).unwrap_or_default();
        for path in path.into_iter().chain(anywhere) {
            if !named.iter().any(|file| file.path == path) {
                let named_by = file.strip_prefix(dir).map_or_else(|_| file.clone(), Path::to_owned);
                named.push(MissingFile { path, named_by, line: number });
            }
        }
    }
}

/// A line without the spaces at its end, but for one that is quoted (gitignore(5)).
fn trimmed(line: &str) -> &str {
    let short = line.trim_end();
    let quotes = short.chars().rev().take_while(|c| *c == '\\').count();
    let quoted =
        if quotes % 2 == 1 { line.get(short.len()..).and_then(|rest| rest.chars().next()) } else { None };
    line.get(..short.len() + quoted.map_or(0, char::len_utf8)).unwrap_or(short)
}

/// What a pattern without a wildcard names, without its quoting: `/root/a\ ` is a name that ends in a space.
fn literal(pattern: &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return None,
            '\\' => name.push(chars.next()?),
            c => name.push(c),
        }
    }
    Some(name)
}

/// The name that a pattern above `root/` ignores in every directory; `None` where it says in which, or is no one name.
fn name_of<'p>(pattern: &'p str, place: &Path, dir: &Path) -> Option<&'p str> {
    let is_name = !pattern.contains('/') && !litter::is_litter(pattern.as_bytes());
    (is_name && !place.starts_with(dir.join("root"))).then_some(pattern)
}

/// Where the file of a pattern is, from the system directory; `None` where it names no one file below `root/`.
fn place_of(pattern: &str, place: &Path, dir: &Path) -> Option<PathBuf> {
    let plain = pattern.trim_end_matches('/');
    // Without a directory it is any file of the name; one in `root/` itself still means what lies beside it.
    let anchored = plain.trim_start_matches('/');
    let path = place.join(anchored);
    let inside = path.strip_prefix(dir).ok()?;
    let below_root = inside.strip_prefix("root").ok().filter(|inside| !inside.as_os_str().is_empty())?;
    if !plain.contains('/') && !place.starts_with(dir.join("root")) {
        return None;
    }
    let name = below_root.file_name()?.as_bytes();
    (!litter::is_litter(name)).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_patterns_name_one_file_and_wildcards_none() {
        for (line, name) in [
            ("/root/etc/x", Some("/root/etc/x")),
            ("/root/etc/x  ", Some("/root/etc/x")),
            ("/root/ends\\ in\\ \\ ", Some("/root/ends in  ")),
            ("/root/a\\[b\\]\\*\\?\\\\", Some("/root/a[b]*?\\")),
            ("/root/*.key", None),
            ("/root/a?", None),
            ("/root/a\\", None),
        ] {
            assert_eq!(literal(trimmed(line)).as_deref(), name, "{line:?}");
        }
    }
}
