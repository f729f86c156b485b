//! `hoopy build --best`: the smallest image, whose modules are unpacked, and which boots and loads them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_testkit::{Home, package};

/// What the test boots for: says on the console, once the system is up, that modules load by all who load them, and
/// that apk finds every module as its database lists it.
const TRY: &str = "#!/bin/sh\nsleep 1\nmodprobe btrfs && grep -q '^btrfs ' /proc/modules &&\n\
    modinfo -F filename btrfs | grep -q '/btrfs.ko$' && busybox modprobe squashfs && grep -q '^squashfs ' /proc/modules &&\n\
    ! grep -q 'ko.gz' /lib/modules/*/modules.dep && apk audit --system >/tmp/audit &&\n\
    ! grep 'kernel/' /tmp/audit && echo all modules are well\n";

/// A package with a module that is none.
const BROKEN: &str = "package linux-tiny 1-r0\nfile boot/vmlinuz-tiny 644 no kernel\n\
    file lib/modules/1/kernel/a.ko.gz 644 not packed\n";

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

fn names(tar: &Path) -> Vec<String> {
    let out = Command::new("tar").arg("-tf").arg(tar).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The example `hello`, which tries its modules once it is up.
fn hello(home: &Home) -> PathBuf {
    let dir = home.example("hello");
    let program = dir.join("root/usr/local/bin/try");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, TRY).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let inittab = fs::read_to_string(dir.join("root/etc/inittab")).unwrap();
    fs::write(dir.join("root/etc/inittab"), inittab + "::once:/usr/local/bin/try\n").unwrap();
    dir
}

#[test]
fn it_is_a_seventh_smaller_than_with_gzip_and_its_modules_load() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    hello(&home);
    let build = |more: &[&str]| home.ok(&[&["build", "hello", "--store", "st"], more].concat());
    let quietly = |more: &[&str]| home.path(build(&[more, &["--quiet"]].concat()).trim());
    let gzip = size(&quietly(&["--compression", "gzip"]));
    let told = build(&["--best"]);
    assert!(told.contains("kernel modules are unpacked for a smaller image"), "{told}");
    let best = size(&quietly(&["--best"]));
    println!("gzip {gzip}, best {best}\n{told}");
    assert!(best * 100 <= gzip * 85, "best makes {best} bytes of {gzip}");
    let tree = names(&quietly(&["--best", "--output", "tar"]));
    assert!(tree.iter().any(|name| name.ends_with("/btrfs.ko")), "no btrfs.ko");
    assert!(!tree.iter().any(|name| name.ends_with(".ko.gz")), "a module is packed");
    let made = tree.iter().filter(|name| name.ends_with("/modules.dep.bin")).count();
    assert_eq!(made, 1, "depmod did not run");
    home.ok(&["run", "hello", "--until", "all modules are well", "--within", "400", "--quiet"]);
}

#[test]
fn what_does_not_fit_the_memory_is_refused_with_what_would_fit() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    let args = ["build", "s", "--store", "st", "--output", "kernel+initramfs"];
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\nmemory = \"160M\"\n").unwrap();
    home.ok(&args);
    let best = "name = \"small\"\nmemory = \"160M\"\ncompression = \"best\"\n";
    fs::write(dir.join("hoopy.toml"), best).unwrap();
    let said = home.fails(1, &args);
    assert!(said.contains("of 160 MiB of memory") && said.contains("linux-virt-"), "{said}");
    assert!(said.contains("are kernel modules unpacked, and with `compression = \"zstd:19\"`"), "{said}");
}

#[test]
fn a_module_that_is_not_packed_as_its_name_says_is_named() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, BROKEN);
    fs::write(dir.join("packages"), "busybox-binsh\nlinux-tiny\n").unwrap();
    let args = ["build", "s", "--best", "--mirror", "mirror", "--store", "st", "--output", "tar"];
    let said = home.fails(1, &args);
    assert!(said.contains("linux-tiny-1-r0") && said.contains("lib/modules/1/kernel/a.ko.gz"), "{said}");
}
