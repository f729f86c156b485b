//! What the firmware of a Raspberry Pi reads beside kernel and initramfs: the section `.board` of an image.
//!
//! ```text
//! bcm2711-rpi-4-b.dtb   device trees, of the kernel's package: bcm2*.dtb below boot/
//! overlays/README       overlays, of the same: boot/overlays/. The firmware takes none where there is no README
//! config.txt            the owner's lines, where `root/` has boot/config.txt
//! SHA256SUMS            of all that stands before it: the machine unpacks the archive, and checks it with sha256sum(1)
//! ```
//!
//! It is a `newc` archive as it is: BusyBox unpacks it.

use std::collections::BTreeMap;
use std::io::Write as _;

use hoopy_base::digest::ContentId;
use hoopy_cpio::{Header, Writer, file_type};
use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, Kind};

use super::ImageError;
use crate::stack::Stack;

/// The file that is checked by.
pub const SUMS: &str = "SHA256SUMS";

/// Where packages and `root/` have them.
const PLACE: &str = "boot/";

/// What makes the firmware take overlays from the same directory.
const README: &str = "overlays/README";

/// The section for the root `stack`.
///
/// # Errors
/// [`ImageError::NoDeviceTrees`], [`ImageError::Layer`].
pub fn archive(stack: &Stack, store: &Store) -> Result<Vec<u8>, ImageError> {
    let mut files = BTreeMap::from([(README.to_owned(), b"Overlays of this image.\n".to_vec())]);
    for (path, entry, _) in stack.tree.iter() {
        let name = String::from_utf8_lossy(path.as_bytes());
        let Some(name) = name.strip_prefix(PLACE).and_then(place).filter(|_| !entry.is_dir()) else {
            continue;
        };
        if let Some(content) = read(stack, path, store)? {
            files.insert(name, content);
        }
    }
    if !files.keys().any(|name| is_tree(name)) {
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
fn place(path: &str) -> Option<String> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match directory.rsplit('/').next() {
        Some("overlays") => Some(format!("overlays/{name}")),
        _ if is_tree(name) => Some(name.to_owned()),
        _ => (path == "config.txt").then(|| path.to_owned()),
    }
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
    use crate::stack::Origin;

    fn stack(store: &Store, files: &[(&str, &str)]) -> Stack {
        let mut builder = Builder::new(store, 0);
        for (path, content) in files {
            builder.add_bytes(&EntryPath::new(*path).unwrap(), 0o644, content.as_bytes()).unwrap();
        }
        let mut stack = Stack::default();
        stack.push(builder.finish(store).unwrap(), Origin::Files);
        stack
    }

    #[test]
    fn device_trees_overlays_and_the_owners_lines_are_taken_and_summed_up() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let files = [
            ("boot/vmlinuz-rpi", "kernel"),
            ("boot/config.txt", "dtparam=audio=on\n"),
            ("boot/dtbs-rpi/broadcom/bcm2711-rpi-4-b.dtb", "four"),
            ("boot/overlays/disable-bt.dtbo", "overlay"),
            ("etc/config.txt", "another"),
        ];
        let archive = archive(&stack(&store, &files), &store).unwrap();
        let mut reader = hoopy_cpio::Reader::new(archive.as_slice());
        let mut found = BTreeMap::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let name = String::from_utf8(entry.name.clone()).unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            found.insert(name, text);
        }
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected =
            [SUMS, "bcm2711-rpi-4-b.dtb", "config.txt", "overlays/README", "overlays/disable-bt.dtbo"];
        assert_eq!(names, expected);
        let sum = format!("{}  overlays/disable-bt.dtbo\n", ContentId::of(b"overlay"));
        assert!(found[SUMS].contains(&sum), "{}", found[SUMS]);
    }

    #[test]
    fn a_root_without_device_trees_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let refused = archive(&stack(&store, &[("boot/vmlinuz-virt", "kernel")]), &store);
        assert!(matches!(refused, Err(ImageError::NoDeviceTrees)));
    }
}
