//! The tree that hoopy makes beside the one that the real `apk` installs: every path, type, mode, owner, link and
//! content. What differs is listed in docs/differences.md, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use hoopy_testkit::{Home, apk, mirror, repository};

/// Paths that differ, each with its reason in docs/differences.md.
const DIFFERENT: [&str; 10] = [
    "boot",
    "dev/console",
    "dev/null",
    "dev/pts",
    "dev/shm",
    "etc/apk/repositories",
    "etc/hoopy-release",
    "lib/apk/db/installed",
    "lib/modules/6.18.56-0-virt/initramfs-suffix",
    "var/log/apk.log",
];

/// Mode, owner, group, and a link's target or a file's content.
type Tree = BTreeMap<String, (u32, u32, u32, Vec<u8>)>;

fn tree(root: &Path, dir: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        tree.insert(name, (meta.mode(), meta.uid(), meta.gid(), content));
        if meta.is_dir() {
            self::tree(root, &path, tree);
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

#[test]
fn the_tree_is_the_one_that_the_real_apk_installs() {
    if !is_root() {
        hoopy_testkit::skip("the real apk runs package scripts in a chroot, which only root may");
        return;
    }
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let (theirs, ours) = (home.path("apk"), home.path("hoopy"));
    install(&theirs);
    let system = home.path("s");
    fs::create_dir(&system).unwrap();
    fs::copy(repository().join("examples/hello/packages"), system.join("packages")).unwrap();
    let tar = home.ok(&["build", "s", "--output", "tar", "--quiet"]);
    fs::create_dir(&ours).unwrap();
    let unpacked = Command::new("tar").arg("xpf").arg(tar.trim()).arg("-C").arg(&ours).status().unwrap();
    assert!(unpacked.success());

    let (mut a, mut b) = (Tree::new(), Tree::new());
    tree(&theirs, &theirs, &mut a);
    tree(&ours, &ours, &mut b);
    let explained = |path: &str| DIFFERENT.iter().any(|d| path == *d || path.starts_with(&format!("{d}/")));
    let mut paths: Vec<&String> = a.keys().chain(b.keys()).collect();
    paths.sort();
    paths.dedup();
    // The archive of scripts is compared by what it holds, not by how it is compressed.
    let archive = "lib/apk/db/scripts.tar.gz";
    let differ = paths.into_iter().filter(|p| *p != archive && !explained(p) && a.get(*p) != b.get(*p));
    let differ: Vec<&String> = differ.collect();
    assert!(differ.is_empty(), "{differ:?}");
    // apk 3.0.8 does not own the link that busybox made before its package came.
    let explained = |line: &str| explained(&line[2..]) || line == "A bin/sh";
    for option in ["--backup", "--system", "--full"] {
        let (a, b) = (audit(&theirs, option), audit(&ours, option));
        let differ: Vec<&String> = a.symmetric_difference(&b).filter(|line| !explained(line)).collect();
        assert!(differ.is_empty(), "apk audit {option}: {differ:?}");
    }
    assert!(a.len() > 2000, "only {} paths to compare", a.len());
}

/// What `apk audit` finds: a letter and a path a line.
fn audit(root: &Path, option: &str) -> BTreeSet<String> {
    let out =
        apk(&["audit", "--root", root.to_str().unwrap(), "--check-permissions", option]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What alpine-make-rootfs does first: keys, an empty database, the packages with their scripts.
fn install(root: &Path) {
    let mirror = mirror();
    fs::create_dir_all(root.join("etc/apk/keys")).unwrap();
    for key in fs::read_dir(&mirror.keys).unwrap() {
        let key = key.unwrap().path();
        fs::copy(&key, root.join("etc/apk/keys").join(key.file_name().unwrap())).unwrap();
    }
    let root = root.to_str().unwrap();
    let common = ["add", "--root", root, "--arch", std::env::consts::ARCH, "--no-cache", "-q"];
    assert!(apk(&[&common[..], &["--initdb"]].concat()).status().unwrap().success());
    let repository_dir = mirror.alpine.join("v3.23/main");
    let packages = fs::read_to_string(repository().join("examples/hello/packages")).unwrap();
    let packages: Vec<&str> = packages.lines().filter(|l| !l.starts_with('#')).collect();
    let from = ["--repository", repository_dir.to_str().unwrap()];
    let out = apk(&[&common[..], &from, &packages].concat()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
