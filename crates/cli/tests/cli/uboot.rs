//! A board with U-Boot (`layout = "extlinux"`): Debian's U-Boot for QEMU's ARM machine runs our script, and starts a trial once.

use std::path::Path;
use std::process::Command;

use hoopy_boot::extlinux::{self, Label};
use hoopy_boot::pair::SlotName;

use crate::pi::{Board, Card, Pi};

/// Of the package u-boot-qemu.
const UBOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// Switches on a machine with this disk. It ends where it reboots.
fn start(card: &Card) -> Board {
    let mut command = Command::new("qemu-system-aarch64");
    command.args(["-M", "virt", "-cpu", "cortex-a57", "-m", "1024", "-display", "none", "-serial", "stdio"]);
    command.args(["-no-reboot", "-bios", UBOOT, "-device", "virtio-blk-pci,drive=disk", "-drive"]);
    command.arg(format!("if=none,id=disk,format=raw,file={}", card.file.display()));
    Board::of(command)
}

#[test]
fn u_boot_starts_a_trial_once_and_then_the_slot_before() {
    if !Path::new(UBOOT).exists() {
        return hoopy_testkit::skip("no U-Boot for QEMU");
    }
    let pi = Pi::with(
        "layout = \"extlinux\"\narch = \"aarch64\"\nmemory = \"512M\"\ncmdline = \"console=ttyAMA0\"",
    );
    pi.build();
    let card = pi.card();
    let line = card.text("a/cmdline.txt");
    let line = line.trim_end_matches('\0');
    // As a deploy and its wish for a trial leave it.
    card.mtools("mmd", &["::b"]).unwrap();
    for name in ["vmlinuz", "initramfs", "cmdline.txt", "hoopy.txt"] {
        card.put(&format!("b/{name}"), &card.read(&format!("a/{name}")).unwrap());
    }
    card.put("b/tried", b"tried\n");
    let label = |slot| Label { slot, cmdline: line, has_trees: false };
    let (a, b) = (label(SlotName::A), label(SlotName::B));
    card.put(extlinux::TRIAL, extlinux::config(&b, Some(&a)).as_bytes());
    card.put(extlinux::ONCE, b"");

    let board = start(&card);
    board.waits_for("hoopy: trial.conf");
    board.waits_for("Retrieving file: /b/vmlinuz");
    board.waits_for(" login: ");
    drop(board);
    assert!(card.read(extlinux::ONCE).is_none(), "the wish is taken back before anything is started");

    // Nothing has found it well: the next start, whatever led to it, is that of the slot before.
    let board = start(&card);
    board.waits_for("hoopy: extlinux.conf");
    board.waits_for("Retrieving file: /a/vmlinuz");
}
