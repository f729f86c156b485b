//! Microcode for the processor: the kernel looks for it from the first byte of the initramfs on, in archives that
//! are not compressed, each of which must begin at a multiple of four (Documentation/arch/x86/microcode.rst).

use std::fs;

use hoopy_testkit::{Home, package};

/// The first bytes of what zstd compresses.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Seven bytes with their newline, so that what follows has to be moved.
const ODD: &str = "package amd-ucode 1-r0\nfile boot/amd-ucode.img 644 070701\n";

#[test]
fn microcode_goes_first_as_it_is_and_what_follows_is_aligned() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let mirror = home.path("mirror");
    package::extended_mirror(&mirror, "x86_64", ODD);
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\nintel-ucode\namd-ucode\n").unwrap();
    let mirror = mirror.to_str().unwrap();
    let args = ["build", "s", "--arch", "x86_64", "--mirror", mirror, "--output", "kernel+initramfs", "-q"];
    home.ok(&args);
    let images = fs::read_dir(home.path("s/images")).unwrap().map(|e| e.unwrap().path());
    let initramfs = images.into_iter().find(|p| p.extension().is_some_and(|e| e == "initramfs")).unwrap();
    let bytes = fs::read(initramfs).unwrap();

    let rest = bytes.strip_prefix(b"070701\n\0").expect("AMD's first, by its name, and padded");
    assert!(rest.starts_with(b"070701"), "Intel's next, not compressed");
    let end = rest.windows(ZSTD.len()).position(|w| w == ZSTD).expect("the segments");
    assert_eq!(end % 4, 0);
    let early = String::from_utf8_lossy(&rest[..end]);
    assert!(early.contains("kernel/x86/microcode/GenuineIntel.bin\0"), "{early}");
    let after = early.split_once("TRAILER!!!").expect("an archive with its end").1;
    let root = after.trim_matches('\0').strip_suffix("TRAILER!!!").expect("one more archive with its end");
    assert!(root.starts_with("070701") && root.matches("070701").count() == 2, "the root alone: {root:?}");
}

#[test]
fn microcode_is_not_in_the_tree_too() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\nintel-ucode\n").unwrap();
    let args = ["--arch", "x86_64", "--compression", "none", "--output", "kernel+initramfs", "-q"];
    home.ok(&[&["build", "s"][..], &args].concat());
    let images = fs::read_dir(home.path("s/images")).unwrap().map(|e| e.unwrap().path());
    let initramfs = images.into_iter().find(|p| p.extension().is_some_and(|e| e == "initramfs")).unwrap();
    let bytes = fs::read(initramfs).unwrap();
    let times = |what: &[u8]| bytes.windows(what.len()).filter(|w| *w == what).count();
    assert_eq!(times(b"kernel/x86/microcode/GenuineIntel.bin\0"), 1);
    assert_eq!(times(b"boot/intel-ucode.img\0"), 0);
}
