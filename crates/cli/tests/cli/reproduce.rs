//! `hoopy build --check`: what differs between two builds of the same, and whose fault it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use hoopy_testkit::{Home, package, soon};

/// Generous: a first build on a busy machine.
const LONG: Duration = Duration::from_secs(300);

const PACKAGES: &str = "package linux-tiny 1-r0\nfile boot/vmlinuz-tiny 644 no kernel\n\
    package quirky 1-r0\nscript post-install test -e /etc/calm || cat /proc/sys/kernel/random/uuid >/etc/quirk\n";

/// What `build --check` says of a system with this `setup.sh`, and its exit code; it must leave nothing behind.
fn checked(world: &str, setup: &str, args: &[&str]) -> (Option<i32>, String) {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, PACKAGES);
    fs::write(dir.join("packages"), format!("busybox-binsh\nlinux-tiny\n{world}\n")).unwrap();
    fs::write(dir.join("setup.sh"), format!("#!/bin/sh\nset -e\n{setup}\n")).unwrap();
    fs::set_permissions(dir.join("setup.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir(home.path("temp")).unwrap();
    let all =
        [&["build", "s", "--check", "--mirror", "mirror", "--output", "tar", "--store", "st"], args].concat();
    let out = home.command(&all).env("TMPDIR", home.path("temp")).output().unwrap();
    assert_eq!(fs::read_dir(home.path("temp")).unwrap().count(), 0, "something is left");
    (out.status.code(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8_lossy(&out.stderr))
}

#[test]
fn a_kill_in_the_second_build_leaves_nothing_that_the_next_does_not_sweep() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    fs::create_dir(home.path("temp")).unwrap();
    let build = ["build", "s", "--output", "tar", "--store", "st", "--quiet"];
    let mut command = home.command(&[&build[..], &["--check"]].concat());
    let mut child = command.env("TMPDIR", home.path("temp")).stderr(Stdio::null()).spawn().unwrap();
    let left = || {
        let entries = fs::read_dir(home.path("st/tmp")).into_iter().flatten().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().starts_with("work-")).count()
    };
    assert!(soon(LONG, || left() > 0), "no second build began");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(), 1, "the second build was over already");
    assert_eq!(fs::read_dir(home.path("temp")).unwrap().count(), 0, "something is left in TMPDIR");
    home.ok(&build);
    assert_eq!(left(), 0, "what the kill left is there still");
}

#[test]
fn what_depends_on_nothing_else_comes_out_the_same_elsewhere() {
    let setup = "echo $SOURCE_DATE_EPOCH $PWD >/etc/made; hostname >>/etc/made; ls -l /mnt/root/etc | wc -l >>/etc/made";
    let (code, said) = checked("", setup, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("reproducible: built twice, with the same result"), "{said}");
}

#[test]
fn a_time_is_named_with_its_file_and_script() {
    let (code, said) = checked("", "date >/etc/made; sleep 1; date +%s >/etc/zulu", &[]);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("not reproducible: /etc/made: contents, from line 1 on"), "{said}");
    assert!(said.contains("layer     setup.sh") && said.contains("SOURCE_DATE_EPOCH"), "{said}");
    assert!(said.contains("also      etc/zulu"), "{said}");
}

#[test]
fn a_random_key_and_another_order_are_told_apart() {
    let (code, said) = checked("", "head -c 64 /dev/urandom >/etc/ssh_host_key", &[]);
    assert!(
        code == Some(8) && said.contains("from byte 0 on") && said.contains("cause     perhaps: random"),
        "{said}"
    );
    let shuffled = "i=0; while [ $i -lt 64 ]; do echo $i; i=$((i+1)); done | sort -R >/etc/list || \
                    { seq 64 | shuf >/etc/list; }";
    let (code, said) = checked("", shuffled, &["--json"]);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("\"cause\": \"order\"") && said.contains("\"reproducible\": false"), "{said}");
}

#[test]
fn the_lowest_layer_that_differs_is_the_one_at_fault() {
    let (code, said) = checked("quirky", "cp /etc/quirk /etc/another", &[]);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("layer     quirky-1-r0.post-install") && said.contains("/etc/quirk:"), "{said}");
}
