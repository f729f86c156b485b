//! `hoopy run` around the machine: what it says, and that nothing outlives it. The machine is a few lines of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hoopy_testkit::{Home, soon};

/// What is to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Like QEMU on a machine whose KVM is there and does not come up; else it says a word and stays.
const BROKEN_KVM: &str = r#"#!/bin/sh
case "$*" in *"-accel kvm"*) echo "failed to initialize kvm" >&2; exit 1;; esac
echo $$ >"$HOME/qemu.pid"
echo "the machine is up"
exec sleep 1000
"#;

/// A home with a system, an image that is none, and a QEMU that is none.
fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    fs::create_dir_all(home.path("s/root/etc")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\n").unwrap();
    fs::write(home.path("image.efi"), "MZ").unwrap();
    fs::write(home.path("qemu"), BROKEN_KVM).unwrap();
    fs::set_permissions(home.path("qemu"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.path("s/root/etc/fstab"), "tmpfs /tmp tmpfs\nPARTUUID=0dd5-01 /boot vfat\n").unwrap();
    home
}

fn run(home: &Home) -> Command {
    let args = ["run", "s", "--arch", std::env::consts::ARCH, "--image", "image.efi"];
    let mut command = home.command(&args);
    command.env("HOOPY_QEMU", home.path("qemu"));
    command
}

#[test]
fn a_kvm_that_does_not_come_up_is_told_and_tcg_taken() {
    let home = home();
    let out = run(&home).args(["--until", "machine is up", "--within", "30"]).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{told}");
    assert!(told.contains("image.efi with software emulation (TCG), which is slow: "), "{told}");
    let why = match fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => "but a guest of a few instructions did not get through",
        Err(_) => "/dev/kvm",
    };
    assert!(told.contains(why), "{told}");
}

#[test]
fn a_line_of_fstab_that_gets_no_disk_is_named() {
    let home = home();
    let out = run(&home).args(["--until", "machine is up", "--within", "30"]).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    let wanted = "warning: root/etc/fstab:2: no disk for PARTUUID=0dd5-01 on /boot: it names a partition";
    assert!(told.contains(wanted) && !told.contains("fstab:1"), "{told}");
}

/// Kills hoopy once its QEMU is up, which writes its number into `qemu.pid`; it is to be gone then.
pub fn ends_its_machine_when_killed(home: &Home, hoopy: &mut Command) {
    let hoopy = hoopy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut hoopy = hoopy.spawn().unwrap();
    let mut pid = String::new();
    let up = soon(PATIENCE * 3, || {
        pid = fs::read_to_string(home.path("qemu.pid")).unwrap_or_default().trim().to_owned();
        !pid.is_empty()
    });
    assert!(up);
    hoopy.kill().unwrap();
    hoopy.wait().unwrap();
    assert!(soon(PATIENCE, || !Path::new("/proc").join(&pid).exists()), "QEMU, {pid}, is still there");
}

#[test]
fn the_machine_ends_when_hoopy_is_killed() {
    let home = home();
    ends_its_machine_when_killed(&home, &mut run(&home));
}
