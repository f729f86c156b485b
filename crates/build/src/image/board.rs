//! What a boot loader reads beside kernel and initramfs: the section `.board` of an image for a layout with two directories.
//!
//! ```text
//! bcm2711-rpi-4-b.dtb   pi: device trees, of the kernel's package: bcm2*.dtb below boot/
//! overlays/README       pi: overlays, of the same: boot/overlays/. The firmware takes none where there is no README
//! config.txt            pi: the owner's lines, where `root/` has boot/config.txt, with what they include
//! dtbs/VENDOR/X.dtb     extlinux: device trees, of the kernel's package: boot/dtbs-lts/VENDOR/X.dtb
//! README                extlinux: so that there is a file in any case
//! SHA256SUMS            of all that stands before it: the machine unpacks the archive, and checks it with sha256sum(1)
//! ```
//!
//! What `root/` has wins over what packages have under the same name, wherever below `boot/` they have it; with extlinux, which
//! would take the hundreds of a kernel for all boards, device trees of `root/` leave all others out.
//!
//! It is a `newc` archive as it is: BusyBox unpacks it.

use std::collections::BTreeMap;
use std::io::Write as _;

use hoopy_base::digest::ContentId;
use hoopy_boot::extlinux;
use hoopy_boot::layout::Layout;
use hoopy_cpio::{Header, Writer, file_type};
use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, Kind};

use super::{ImageError, fat_names, owners_lines};
use crate::stack::{Origin, Stack};

/// The file that is checked by.
pub const SUMS: &str = "SHA256SUMS";

/// Where packages and `root/` have them.
const PLACE: &str = "boot/";

/// What makes the firmware take overlays from the same directory.
const OVERLAYS: (&str, &str) = ("overlays/README", "Overlays of this image.\n");

/// In an archive that may have nothing else.
const README: (&str, &str) = ("README", "Files of this image for the boot loader.\n");

/// Where a file of `boot/` goes, by its path there.
type Place = fn(&str) -> Option<String>;

/// The section for the root `stack`.
///
/// # Errors
/// [`ImageError::NoDeviceTrees`], [`ImageError::BoardLine`], [`ImageError::BoardName`], [`ImageError::Layer`].
pub fn archive(layout: Layout, stack: &Stack, store: &Store) -> Result<Vec<u8>, ImageError> {
    let (first, place): ((&str, &str), Place) = match layout {
        Layout::Extlinux => (README, place_for_extlinux),
        Layout::Single | Layout::Ab | Layout::Pi => (OVERLAYS, place_for_pi),
    };
    let found = find(stack, place);
    let has_own_trees = layout == Layout::Extlinux
        && found.iter().any(|(name, file)| file.is_owners && name.ends_with(".dtb"));
    let mut files = BTreeMap::from([(first.0.to_owned(), first.1.as_bytes().to_vec())]);
    for (name, file) in found.into_iter().filter(|(_, file)| file.is_owners || !has_own_trees) {
        if let Some(content) = read(stack, file.path, store)? {
            files.insert(name, content);
        }
    }
    if let Some(config) = files.get(owners_lines::CONFIG).filter(|_| layout != Layout::Extlinux) {
        let of_root = |name: &str| match EntryPath::new(format!("{PLACE}{name}")) {
            Ok(path) => read(stack, &path, store),
            Err(_) => Ok(None),
        };
        let lines = owners_lines::with_includes(config, &of_root)?;
        if let Some(missing) = owners_lines::missing_tree(&lines, |name| files.contains_key(name)) {
            return Err(ImageError::BoardLine(missing));
        }
        files.insert(owners_lines::CONFIG.to_owned(), lines.into_bytes());
    }
    fat_names::check(files.keys().map(String::as_str))?;
    if layout != Layout::Extlinux && !files.keys().any(|name| is_tree(name)) {
        return Err(ImageError::NoDeviceTrees);
    }
    let sums: String =
        files.iter().map(|(name, bytes)| format!("{}  {name}\n", ContentId::of(bytes))).collect();
    let mut archive = Writer::new(Vec::new());
    let last = (SUMS.to_owned(), sums.into_bytes());
    for (name, content) in files.into_iter().chain([last]) {
        let mode = file_type::FILE | 0o644;
        let header = Header { name: name.as_bytes(), mode, nlink: 1, ..Header::default() };
        archive.entry(&header, content.len() as u64)?;
        archive.write_all(&content).map_err(hoopy_cpio::WriteError::from)?;
    }
    Ok(archive.finish()?)
}

/// A file of `boot/`.
struct Found<'a> {
    path: &'a EntryPath,
    is_owners: bool,
}

/// What of `boot/` has a place in the archive, by that.
fn find(stack: &Stack, place: Place) -> BTreeMap<String, Found<'_>> {
    let mut found: BTreeMap<String, Found<'_>> = BTreeMap::new();
    for (path, entry, at) in stack.tree.iter() {
        let name = String::from_utf8_lossy(path.as_bytes());
        let Some(name) = name.strip_prefix(PLACE).and_then(place).filter(|_| !entry.is_dir()) else {
            continue;
        };
        let is_owners = matches!(stack.origins.get(at.layer), Some(Origin::Files));
        if found.get(&name).is_none_or(|there| is_owners || !there.is_owners) {
            found.insert(name, Found { path, is_owners });
        }
    }
    found
}

