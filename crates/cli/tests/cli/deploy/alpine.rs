//! A far side that runs diskless Alpine Linux: an image and systemd-boot beside what its medium has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hoopy_boot::diskless::{ENTRY, KEPT_LOADER, LOADER_CONF};

use super::remote::{EFI, Remote, kill_every, segments};

/// Alpine's loader, by what it is called on a medium that was made of an ISO file.
const GRUB: (&str, &[u8]) = ("EFI/BOOT/BOOTX64.EFI", b"MZ: grub, and nobody knows what is in it");

/// What else is there.
const ALPINE: [(&str, &[u8]); 5] = [
    ("boot/vmlinuz-lts", b"a kernel"),
    ("boot/initramfs-lts", b"an initramfs"),
    ("boot/grub/grub.cfg", b"linux /boot/vmlinuz-lts"),
    ("apks/.boot_repository", b""),
    ("nas.apkovl.tar.gz", b"an overlay"),
];

/// In place of stat(1): the root filesystem of a far side is none in memory, and its partition is a directory.
const STAT: &str = r#"#!/bin/busybox sh
case "$*" in
"-f -c %T /") busybox cat /root-is ;;
"-f -c %T /esp") busybox cat /medium-is ;;
*) exec busybox stat "$@" ;;
esac
"#;

/// Such a far side; the system that is deployed to it has its lock.
fn alpine() -> Remote {
    let far = Remote::new("ab");
    far.home.ok(&["lock", "s", "--arch", "x86_64"]);
    let _ = fs::remove_file(far.root("bin/stat"));
    far.program("far/bin/stat", STAT);
    for (file, text) in [("root-is", "tmpfs\n"), ("medium-is", "msdos\n"), ("etc/alpine-release", "3.23.6\n")]
    {
        fs::write(far.root(file), text).unwrap();
    }
    fs::create_dir_all(far.root("sys/firmware/efi")).unwrap();
    lay(&far);
    far
}

/// The medium as it was before any deploy.
fn lay(far: &Remote) {
    for dir in ["EFI", "loader", "boot", "apks"] {
        let _ = fs::remove_dir_all(far.esp(dir));
    }
    for (name, bytes) in ALPINE.iter().chain([&GRUB]) {
        fs::create_dir_all(far.esp(name).parent().unwrap()).unwrap();
        fs::write(far.esp(name), bytes).unwrap();
    }
}

fn all(dir: &Path, at: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{at}{}", entry.file_name().to_string_lossy());
        match entry.path() {
            path if path.is_dir() => all(&path, &format!("{name}/"), into),
            path => drop(into.insert(name, fs::read(path).unwrap())),
        }
    }
}

/// Every file of the partition.
fn medium(far: &Remote) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    all(&far.esp(""), "", &mut files);
    files
}

/// What Alpine had is there, bit for bit; its loader under one of two names.
fn keeps_alpine(far: &Remote) {
    for (name, bytes) in ALPINE {
        assert!(far.read(name) == bytes, "{name} is not what it was");
    }
    let starts = far.read(EFI);
    if starts != GRUB.1 {
        assert!(is_systemd_boot(&starts), "the firmware starts what is no loader: {} bytes", starts.len());
        assert!(far.read(KEPT_LOADER) == GRUB.1, "Alpine's loader is lost");
        let entry = String::from_utf8(far.read(ENTRY)).unwrap();
        assert!(entry.contains("\nefi /EFI/BOOT/ALPINE.EFI\n"), "{entry}");
        assert!(!String::from_utf8(far.read(LOADER_CONF)).unwrap().contains("\ndefault"));
    }
}

fn is_systemd_boot(program: &[u8]) -> bool {
    program.windows(24).any(|window| window == b"LoaderInfo: systemd-boot")
}

