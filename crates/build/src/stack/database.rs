//! The installed database, so that `apk info`, `apk audit` and `apk fix` work on the running machine: which
//! packages there are, and which of them has which file.

use std::collections::{HashMap, HashSet};

use hoopy_apk::installed::{Access, Dir, File, Installed};
use hoopy_apk::{Checksum, tar};
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::tree::settle::Accounts;

use super::{Stack, StackError, accounts};

/// What of a package is not in the root: the kernel and what is beside it go into the image's own sections.
pub fn is_boot(path: &EntryPath) -> bool {
    path.is_within(b"boot")
}

/// The layer. `lost` are the files that a package gave up to another that replaces it.
pub fn layer(
    stack: &Stack,
    lost: &HashSet<(Box<str>, EntryPath)>,
    epoch: u64,
    store: &Store,
) -> Result<Layer, StackError> {
    let mut packages: Vec<&Package> = stack.packages().map(AsRef::as_ref).collect();
    packages.sort_by(|a, b| a.record.name.cmp(&b.record.name));
    let mut builder = Builder::new(store, epoch);
    let mut text = Vec::new();
    let mut triggers = Vec::new();
    for package in &packages {
        let accounts = accounts::of(stack, &package.layer.entries, store)?;
        Installed { record: package.record.clone(), dirs: dirs(package, lost, &accounts) }.write(&mut text);
        if !package.triggers.is_empty() {
            let line = format!("{} {}\n", package.record.checksum, package.triggers.join(" "));
            triggers.extend(line.into_bytes());
        }
    }
    builder.add_bytes(&EntryPath::new("lib/apk/db/installed")?, 0o644, &text)?;
    builder.add_bytes(&EntryPath::new("lib/apk/db/triggers")?, 0o644, &triggers)?;
    builder.add_bytes(&EntryPath::new("lib/apk/db/scripts.tar.gz")?, 0o644, &scripts(&packages)?)?;
    builder.add_bytes(&EntryPath::new("lib/apk/db/lock")?, 0o600, b"")?;
    Ok(builder.finish(store)?)
}

/// Directories in the order in which the package has them, each with what the package has directly in it, by name.
fn dirs(package: &Package, lost: &HashSet<(Box<str>, EntryPath)>, accounts: &Accounts) -> Vec<Dir> {
    let mut dirs = Dirs::default();
    for entry in package.layer.entries.iter() {
        let gone = is_boot(&entry.path) || lost.contains(&(package.record.name.clone(), entry.path.clone()));
        let parent = entry.path.parent().map_or_else(Vec::new, |p| p.as_bytes().to_vec());
        match entry.is_dir() {
            true if gone => {}
            true => dirs.of(entry.path.as_bytes()).access = access(entry, accounts),
            // A directory of the package's is listed though another has all that was in it.
            false if gone && is_boot(&entry.path) => {}
            false if gone => drop(dirs.of(&parent)),
            false => dirs.of(&parent).files.push(File {
                name: entry.path.name().to_vec(),
                access: access(entry, accounts),
                checksum: checksum(package, entry),
            }),
        }
    }
    dirs.list.iter_mut().for_each(|dir| dir.files.sort_by(|a, b| a.name.cmp(&b.name)));
    dirs.list
}

/// SHA-1 of what a file or link holds; another name of a file has the file's.
fn checksum(package: &Package, entry: &Entry) -> Option<Checksum> {
    let of = |path: &EntryPath| package.checksums.get(path).copied();
    let first = if let Kind::Hardlink(first) = &entry.kind { of(first) } else { None };
    of(&entry.path).or(first)
}

/// The directories of a package so far.
#[derive(Default)]
struct Dirs {
    list: Vec<Dir>,
    places: HashMap<Vec<u8>, usize>,
}

impl Dirs {
    /// The directory at `path`: root's, 0755, until the package says otherwise.
    fn of(&mut self, path: &[u8]) -> &mut Dir {
        let place = *self.places.entry(path.to_vec()).or_insert_with(|| {
            let access = Access { uid: 0, gid: 0, mode: 0o755 };
            self.list.push(Dir { path: path.to_vec(), access, files: vec![] });
            self.list.len() - 1
        });
        &mut self.list[place]
    }
}

fn access(entry: &Entry, accounts: &Accounts) -> Access {
    let mode = if matches!(entry.kind, Kind::Symlink(_)) { 0o777 } else { entry.mode };
    Access { uid: accounts.uid(&entry.user), gid: accounts.gid(&entry.group), mode }
}

/// Every package's scripts, named `NAME-VERSION.CHECKSUM.KIND`.
fn scripts(packages: &[&Package]) -> Result<Vec<u8>, StackError> {
    let mut entries = Vec::new();
    for package in packages {
        let record = &package.record;
        for (kind, body) in &package.scripts {
            let name = format!("{}-{}.{}.{kind}", record.name, record.version, record.checksum.file_part());
            let entry = tar::Entry::file(name.as_bytes(), body.len() as u64);
            entries.push((tar::Entry { mode: 0o755, mtime: record.build_time, ..entry }, body.clone()));
        }
    }
    Ok(hoopy_apk::package::member::member(&entries, true)?)
}