/// The content of a file or of what a link leads to.
fn read(stack: &Stack, path: &EntryPath, store: &Store) -> Result<Option<Vec<u8>>, ImageError> {
    let is_file =
        |entry: &hoopy_store::layer::Entry| matches!(entry.kind, Kind::File { .. } | Kind::Hardlink(_));
    match stack.tree.follow(path) {
        Some(entry) if is_file(entry) => Ok(stack.read(path, store)?),
        _ => Ok(None),
    }
}

/// Where a file of `boot/` goes in its slot; none where the firmware does not read it. Some packages have their device
/// trees in directories of their own.
fn place_for_pi(path: &str) -> Option<String> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match directory.rsplit('/').next() {
        Some("overlays") => Some(format!("overlays/{name}")),
        _ if is_tree(name) => Some(name.to_owned()),
        _ => (path == "config.txt").then(|| path.to_owned()),
    }
}

/// Device trees alone. U-Boot looks for them by vendor and name; a package has those in a directory of its own.
fn place_for_extlinux(path: &str) -> Option<String> {
    let name = match path.split_once('/') {
        Some((directory, rest)) if directory.starts_with("dtbs") => rest,
        _ => path,
    };
    path.ends_with(".dtb").then(|| format!("{}/{name}", extlinux::TREES))
}

/// Kernels for all boards have hundreds of others: those of this family begin with the name of its chips.
fn is_tree(name: &str) -> bool {
    name.starts_with("bcm2") && name.ends_with(".dtb")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;

    use hoopy_store::layer::builder::Builder;

    use super::*;

    /// A package's files, and `root/`.
    fn stack(store: &Store, package: &[(&str, &str)], root: &[(&str, &str)]) -> Stack {
        let mut stack = Stack::default();
        for (files, origin) in [(package, Origin::Database), (root, Origin::Files)] {
            let mut builder = Builder::new(store, 0);
            for (path, content) in files {
                builder.add_bytes(&EntryPath::new(*path).unwrap(), 0o644, content.as_bytes()).unwrap();
            }
            stack.push(builder.finish(store).unwrap(), origin);
        }
        stack
    }

    fn unpacked(layout: Layout, package: &[(&str, &str)], root: &[(&str, &str)]) -> BTreeMap<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let archive = archive(layout, &stack(&store, package, root), &store).unwrap();
        let mut reader = hoopy_cpio::Reader::new(archive.as_slice());
        let mut found = BTreeMap::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let name = String::from_utf8(entry.name.clone()).unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            found.insert(name, text);
        }
        found
    }

    fn names(found: &BTreeMap<String, String>) -> Vec<&str> {
        found.keys().map(String::as_str).collect()
    }

    #[test]
    fn device_trees_overlays_and_the_owners_lines_are_taken_and_summed_up() {
        let package = [
            ("boot/vmlinuz-rpi", "kernel"),
            ("boot/dtbs-rpi/broadcom/bcm2711-rpi-4-b.dtb", "four"),
            ("boot/overlays/disable-bt.dtbo", "overlay"),
            ("etc/config.txt", "another"),
        ];
        let found = unpacked(Layout::Pi, &package, &[("boot/config.txt", "dtparam=audio=on\n")]);
        let expected =
            [SUMS, "bcm2711-rpi-4-b.dtb", "config.txt", "overlays/README", "overlays/disable-bt.dtbo"];
        assert_eq!(names(&found), expected);
        let sum = format!("{}  overlays/disable-bt.dtbo\n", ContentId::of(b"overlay"));
        assert!(found[SUMS].contains(&sum), "{}", found[SUMS]);
    }

    #[test]
    fn a_device_tree_of_the_owners_wins_over_the_kernels() {
        let package =
            [("boot/dtbs-rpi/broadcom/bcm2711-rpi-4-b.dtb", "four"), ("boot/bcm2837-rpi-3-b.dtb", "three")];
        let root = [("boot/bcm2711-rpi-4-b.dtb", "mine"), ("boot/dtbs/bcm2837-rpi-3-b.dtb", "mine too")];
        let found = unpacked(Layout::Pi, &package, &root);
        assert_eq!(
            (found["bcm2711-rpi-4-b.dtb"].as_str(), found["bcm2837-rpi-3-b.dtb"].as_str()),
            ("mine", "mine too")
        );
    }

    #[test]
    fn u_boot_finds_device_trees_by_vendor_and_name_and_those_of_the_owner_alone_where_there_are_some() {
        let package = [
            ("boot/dtbs-lts/rockchip/rk3399-rockpro64.dtb", "rock"),
            ("boot/dtbs-lts/allwinner/sun50i-a64-pine64.dtb", "pine"),
        ];
        let all = unpacked(Layout::Extlinux, &package, &[]);
        let expected =
            [README.0, SUMS, "dtbs/allwinner/sun50i-a64-pine64.dtb", "dtbs/rockchip/rk3399-rockpro64.dtb"];
        assert_eq!(names(&all), expected);
        let own =
            unpacked(Layout::Extlinux, &package, &[("boot/dtbs/rockchip/rk3399-rockpro64.dtb", "mine")]);
        assert_eq!(names(&own), [README.0, SUMS, "dtbs/rockchip/rk3399-rockpro64.dtb"]);
        assert_eq!(own["dtbs/rockchip/rk3399-rockpro64.dtb"], "mine");
        assert_eq!(
            names(&unpacked(Layout::Extlinux, &[("boot/vmlinuz-lts", "kernel")], &[])),
            [README.0, SUMS]
        );
    }

    #[test]
    fn a_root_without_device_trees_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let refused = archive(Layout::Pi, &stack(&store, &[("boot/vmlinuz-virt", "kernel")], &[]), &store);
        assert!(matches!(refused, Err(ImageError::NoDeviceTrees)));
    }
}
