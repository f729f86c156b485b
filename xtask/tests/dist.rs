//! What `cargo xtask dist` makes, each unpacked or installed by the program that it is for, and the program run from there.
//!
//! The program is the one that tests have built, so that nothing is compiled: it is packed as a release would be.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use hoopy_testkit::{Home, apk, skip};

use common::{ARCH, VERSION, builds_hello, deb, dist, ok, program, release, said};

/// The program, manual pages, completions and licences are below `prefix`, and the program runs.
fn is_complete(prefix: &Path, zsh: &str) {
    let version = said(Command::new(prefix.join("bin/hoopy")).arg("--version").env_clear());
    assert_eq!(version, format!("hoopy {VERSION}\n"));
    let page = said(Command::new("gzip").arg("-dc").arg(prefix.join("share/man/man1/hoopy-build.1.gz")));
    assert!(page.starts_with(".ie \\n(.g .ds Aq"), "{}", page.lines().next().unwrap());
    for file in [
        "share/man/man1/hoopy.1.gz",
        "share/bash-completion/completions/hoopy",
        "share/fish/vendor_completions.d/hoopy.fish",
        zsh,
        "share/doc/hoopy/LICENSE-MIT",
        "share/doc/hoopy/README.md",
    ] {
        assert!(prefix.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    // Where the program looks for it; `cargo xtask test` has built it.
    let agent = prefix.join(format!("lib/hoopy/hoopyd-{ARCH}"));
    if agent.exists() {
        let out = Command::new(agent).arg("--help").env_clear().output().unwrap();
        assert!(out.status.code().is_some(), "the agent runs: {}", out.status);
    } else {
        skip("the agent is not built: cargo xtask hoopyd");
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_the_checksums_are_theirs() {
    let Some(first) = release() else { return };
    let again = tempfile::tempdir().unwrap();
    dist(&program().unwrap(), &again.path().join("dist"), &[]);
    let sums = |dir: &Path| fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(first), sums(&again.path().join("dist")));
    ok(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(first));
    assert_eq!(sums(first).lines().count(), 3);
}

#[test]
fn the_archive_runs_where_it_is_unpacked() {
    let Some(dist) = release() else { return };
    let to = tempfile::tempdir().unwrap();
    let name = format!("hoopy-{VERSION}-{ARCH}-linux");
    ok(Command::new("tar").arg("-xzf").arg(dist.join(format!("{name}.tar.gz"))).arg("-C").arg(to.path()));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
    let prefix = to.path().join(name);
    is_complete(&prefix, "share/zsh/site-functions/_hoopy");
    let home = Home::new("");
    let hello = home.example("hello");
    let command = |args: &[&str]| home.command_of(&prefix.join("bin/hoopy"), args);
    builds_hello(&hello, &command);
}

#[test]
fn dpkg_installs_the_deb_verifies_it_and_removes_it() {
    let Some(dist) = release() else { return };
    let root = tempfile::tempdir().unwrap();
    for dir in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.path().join("var/lib/dpkg").join(dir)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |args: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg("--root").arg(root.path()).args(["--force-not-root", "--log=/dev/null"]).args(args);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    ok(&mut dpkg(&["--install", deb(dist).to_str().unwrap()]));
    is_complete(&root.path().join("usr"), "share/zsh/vendor-completions/_hoopy");
    let status = said(&mut dpkg(&["--status", "hoopy"]));
    assert!(status.contains("Status: install ok installed\n"), "{status}");
    assert!(status.contains(&format!("Version: {VERSION}\n")), "{status}");
    let listed = said(&mut dpkg(&["--listfiles", "hoopy"]));
    assert!(listed.starts_with("/.\n") && listed.contains("/usr/share/doc/hoopy/copyright\n"), "{listed}");
    ok(&mut dpkg(&["--remove", "hoopy"]));
    assert!(!root.path().join("usr/bin/hoopy").exists());
}

#[test]
fn apk_installs_the_package_and_removes_it() {
    let Some(dist) = release() else { return };
    let root = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = apk(&["--root", root.path().to_str().unwrap(), "--arch", ARCH, "--no-network"]);
        command.arg("--no-cache");
        if !rustix::process::geteuid().is_root() {
            command.arg("--usermode");
        }
        command.args(args);
        command
    };
    ok(&mut run(&["add", "--initdb"]));
    let file = dist.join(format!("hoopy-{VERSION}-r0.{ARCH}.apk"));
    let refused = run(&["add", file.to_str().unwrap()]).output().unwrap();
    assert!(!refused.status.success(), "it is not signed, which apk says");
    ok(&mut run(&["add", "--allow-untrusted", file.to_str().unwrap()]));
    is_complete(&root.path().join("usr"), "share/zsh/site-functions/_hoopy");
    let listed = said(&mut run(&["list", "--installed"]));
    assert!(listed.starts_with(&format!("hoopy-{VERSION}-r0 {ARCH}")), "{listed}");
    assert_eq!(said(&mut run(&["audit", "--packages", "hoopy"])), "");
    ok(&mut run(&["del", "hoopy"]));
    assert!(!root.path().join("usr/bin/hoopy").exists());
}