#[test]
fn an_image_is_put_beside_alpine_and_alpine_is_what_is_returned_to() {
    let far = alpine();
    let (path, one) = far.image("1", &segments(10));
    let before = medium(&far);
    for more in [&[][..], &["--force"]] {
        let said = far.fails(&[&["-C", "s", "deploy", "--image", &path], more].concat());
        assert!(said.contains("far runs diskless Alpine Linux from /esp"), "{said}");
        assert!(said.contains("--from-diskless"), "{said}");
    }
    let dry = far.ok(&["-C", "s", "deploy", "--image", &path, "--from-diskless", "--dry-run"]);
    assert!(dry.contains("machine   far: runs diskless Alpine Linux 3.23.6, partition /esp"), "{dry}");
    assert!(
        dry.contains("systemd-boot becomes EFI/BOOT/BOOTX64.EFI; Alpine's is kept as EFI/BOOT/ALPINE.EFI"),
        "{dry}"
    );
    assert!(dry.contains("stays     vmlinuz-lts, nas.apkovl.tar.gz, apks/"), "{dry}");
    assert!(medium(&far) == before, "a dry run wrote to the medium");

    far.ok(&["-C", "s", "deploy", "--image", &path, "--from-diskless"]);
    keeps_alpine(&far);
    assert!(is_systemd_boot(&far.read(EFI)) && far.read("EFI/Linux/s-1+3.efi") == one);
    let new: Vec<String> = medium(&far).into_keys().filter(|name| !before.contains_key(name)).collect();
    assert_eq!(new, [KEPT_LOADER, "EFI/Linux/s-1+3.efi", ENTRY, LOADER_CONF]);
    let status = far.ok(&["-C", "s", "status", "--drift-within", "0"]);
    assert!(status.contains("image      none: diskless Alpine Linux 3.23.6 runs"), "{status}");
    assert!(status.contains("on disk    EFI/BOOT/ALPINE.EFI (diskless Alpine Linux)"), "{status}");

    // Thought better of it: Alpine goes on being what is started.
    let said = far.ok(&["-C", "s", "rollback"]);
    assert!(said.contains("diskless Alpine Linux: starts with the next boot"), "{said}");
    keeps_alpine(&far);
    assert_eq!(far.files(), [KEPT_LOADER, EFI, "EFI/Linux/s-1+0-3.efi"]);
    // And of that again.
    let said = far.ok(&["-C", "s", "deploy", "--image", &path, "--from-diskless"]);
    assert!(!said.contains("systemd-boot becomes"), "{said}");
    assert_eq!(far.files(), [KEPT_LOADER, EFI, "EFI/Linux/s-1+3.efi"]);

    // Once an image runs, it is a machine like any other.
    far.runs("s-1");
    fs::rename(far.esp("EFI/Linux/s-1+3.efi"), far.esp("EFI/Linux/s-1.efi")).unwrap();
    let (path, _) = far.image("2", &segments(20));
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(far.ok(&["-C", "s", "rollback", "--dry-run"]).contains("s-1: would start"));
    let said = far.ok(&["-C", "s", "rollback", "--to-diskless"]);
    assert!(said.contains("diskless Alpine Linux: starts with the next boot"), "{said}");
    assert_eq!(far.files(), [KEPT_LOADER, EFI, "EFI/Linux/s-1+0-3.efi", "EFI/Linux/s-2+0-3.efi"]);
    keeps_alpine(&far);
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_written() {
    let far = alpine();
    let (path, _) = far.image("1", &segments(10));
    let before = medium(&far);
    let deploy = ["-C", "s", "deploy", "--image", &path, "--from-diskless"];
    let refused = |expected: &str| {
        let said = far.fails(&deploy);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(medium(&far) == before, "{expected}");
        said
    };
    fs::remove_dir_all(far.root("sys/firmware")).unwrap();
    let said = refused("no image can be put beside the diskless Alpine Linux of far: a BIOS started it");
    assert!(said.contains("layout = \"extlinux\"") && said.contains("docs/extlinux.md"), "{said}");
    fs::create_dir_all(far.root("sys/firmware/efi")).unwrap();
    fs::write(far.root("sys/firmware/efi/fw_platform_size"), "32\n").unwrap();
    let said = refused("its UEFI firmware has 32 bits");
    assert!(said.contains("BIOS mode of its firmware, if it has one"), "{said}");
    fs::write(far.root("sys/firmware/efi/fw_platform_size"), "64\n").unwrap();
    fs::write(far.root("medium-is"), "isofs\n").unwrap();
    refused("/esp is isofs, and firmware reads FAT alone");
    fs::write(far.root("medium-is"), "msdos\n").unwrap();

    // The firmware has a name of its own for what it starts, in a variable.
    let variables = far.root("sys/firmware/efi/efivars");
    fs::create_dir_all(&variables).unwrap();
    let global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    fs::write(variables.join(format!("BootCurrent-{global}")), [6, 0, 0, 0, 0x0A, 0]).unwrap();
    let path_of = |path: &str| {
        let text: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&[7, 0, 0, 0, 1, 0, 0, 0, 0xFF, 4][..], &text, &[0, 0, 0x7F, 0xFF, 4, 0]].concat()
    };
    let boot = variables.join(format!("Boot000A-{global}"));
    for dir in ["alpine", "Alpine Linux"] {
        fs::write(&boot, path_of(&format!("\\EFI\\{dir}\\grubx64.efi"))).unwrap();
        refused(&format!("its firmware starts /EFI/{dir}/grubx64.efi: expected EFI/BOOT/BOOTX64.EFI"));
    }
    fs::write(&boot, path_of("\\EFI\\Boot\\bootx64.efi")).unwrap();

    fs::create_dir_all(far.esp("loader")).unwrap();
    fs::write(far.esp(LOADER_CONF), "default mine\n").unwrap();
    let said = far.fails(&deploy);
    assert!(said.contains("has a loader/loader.conf that hoopy did not write"), "{said}");
    fs::remove_dir_all(far.esp("loader")).unwrap();
    fs::write(far.root("root-is"), "ext2/ext3\n").unwrap();
    let said = far.fails(&deploy);
    assert!(said.contains("far does not run diskless Alpine Linux"), "{said}");
    fs::write(far.root("root-is"), "tmpfs\n").unwrap();
    far.ok(&deploy);
    keeps_alpine(&far);
}

