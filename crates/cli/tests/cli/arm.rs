//! 32-bit ARM (`armv7`, `armhf`): packages, scripts by qemu-user, kernel and initramfs; no unified kernel image.
//!
//! There is no stand-in of these architectures: the packages are made up, but for BusyBox, which is Debian's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hoopy_apk::package::ScriptKind;
use hoopy_apk::tar::Kind;
use hoopy_testkit::maker::{Maker, record};
use hoopy_testkit::{Home, arm_busybox, package, skip};

/// The release of the made-up kernel.
const RELEASE: &str = "6.12.1-0-lts";

/// What the kernel's decompressor for ARM begins with, at its place (Documentation/arch/arm/booting.rst): no EFI program.
const ZIMAGE: [u8; 4] = 0x016f_2818_u32.to_le_bytes();

/// A mirror with BusyBox, a kernel, and a package whose script leaves word of the machine it ran on.
fn mirror(home: &Home, arch: &str) -> String {
    let at = home.path("mirror");
    package::own_mirror(&at, arch, |dir, key| {
        let mut busybox = Maker::new(record("busybox", "1.35.0-r0", arch));
        busybox.add("bin/busybox", Kind::File(0), 0o755, &fs::read(arm_busybox()).unwrap());
        busybox.add("bin/sh", Kind::Symlink("/bin/busybox".into()), 0o777, b"");
        for dir in ["dev", "etc", "proc", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "root"] {
            busybox.add(dir, Kind::Dir, 0o755, b"");
        }
        let install = b"#!/bin/busybox sh\n/bin/busybox --install -s\n".to_vec();
        busybox.scripts.push((ScriptKind::PostInstall, install));

        let mut linux = Maker::new(record("linux-lts", "6.12.1-r0", arch));
        let zimage = [&[0; 0x24][..], &ZIMAGE, &[7; 5000]].concat();
        linux.add("boot/vmlinuz-lts", Kind::File(0), 0o644, &zimage);
        linux.add(&format!("lib/modules/{RELEASE}/modules.order"), Kind::File(0), 0o644, b"");

        let mut about = Maker::new(record("about", "1-r0", arch));
        about.record.depends.push("busybox".parse().unwrap());
        about.scripts.push((ScriptKind::PostInstall, b"#!/bin/sh\nuname -m >/etc/machine\n".to_vec()));
        vec![busybox.write(dir, key), linux.write(dir, key), about.write(dir, key)]
    });
    at.to_str().unwrap().to_owned()
}

fn system(home: &Home, toml: &str) {
    let dir = home.path("board");
    fs::create_dir_all(dir.join("root/etc")).unwrap();
    fs::write(dir.join("hoopy.toml"), format!("name = \"board\"\nbranch = \"3.23\"\n{toml}\n")).unwrap();
    fs::write(dir.join("packages"), "about\nbusybox\nlinux-lts\n").unwrap();
    fs::write(dir.join("root/etc/hostname"), "board\n").unwrap();
    fs::write(dir.join("setup.sh"), "#!/bin/sh\nset -e\ncat /etc/hostname /etc/machine >/etc/seen\n")
        .unwrap();
    fs::set_permissions(dir.join("setup.sh"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn in_tar(archive: &Path, name: &str) -> String {
    let out = Command::new("tar").arg("-xOf").arg(archive).arg(name).output().unwrap();
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn packages_and_scripts_of_32_bit_arm_make_a_kernel_an_initramfs_and_an_archive() {
    if !hoopy_sandbox::binfmt::registered("armv7") {
        return skip("no interpreter for 32-bit ARM is registered with binfmt_misc");
    }
    for arch in ["armv7", "armhf"] {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let mirror = mirror(&home, arch);
        system(&home, &format!("arch = \"{arch}\""));
        let build = ["build", "board", "--mirror", &mirror, "--image-version", "1", "--output"];
        home.ok(&[&build[..], &["tar"]].concat());
        let lock = fs::read_to_string(home.path("board/hoopy.lock")).unwrap();
        assert!(lock.contains(&format!("arch = \"{arch}\"")) && !lock.contains("systemd-efistub"), "{lock}");
        let archive = home.path("board/images/board-1.tar");
        assert_eq!(in_tar(&archive, "etc/seen"), "board\narmv7l\n");

        home.ok(&[&build[..], &["kernel+initramfs"]].concat());
        let images = home.path("board/images");
        let made: Vec<String> =
            fs::read_dir(&images).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        let with = |end: &str| made.iter().find(|name| name.ends_with(end)).cloned();
        let kernel = fs::read(images.join(with("vmlinuz").or(with("linux")).unwrap_or_default()));
        assert!(kernel.is_ok_and(|kernel| kernel[0x24..0x28] == ZIMAGE), "{made:?}");
        let initramfs = fs::read(images.join(with("initramfs").unwrap())).unwrap();
        assert!(initramfs.len() > 100_000, "{} bytes", initramfs.len());
    }
}

#[test]
fn what_32_bit_arm_lacks_is_refused_with_what_to_do_instead() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let mirror = mirror(&home, "armv7");
    system(&home, "arch = \"armv7\"");
    let said = home.fails(3, &["build", "board", "--mirror", &mirror]);
    assert!(said.contains("armv7 has no unified kernel images"), "{said}");
    assert!(said.contains("hoopy build --output kernel+initramfs"), "{said}");
    for layout in ["ab", "extlinux", "pi"] {
        system(&home, &format!("arch = \"armv7\"\nlayout = \"{layout}\""));
        let said = home.fails(3, &["build", "board", "--mirror", &mirror]);
        assert!(said.contains(&format!("armv7 with `layout = \"{layout}\"`: expected")), "{said}");
    }
    let said = home.fails(2, &["init", "nas", "--template", "nas", "--arch", "armv7"]);
    assert!(said.contains("expected x86_64 or aarch64, found armv7"), "{said}");
    let out = home.run(&["init", "pi1", "--arch", "armhf"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() && said.contains("next: hoopy build pi1 --output kernel+initramfs"),
        "{said}"
    );
    assert!(fs::read_to_string(home.path("pi1/packages")).unwrap().contains("\nlinux-rpi\n"));
    assert!(home.ok(&["check", "pi1"]).is_empty());
}
