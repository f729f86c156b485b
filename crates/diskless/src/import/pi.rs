//! A Raspberry Pi: its layout, and what the boot medium held for the firmware, which goes to `root/boot/`.

use std::collections::BTreeSet;

use hoopy_base::arch::Arch;
use hoopy_build::stack::Stack;
use hoopy_store::layer::EntryPath;

use super::draft::{RootFile, SystemDraft};
use super::settings::Settings;
use super::world::PackageLine;
use crate::kernel::name_of;
use crate::overlay::{Content, Hints};
use crate::report::TransferReport;

/// The layout for cards.
const LAYOUT: &str = "pi";

/// The kernel that the firmware tries images with.
const KERNEL: &str = "linux-rpi";

/// Chooses the layout, where the kernel is that of a Raspberry Pi with 64 bits.
pub fn choose_layout(
    arch: Arch,
    packages: &[PackageLine],
    settings: &mut Settings,
    report: &mut TransferReport,
) {
    if !packages.iter().any(|line| name_of(&line.text) == KERNEL) {
        return;
    }
    if arch == Arch::Aarch64 {
        settings.layout = Some(LAYOUT.to_owned());
        report.took(
            "layout",
            format!("\"{LAYOUT}\": the card of a Raspberry Pi; `hoopy flash` or `hoopy disk` writes it"),
        );
    } else {
        report.look(format!(
            "a Raspberry Pi with {arch}: hoopy makes no card for it, but kernel and initramfs for one (docs/arm.md)"
        ));
    }
}

/// Takes what the medium held for the firmware.
pub fn take(
    hints: &Hints,
    settings: &Settings,
    made: &Stack,
    draft: &mut SystemDraft,
    report: &mut TransferReport,
) {
    let Some(files) = &hints.pi else { return };
    let names = files.from.join(", ");
    if settings.layout.as_deref() != Some(LAYOUT) {
        report.left(format!("{names} of the medium"), "only layout = \"pi\" has a place for it", "");
        return;
    }
    let mut add = |path: String, bytes: &[u8]| {
        let Ok(path) = EntryPath::new(path) else { return };
        let content = Content::Bytes(bytes.into());
        draft.files.insert(path, RootFile { content, mode: 0o644, ignored: false, said: false });
    };
    if files.config.is_empty() {
        report.took(&names, "nothing in it but what hoopy writes itself");
    } else {
        add("boot/config.txt".to_owned(), files.config.as_bytes());
        report.took(&names, "in root/boot/config.txt");
    }
    for line in &files.left {
        let (why, action) = if line.starts_with("include") {
            ("the medium does not have the file, or it was taken already", "")
        } else if line.starts_with("device_tree") {
            (
                "hoopy has a place of its own for device trees",
                "put yours into root/boot/ under the name that the firmware looks for",
            )
        } else {
            ("hoopy chooses kernel and initramfs itself, for each image", "")
        };
        report.left(format!("the line {line:?} of {names}"), why, action);
    }
    for path in &files.unread {
        report.left(format!("{path} of the medium"), "it is too large, or no file that can be read", "");
    }
    let of_packages: BTreeSet<&[u8]> = made
        .tree
        .iter()
        .map(|(path, ..)| path)
        .filter(|path| path.as_bytes().starts_with(b"boot/"))
        .map(EntryPath::name)
        .collect();
    let own: Vec<_> =
        files.overlays.iter().filter(|(name, _)| !of_packages.contains(name.as_bytes())).collect();
    for (name, bytes) in &own {
        add(format!("boot/overlays/{name}"), bytes);
    }
    if !own.is_empty() {
        let shown: Vec<&str> = own.iter().take(5).map(|(name, _)| name.as_str()).collect();
        let more = if own.len() > shown.len() { " and others" } else { "" };
        report.took(
            "overlays/",
            format!("{}{more}, which {KERNEL} does not have, in root/boot/overlays/", shown.join(", ")),
        );
    }
}
