//! What the machine boots: the kernel of the image's own packages, and a small root with BusyBox and the few
//! modules that the job needs, from the same packages.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write as _};
use std::sync::Arc;

use hoopy_cpio::{Header, WriteError, Writer, file_type};
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{EntryPath, Kind};

use super::error::MachineError;

/// Modules that the guest needs, where they are not built in.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_console", "overlay"];

/// Those that a script with network needs too.
const NETWORK: &str = "virtio_net";

/// A module is some hundred KiB; the largest there are unpack to some ten MiB.
const MODULE_MAX: u64 = 256 << 20;

/// PID 1, and what it runs for each script.
const INIT: &str = include_str!("init.sh");
const INSIDE: &str = include_str!("inside.sh");

/// A kernel and its initramfs.
pub(super) struct Base {
    pub(super) kernel: Vec<u8>,
    pub(super) initramfs: Vec<u8>,
}

/// Finds all of it among `packages`.
pub(super) fn find(packages: &[Arc<Package>], network: bool, store: &Store) -> Result<Base, MachineError> {
    let (package, kernel) = kernel(packages).ok_or(MachineError::NoKernel)?;
    let is_table = |p: &EntryPath| p.is_within(b"lib/modules") && p.name() == b"modules.dep";
    let found = read(package, store, &|p| p == kernel || is_table(p))?;
    let image = found.get(kernel).ok_or(MachineError::NoKernel)?;
    let table = found.iter().find(|(path, _)| is_table(path));
    let mut files = Vec::new();
    if let Some((path, table)) = table {
        let dir = path.parent().map_or_else(Vec::new, |p| p.as_bytes().to_vec());
        let names = MODULES.iter().copied().chain(network.then_some(NETWORK));
        files = modules(package, store, &dir, &String::from_utf8_lossy(table), names)?;
    }
    let busybox =
        program(packages, store, "BusyBox", "busybox", &|p| p.as_bytes().ends_with(b"bin/busybox"))?;
    let loader = program(packages, store, "the loader", "musl", &|p| p.name().starts_with(b"ld-musl-"))?;
    files.push(("bin/busybox".to_owned(), busybox.1));
    files.push((format!("lib/{}", String::from_utf8_lossy(loader.0.name())), loader.1));
    files.push(("init".to_owned(), INIT.into()));
    files.push(("inside.sh".to_owned(), INSIDE.into()));
    let kernel = hoopy_uki::kernel::unpacked(image).unwrap_or_else(|| image.clone());
    let initramfs =
        pack(&files).map_err(|e| MachineError::io("pack the machine's initramfs")(io::Error::other(e)))?;
    Ok(Base { kernel, initramfs })
}

fn kernel(packages: &[Arc<Package>]) -> Option<(&Package, &EntryPath)> {
    let is_kernel = |p: &EntryPath| {
        p.name().starts_with(b"vmlinuz") && p.parent().is_some_and(|dir| dir.as_bytes() == b"boot")
    };
    packages.iter().find_map(|package| {
        let entries = package.layer.entries.iter();
        let mut files = entries.filter(|e| matches!(e.kind, Kind::File { .. }) && is_kernel(&e.path));
        files.next().map(|e| (package.as_ref(), &e.path))
    })
}

fn program(
    packages: &[Arc<Package>],
    store: &Store,
    what: &'static str,
    package: &'static str,
    is_it: &dyn Fn(&EntryPath) -> bool,
) -> Result<(EntryPath, Vec<u8>), MachineError> {
    let named = packages.iter().find(|p| &*p.record.name == package);
    let found = named.map(|p| read(p, store, is_it)).transpose()?;
    found.and_then(|files| files.into_iter().next()).ok_or(MachineError::NoShell { what, package })
}

/// The regular files of a package that are wanted, in one pass.
fn read(
    package: &Package,
    store: &Store,
    wanted: &dyn Fn(&EntryPath) -> bool,
) -> Result<BTreeMap<EntryPath, Vec<u8>>, MachineError> {
    let mut found = BTreeMap::new();
    package.layer.stream(store, &mut |entry, content| {
        if matches!(entry.kind, Kind::File { .. }) && wanted(&entry.path) {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found.insert(entry.path.clone(), bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The modules and what they depend on, unpacked, under names that sort in the order they are to be loaded in.
fn modules<'a>(
    package: &Package,
    store: &Store,
    dir: &[u8],
    table: &'a str,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, Vec<u8>)>, MachineError> {
    let order = load_order(table, names);
    let path = |file: &str| EntryPath::new([dir, b"/", file.as_bytes()].concat());
    let paths = order.iter().map(|file| path(file)).collect::<Result<Vec<_>, _>>()?;
    let wanted: BTreeSet<&EntryPath> = paths.iter().collect();
    let mut found = read(package, store, &|p| wanted.contains(p))?;
    let mut files = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        let Some(packed) = found.remove(path) else { continue };
        let name = String::from_utf8_lossy(path.name()).into_owned();
        let module =
            unpack(&name, &packed).map_err(|source| MachineError::Module { name: name.clone(), source })?;
        files.push((format!("modules/{n:03}-{}.ko", stem(&name)), module));
    }
    Ok(files)
}

/// Lines of `modules.dep` are a module and all that it depends on, what is to be loaded first last (depmod(8)).
/// Modules that it does not name are built in.
fn load_order<'a>(table: &'a str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut order: Vec<&str> = Vec::new();
    for name in names {
        let lines = table.lines().filter_map(|line| line.split_once(':'));
        let Some((file, needs)) = lines.into_iter().find(|(file, _)| stem(file).replace('-', "_") == name)
        else {
            continue;
        };
        for file in needs.split_whitespace().rev().chain([file]) {
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    order
}

/// The name of a module's file without what follows the first dot.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

fn unpack(name: &str, packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut module = Vec::new();
    let reader: Box<dyn Read + '_> = match name.rsplit('.').next() {
        Some("gz") => Box::new(flate2::read::GzDecoder::new(packed)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(packed)?),
        Some("xz") => Box::new(lzma_rust2::XzReader::new(packed, false)),
        _ => Box::new(packed),
    };
    reader.take(MODULE_MAX).read_to_end(&mut module)?;
    Ok(module)
}

/// A newc archive of executable files in directories directly below the root.
fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, WriteError> {
    let mut archive = Writer::new(Vec::new());
    for dir in ["bin", "lib", "dev", "modules"] {
        archive.entry(
            &Header { name: dir.as_bytes(), mode: file_type::DIR | 0o755, nlink: 2, ..Header::default() },
            0,
        )?;
    }
    // The kernel opens it for init before anything is mounted
    let mode = file_type::CHAR | 0o600;
    archive.entry(&Header { name: b"dev/console", mode, nlink: 1, rdev: (5, 1), ..Header::default() }, 0)?;
    for (name, content) in files {
        let mode = file_type::FILE | 0o755;
        archive.entry(
            &Header { name: name.as_bytes(), mode, nlink: 1, ..Header::default() },
            content.len() as u64,
        )?;
        archive.write_all(content)?;
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "kernel/fs/overlayfs/overlay.ko.gz:\n\
        kernel/drivers/net/virtio-net.ko.gz: kernel/drivers/net/net_failover.ko.gz kernel/net/core/failover.ko.gz\n";

    #[test]
    fn modules_are_loaded_after_those_they_need() {
        let order = load_order(TABLE, ["virtio_pci", "virtio_net", "overlay"].into_iter());
        let names: Vec<_> = order.into_iter().map(stem).collect();
        assert_eq!(names, ["failover", "net_failover", "virtio-net", "overlay"]);
    }
}
