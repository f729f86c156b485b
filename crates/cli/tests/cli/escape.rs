//! What `setup.sh` may not do to the computer that builds, and what it may do to the image's resolver: in the sandbox and
//! in a virtual machine. `crates/sandbox/tests/escape/` has the attacks, and says what each gets in the sandbox.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hoopy_testkit::Home;

const ATTACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sandbox/tests/escape");

/// Attacks on the clock, the disk and the memory, which are the guest's own there.
const ENDLESS: [&str; 6] =
    ["endless", "endless-output", "full-disk", "deleted-file", "sparse-file", "many-sparse-files"];

/// `hello` with few packages, the network, and this `setup.sh`.
fn system(home: &Home, setup: &str) -> PathBuf {
    let dir = home.example("hello");
    fs::write(dir.join("packages"), "alpine-base\nlinux-virt\n").unwrap();
    fs::write(dir.join("hoopy.toml"), "name = \"hello\"\nnetwork = true\n").unwrap();
    fs::write(dir.join("setup.sh"), format!("#!/bin/sh\n{setup}\n")).unwrap();
    fs::set_permissions(dir.join("setup.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn build(home: &Home, dir: &Path, place: &str) -> String {
    let out = home.run(&["build", "hello", "--output", "tar", "--scripts", place, "--store", place]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{place}: {said}");
    let images = fs::read_dir(dir.join("images")).unwrap().map(|e| e.unwrap().path());
    let image = images.into_iter().find(|path| path.to_string_lossy().contains(".tar")).unwrap();
    image.to_string_lossy().into_owned()
}

/// What the image has at these paths: the target of a link, or the content.
fn contents(image: &str, paths: &[&str]) -> Vec<String> {
    let listed = |flag: &str, path: &str| {
        let out = std::process::Command::new("tar").args([flag, image, path]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let content = |path: &&str| match listed("-tvf", path).split_once(" -> ") {
        Some((_, target)) => format!("-> {target}"),
        None => listed("-xOf", path),
    };
    paths.iter().map(content).collect()
}

#[test]
fn the_image_has_the_resolver_that_setup_made_in_both_places() {
    let host = fs::read("/etc/resolv.conf").unwrap();
    let paths = ["etc/resolv.conf", "etc/hosts"];
    for (setup, resolver) in [
        (
            "grep -q nameserver /etc/resolv.conf && echo nameserver 192.0.2.7 >/etc/resolv.conf",
            "nameserver 192.0.2.7\n",
        ),
        ("ln -sf /run/resolv.conf /etc/resolv.conf", "-> /run/resolv.conf\n"),
        ("chmod -R u+r /etc && chmod 751 /etc", ""),
    ] {
        let setup = format!("set -e\n{setup}\necho 192.0.2.8 tv >>/etc/hosts");
        let made = ["native", "vm"].map(|place| {
            let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
            let dir = system(&home, &setup);
            let image = build(&home, &dir, place);
            contents(&image, &paths)
        });
        assert_eq!(made[0], made[1], "{setup}");
        assert_eq!(made[0][0], resolver, "{setup}");
        assert!(made[0][1].ends_with("192.0.2.8 tv\n"), "{made:?}");
    }
    assert_eq!(fs::read("/etc/resolv.conf").unwrap(), host);
}

#[test]
fn attacks_in_a_virtual_machine_reach_nothing_of_the_host() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = system(&home, "for file in /mnt/escape/*; do sh $file; done; true");
    fs::create_dir(dir.join("escape")).unwrap();
    for path in fs::read_dir(ATTACKS).unwrap().map(|e| e.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_some_and(|e| e == "sh") && !ENDLESS.contains(&name) {
            fs::copy(&path, dir.join("escape").join(path.file_name().unwrap())).unwrap();
        }
    }
    let state = || {
        let paths = [
            env!("CARGO_BIN_EXE_hoopy"),
            "/etc/resolv.conf",
            "/etc/hosts",
            "/dev/null",
            "/dev/full",
            "/dev/tty",
        ];
        let meta = paths.map(|path| fs::metadata(path).map(|m| (m.mode(), m.uid(), m.gid(), m.len())).ok());
        (meta, fs::read("/etc/resolv.conf").ok(), fs::read("/proc/sys/kernel/core_pattern").ok())
    };
    let before = state();
    build(&home, &dir, "vm");
    assert_eq!(state(), before);
}
