//! From a system directory back to an overlay, for whoever goes back to a diskless Alpine.
//!
//! The diskless init unpacks the overlay first and then installs the packages of `etc/apk/world` around it, with their
//! scripts. So the overlay holds what lies over the packages in the image: `root/`, `programs`, and what `setup.sh`
//! changed; and the accounts with their numbers, which packages' scripts find there and leave alone.

mod lbu;
mod secrets;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use hoopy_apk::tar::{self, Writer};
use hoopy_base::atomic::Readers;
use hoopy_base::destination::OutputFile;
use hoopy_build::config::System;
use hoopy_build::context::Context;
use hoopy_build::fetch::{self, FetchError};
use hoopy_build::road::{self, BuildError};
use hoopy_build::stack::{Origin, Runner, Stack};
use hoopy_build::target::Target;
use hoopy_store::Store;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::layer::{BadPath, Entry, EntryPath, Kind};

pub use world::{repositories, world};

use crate::kernel;
use crate::report::TransferReport;

/// Accounts, always: without them packages' scripts would number users anew.
const ACCOUNTS: [&str; 3] = ["etc/passwd", "etc/group", "etc/shadow"];

/// What the image has and a diskless machine must not: its own init mounts `/sys` before services start.
const NOT_DISKLESS: [&str; 2] = ["etc/runlevels/sysinit/sysfs", "etc/hoopy-release"];

/// The service that mounts the kernel modules of the boot medium, which the image has in itself.
const MODLOOP: &str = "etc/runlevels/sysinit/modloop";

/// What lbu saves without being told.
const SAVED_BY_LBU: &str = "etc";

/// An overlay that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The root could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Keys could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file of the root could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// A path that no overlay can hold; cannot happen short of a bug.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// The overlay could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What lbu calls the overlay of this system.
pub fn file_name(system: &System) -> String {
    format!("{}.apkovl.tar.gz", system.name)
}

/// One path of the overlay.
struct Item {
    entry: Entry,
    /// The content of a file.
    bytes: Vec<u8>,
}

/// Writes the overlay of `target` to `path`.
///
/// # Errors
/// [`ExportError`]; nothing half-written is left.
pub fn export(
    target: &Target,
    path: &Path,
    runner: &mut dyn Runner,
    context: Context<'_>,
) -> Result<TransferReport, ExportError> {
    let stack = road::root(target, runner, context)?;
    let mut report =
        TransferReport::of(format!("Wrote {} of {}", path.display(), target.system.dir.display()));
    let mut items = own(&stack, context.store, &mut report)?;
    settings(target, &kernel::in_stack(&stack), &mut items, &mut report)?;
    parents(&stack, &mut items);
    write(path, &items).map_err(|source| ExportError::Io { path: path.to_owned(), source })?;
    report.took("files", items.values().filter(|item| !item.entry.is_dir()).count().to_string());
    secrets::tell(&target.system, &items, &mut report);
    Ok(report)
}

/// What lies over the packages and their scripts.
fn own(
    stack: &Stack,
    store: &Store,
    report: &mut TransferReport,
) -> Result<BTreeMap<EntryPath, Item>, ExportError> {
    let is_own = |layer: usize| {
        matches!(stack.origins.get(layer), Some(Origin::Files | Origin::Programs | Origin::Setup))
    };
    let accounts: BTreeSet<EntryPath> = ACCOUNTS.iter().map(EntryPath::new).collect::<Result<_, _>>()?;
    let changed = changed_directories(stack, &is_own);
    let mut items = BTreeMap::new();
    for (path, entry, at) in stack.tree.iter() {
        let changed = entry.is_dir() && changed.contains(path);
        let own = is_own(at.layer) || changed || accounts.contains(path);
        let out = NOT_DISKLESS.iter().any(|out| path.as_bytes() == out.as_bytes());
        if !own || out || path.is_within(b"dev") || path.is_within(b"lib/apk") {
            continue;
        }
        if entry.is_dir() && !changed {
            continue;
        }
        let bytes = match entry.kind {
            Kind::File { .. } | Kind::Hardlink(_) => stack.read(path, store)?.unwrap_or_default(),
            _ => Vec::new(),
        };
        if !entry.xattrs.is_empty() {
            report.left(
                path.to_string(),
                "its extended attributes: overlays have none",
                "set them in local.d",
            );
        }
        items.insert(path.clone(), Item { entry: entry.clone(), bytes });
    }
    removed(stack, &is_own, report);
    Ok(items)
}

/// The directories that the system's own layers made, or gave another owner or mode than the layers below. The tree
/// cannot tell: it names the layer that had a directory first.
fn changed_directories<'a>(stack: &'a Stack, is_own: &dyn Fn(usize) -> bool) -> BTreeSet<&'a EntryPath> {
    let mut below = BTreeMap::new();
    let mut own = BTreeMap::new();
    for (index, layer) in stack.tree.layers().iter().enumerate() {
        for entry in layer.entries.iter().filter(|entry| entry.is_dir()) {
            if is_own(index) {
                own.insert(&entry.path, entry.access());
            } else if !own.contains_key(&entry.path) {
                below.insert(&entry.path, entry.access());
            }
        }
    }
    own.into_iter().filter(|(path, access)| below.get(path) != Some(access)).map(|(path, _)| path).collect()
}

