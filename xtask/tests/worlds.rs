//! The packages of a release in the systems that they are for: a Debian by debootstrap and an Alpine Linux by apk. hoopy is
//! installed there, says what it can do, and builds examples/hello.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_testkit::{Home, apk, skip};

use common::{ARCH, VERSION, builds_hello, deb, ok, release, said};

/// Makes $1 the root, with $2 (the mirror) and $3 (a home) in it. Not chroot(1): in one the kernel makes no user namespaces.
const ENTER: &str = r#"
set -e
mount --bind "$1" "$1"
cd "$1"
mkdir -p proc sys dev mirror home/hoopy
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount --bind "$2" mirror
mount --bind "$3" home/hoopy
pivot_root . .
umount -l .
shift 3
cd /home/hoopy
exec "$@""#;

/// A program of another root.
fn inside(root: &Path, home: &Path, args: &[&str]) -> Command {
    let mirror = hoopy_testkit::mirror().alpine.canonicalize().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-c", ENTER, "enter"]);
    command.arg(root).arg(mirror.parent().unwrap()).arg(home).args(args).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/home/hoopy");
    command.env("HOOPY_MIRROR", "/mirror/alpine").env("HOOPY_KEYS", "/mirror/keys");
    command
}

/// The installed hoopy builds there.
fn builds_in(root: &Path) {
    let home = Home::new("");
    let hello = home.example("hello");
    builds_hello(&hello, &|args| inside(root, &home.path(""), &[&["hoopy"], args].concat()));
}

/// From the mirror that apt uses here: minutes and 60 MB the first time.
#[test]
#[ignore = "downloads a Debian, as root: `cargo xtask prove` runs it"]
fn the_deb_is_installed_in_a_debian_and_builds_there() {
    let Some(dist) = release() else { return };
    let root = debian();
    fs::copy(deb(dist), root.join("hoopy.deb")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| inside(&root, home.path(), args);
    ok(&mut run(&["dpkg", "-i", "/hoopy.deb"]));
    builds_in(&root);
    assert_eq!(said(&mut run(&["dpkg", "-V", "hoopy"])), "");
    ok(&mut run(&["dpkg", "-r", "hoopy"]));
}

#[test]
#[ignore = "installs an Alpine Linux, as root: `cargo xtask prove` runs it"]
fn the_apk_is_installed_in_an_alpine_linux_and_builds_there() {
    if std::env::var_os("HOOPY_TEST_RELEASE").is_none() {
        skip(
            "what tests have built is not static: run `cargo xtask dist`, and set HOOPY_TEST_RELEASE=target/dist",
        );
        return;
    }
    let Some(dist) = release() else { return };
    let root = tempfile::tempdir().unwrap();
    let mirror = hoopy_testkit::mirror();
    let run = |args: &[&str]| {
        let mut command = apk(&["--root", root.path().to_str().unwrap(), "--arch", ARCH, "--no-cache"]);
        command.arg("--keys-dir").arg(&mirror.keys).args(args);
        command
    };
    let repository = mirror.alpine.join("latest-stable/main");
    let repository = repository.to_str().unwrap();
    ok(&mut run(&["add", "--initdb", "--repository", repository, "alpine-baselayout", "busybox"]));
    let file = dist.join(format!("hoopy-{VERSION}-r0.{ARCH}.apk"));
    ok(&mut run(&["add", "--no-network", "--allow-untrusted", file.to_str().unwrap()]));
    builds_in(root.path());
    assert_eq!(said(&mut run(&["audit", "--packages", "hoopy"])), "");
}

/// The smallest Debian that has dpkg, made once; its packages are kept, which debootstrap compares with their digests.
fn debian() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(3).unwrap();
    let (root, kept) = (target.join("debian-bookworm"), target.join("debian-packages"));
    if !root.join("made").exists() {
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&kept).unwrap();
        let mut command = Command::new("debootstrap");
        command.args(["--variant=minbase", "--cache-dir"]).arg(&kept);
        command.arg("bookworm").arg(&root).arg(mirror());
        ok(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
        fs::write(root.join("made"), "").unwrap();
    }
    root
}

/// The address that apt has its packages from.
fn mirror() -> String {
    let text = said(Command::new("apt-cache").arg("policy"));
    let line = text.lines().find(|line| line.contains("bookworm/main") && line.contains("http"));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap().to_owned()
}
