//! What depmod would find in a directory of modules, where that does not depend on the filesystem it lies on.

use std::collections::HashMap;

use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_kmod::is_module;
use hoopy_store::layer::{BadPath, Entry, EntryPath, Kind};
use hoopy_store::tree::{At, Tree};

/// Where modules are: what the trigger passes on to depmod is what stands after it.
const MODULES: &[u8] = b"lib/modules";

/// The names that depmod does not look below.
const PASSED_OVER: [&[u8]; 2] = [b"build", b"source"];

/// The lists that it reads.
const LISTS: [&str; 3] = ["modules.order", "modules.builtin", "modules.builtin.modinfo"];

/// A directory of modules.
#[derive(Debug)]
pub struct Directory {
    /// Itself, and the directories above it before it.
    above: [EntryPath; 3],
    /// Modules by their paths, with the layer that each is in.
    pub modules: HashMap<EntryPath, usize>,
    /// `modules.order`, `modules.builtin`, `modules.builtin.modinfo`, and where they are.
    pub lists: [(EntryPath, At); 3],
    /// The digest of all that was found.
    pub recipe: RecipeId,
}

impl Directory {
    /// The directory that the trigger is called for as `absolute`; `None` where depmod would not find in it what a
    /// kernel package brings.
    pub fn of(absolute: &[u8], tree: &Tree) -> Option<Self> {
        let path = EntryPath::new(absolute).ok()?;
        let version = path.as_bytes().strip_prefix(MODULES)?.strip_prefix(b"/")?.to_vec();
        if !is_version(&version) {
            return None;
        }
        let above = [EntryPath::new("lib").ok()?, EntryPath::new(MODULES).ok()?, path];
        if !above.iter().all(|dir| tree.get(dir).is_some_and(Entry::is_dir)) {
            return None;
        }
        let [_, _, path] = &above;
        let list = |name: &str| {
            let path = within(path, name).ok()?;
            let file = tree.get(&path).is_some_and(|entry| matches!(entry.kind, Kind::File { .. }));
            let at = tree.at(&path).filter(|_| file)?;
            Some((path, at))
        };
        let [order, builtin, modinfo] = LISTS.map(list);
        let lists = [order?, builtin?, modinfo?];
        let mut hasher = Hasher::new("hoopy modules read 1");
        hasher.field(&version);
        let mut modules = HashMap::new();
        for (at, entry) in tree.below(path) {
            let name = at.as_bytes().strip_prefix(path.as_bytes())?;
            if name.split(|b| *b == b'/').any(|part| PASSED_OVER.contains(&part)) {
                continue;
            }
            if !is_usual(entry, tree) {
                return None;
            }
            if matches!(entry.kind, Kind::File { .. }) && is_module(name) {
                modules.insert(at.clone(), tree.at(at)?.layer);
            }
            // What it is, not whose or since when.
            let mut bytes = Vec::new();
            Entry::new(at.clone(), entry.kind.clone(), 0).encode(&mut bytes);
            hasher.field(&bytes);
        }
        Some(Self { above, modules, lists, recipe: RecipeId::from_bytes(hasher.finish()) })
    }

    /// The directories of modules in `tree`.
    pub fn all(tree: &Tree) -> Vec<Self> {
        let Ok(modules) = EntryPath::new(MODULES) else { return Vec::new() };
        let direct = |path: &EntryPath| path.parent().is_some_and(|parent| parent == modules);
        let dirs = tree.below(&modules).filter(|(path, entry)| entry.is_dir() && direct(path));
        dirs.filter_map(|(path, _)| Self::of(path.as_bytes(), tree)).collect()
    }

    /// Itself, and the directories above it before it.
    pub fn above(&self) -> &[EntryPath] {
        &self.above
    }

    /// Where the file `name` in it is.
    ///
    /// # Errors
    /// [`BadPath`] where the path becomes too long.
    pub fn path_of(&self, name: &str) -> Result<EntryPath, BadPath> {
        let [_, _, path] = &self.above;
        within(path, name)
    }

    /// `path` as modules are called in it.
    pub fn inside<'p>(&self, path: &'p EntryPath) -> Option<&'p [u8]> {
        let [_, _, own] = &self.above;
        path.as_bytes().strip_prefix(own.as_bytes())?.strip_prefix(b"/")
    }
}

fn within(dir: &EntryPath, name: &str) -> Result<EntryPath, BadPath> {
    EntryPath::new([dir.as_bytes(), b"/", name.as_bytes()].concat())
}

/// Whether depmod takes it for a kernel's version, and not for something else to do.
fn is_version(version: &[u8]) -> bool {
    let mut numbers = version.splitn(3, |b| !b.is_ascii_digit());
    let mut next = || numbers.next().is_some_and(|number| !number.is_empty());
    let usual = |b: &u8| b.is_ascii_alphanumeric() || b"._+-".contains(b);
    next()
        && next()
        && version.iter().find(|b| !b.is_ascii_digit()) == Some(&b'.')
        && version.iter().all(usual)
}

/// Whether depmod goes by what the entry is and nothing else: it follows links, and complains of other kinds.
fn is_usual(entry: &Entry, tree: &Tree) -> bool {
    let ours = hoopy_kmod::NAMES.iter().any(|name| name.as_bytes() == entry.path.name());
    match &entry.kind {
        Kind::Dir { .. } => !ours && !is_module(entry.path.name()),
        Kind::File { .. } => true,
        Kind::Symlink(_) => {
            let to_file = || tree.follow(&entry.path).is_some_and(|to| matches!(to.kind, Kind::File { .. }));
            !ours && !is_module(entry.path.name()) && to_file()
        }
        Kind::Hardlink(_) => {
            !ours && !is_module(entry.path.name()) && !LISTS.iter().any(|l| l.as_bytes() == entry.path.name())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depmod_takes_for_a_version_is_one() {
        assert!(is_version(b"6.18.56-0-virt") && is_version(b"6.1"));
        for other in [&b"virt"[..], b"6", b"6-1", b"-b.1", b"6.x", b"6.1/../..", b"6.1 -n", b".6.1", b""] {
            assert!(!is_version(other), "{}", other.escape_ascii());
        }
    }
}