/// Says what an overlay cannot: that a file of a package is not there.
fn removed(stack: &Stack, is_own: &dyn Fn(usize) -> bool, report: &mut TransferReport) {
    for (index, layer) in stack.tree.layers().iter().enumerate().filter(|(index, _)| is_own(*index)) {
        let gone = layer.entries.iter().filter(|entry| entry.kind == Kind::Whiteout);
        for entry in gone.filter(|entry| stack.tree.get(&entry.path).is_none()) {
            let below = stack.tree.layers().iter().take(index);
            let by_package = below.flat_map(|layer| layer.entries.iter()).any(|e| e.path == entry.path);
            if by_package {
                let why =
                    "it was removed in setup.sh, and an overlay removes nothing: the package brings it back";
                report.left(entry.path.to_string(), why, "remove it in a script of /etc/local.d");
            }
        }
    }
}

/// `etc/apk` and what a diskless boot needs besides.
fn settings(
    target: &Target,
    kernels: &BTreeSet<String>,
    items: &mut BTreeMap<EntryPath, Item>,
    report: &mut TransferReport,
) -> Result<(), ExportError> {
    let system = &target.system;
    let outside: Vec<String> = items
        .iter()
        .filter(|(path, item)| !path.is_within(SAVED_BY_LBU.as_bytes()) && !item.entry.is_dir())
        .map(|(path, _)| path.to_string())
        .collect();
    let own =
        items.get(&EntryPath::new(lbu::LIST)?).map(|item| String::from_utf8_lossy(&item.bytes).into_owned());
    let list = lbu::list(&own.unwrap_or_default(), &outside, &system.drift_ignore);
    let mut file = |path: &str, bytes: &[u8]| -> Result<(), ExportError> {
        let path = EntryPath::new(path)?;
        let kind = Kind::File { size: bytes.len() as u64, content: hoopy_base::digest::ContentId::of(bytes) };
        items.insert(path.clone(), Item { entry: Entry::new(path, kind, 0o644), bytes: bytes.to_vec() });
        Ok(())
    };
    file("etc/apk/world", world(system, kernels, report).as_bytes())?;
    file("etc/apk/repositories", repositories(system, report).as_bytes())?;
    file("etc/apk/arch", format!("{}\n", target.arch).as_bytes())?;
    if system.keys.is_some() {
        let (_, keys) = fetch::keyring(target.arch, system.keys.as_deref())?;
        for (name, pem) in keys {
            file(&format!("etc/apk/keys/{name}"), &pem)?;
        }
    }
    if !list.is_empty() {
        file(lbu::LIST, list.as_bytes())?;
    }
    let modloop = EntryPath::new(MODLOOP)?;
    let link = Kind::Symlink(b"/etc/init.d/modloop".to_vec());
    items.insert(modloop.clone(), Item { entry: Entry::new(modloop, link, 0o777), bytes: Vec::new() });
    report.took("services", "those of the image, and modloop, which mounts the kernel modules of the medium");
    Ok(())
}

/// Adds the directories above all that is there, with the modes that they have.
fn parents(stack: &Stack, items: &mut BTreeMap<EntryPath, Item>) {
    let mut missing = BTreeSet::new();
    for path in items.keys() {
        let mut above = path.parent();
        while let Some(dir) = above {
            above = dir.parent();
            if !items.contains_key(&dir) {
                missing.insert(dir);
            }
        }
    }
    for dir in missing {
        let there = stack.tree.get(&dir).filter(|entry| entry.is_dir()).cloned();
        let entry = there.unwrap_or_else(|| Entry::new(dir.clone(), Kind::Dir { opaque: false }, 0o755));
        items.insert(dir, Item { entry, bytes: Vec::new() });
    }
}

/// Writes the archive. Equal systems give equal bytes: gzip's header has neither name nor time.
fn write(path: &Path, items: &BTreeMap<EntryPath, Item>) -> io::Result<()> {
    let mut output = OutputFile::new(path)?;
    let gzip = GzBuilder::new().mtime(0).write(output.file(), Compression::best());
    let mut archive = Writer::new(gzip);
    for (path, item) in items {
        archive.entry(&header(path, item))?;
        archive.write_all(&item.bytes)?;
    }
    archive.finish(true)?.finish()?.flush()?;
    // It holds the machine's configuration, its keys and passwords among it
    output.finish(Readers::Owner)
}

fn header(path: &EntryPath, item: &Item) -> tar::Entry {
    let kind = match item.entry.kind.to_tar() {
        // Other names of a file are files of their own here.
        Some(tar::Kind::File(_) | tar::Kind::Hardlink(_)) => tar::Kind::File(item.bytes.len() as u64),
        Some(kind) => kind,
        None => tar::Kind::Dir,
    };
    tar::Entry { xattrs: Default::default(), ..item.entry.tar_header(path, kind) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::LayerId;
    use hoopy_store::layer::Layer;

    use super::*;

    /// A layer of directories in this order, which is not that of their paths: so are those that scripts leave.
    fn layer(directories: &[(&str, u32)]) -> Layer {
        let entry = |(path, mode): &(&str, u32)| {
            Entry::new(EntryPath::new(path).unwrap(), Kind::Dir { opaque: false }, *mode)
        };
        Layer::whole(LayerId::of(b"a test"), directories.iter().map(entry).collect())
    }

    #[test]
    fn a_directory_that_setup_changed_is_found_in_whatever_order_its_layer_has() {
        let mut stack = Stack::default();
        stack.push(
            layer(&[("var", 0o755), ("etc", 0o755), ("srv", 0o755), ("home", 0o755)]),
            Origin::Database,
        );
        stack.push(layer(&[("var", 0o700), ("srv", 0o755), ("opt", 0o755), ("etc", 0o750)]), Origin::Setup);
        let changed = changed_directories(&stack, &|layer| layer == 1);
        let changed: Vec<String> = changed.into_iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["etc", "opt", "var"]);
    }
}