#[test]
fn a_second_name_that_a_power_cut_left_of_alpines_loader_or_an_entry_is_not_removed() {
    let far = alpine();
    let (path, _) = far.image("1", &segments(10));
    far.ok(&["-C", "s", "deploy", "--image", &path, "--from-diskless"]);
    let entry = far.read(ENTRY);
    let second = [
        ("EFI/BOOT/hoopy-old.part", GRUB.1, Some("EFI/BOOT/hoopy-1.left")),
        ("loader/entries/hoopy-new.part", &entry, Some("loader/entries/hoopy-1.left")),
        // What was never renamed goes.
        ("loader/hoopy-new.part", b"menu", None),
    ];
    for (part, bytes, _) in second {
        fs::write(far.esp(part), bytes).unwrap();
    }
    let (path, _) = far.image("2", &segments(20));
    far.ok(&["-C", "s", "deploy", "--image", &path, "--from-diskless"]);
    for (part, bytes, left) in second {
        assert!(!far.esp(part).exists(), "{part}");
        assert!(left.is_none_or(|left| far.read(left) == bytes), "{part}: its clusters were freed");
    }
    keeps_alpine(&far);
}

/// The far side is killed at programs that it starts: something can be started after each, and the deploy can be run again.
#[test]
fn killed_at_any_point_the_medium_starts_alpine_or_systemd_boot() {
    let far = alpine();
    let far = far.counting();
    far.program("far/bin/stat", STAT);
    let (path, one) = far.image("1", &segments(10));
    let deploy = ["-C", "s", "deploy", "--image", &path, "--from-diskless"];
    let step = kill_every(13);
    let mut killed = 0;
    for n in (1..1000).step_by(step) {
        lay(&far);
        far.kill_at(n);
        let out = far.run(&deploy);
        if !far.was_killed() {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            break;
        }
        killed += 1;
        keeps_alpine(&far);
        far.kill_at(100_000);
        let out = far.run(&deploy);
        assert!(out.status.success(), "after a kill at {n}: {}", String::from_utf8_lossy(&out.stderr));
        keeps_alpine(&far);
        assert!(is_systemd_boot(&far.read(EFI)) && far.read("EFI/Linux/s-1+3.efi") == one);
        assert_eq!(far.files(), [KEPT_LOADER, EFI, "EFI/Linux/s-1+3.efi"]);
    }
    println!("killed {killed} times");
    assert!(killed > 30 / step, "killed only {killed} times");
}
