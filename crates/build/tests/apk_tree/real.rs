//! The real apk, installing into a directory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use crate::outcome::{Outcome, is_compared, line, stanzas};
use crate::world::SHELL;

/// Installs the packages in `files` into `root`. Gives what came of it and the packages in the order of installation.
pub fn install(files: &Path, root: &Path) -> (Outcome, Vec<String>) {
    shell(&root.join(SHELL));
    let mut apk =
        hoopy_testkit::apk(&["add", "--initdb", "--arch", "x86_64", "--allow-untrusted", "--no-network"]);
    // Its root is in memory, where apk warns of losing what it installs.
    apk.arg("--force-non-repository");
    apk.args(["--repositories-file", "/dev/null", "--root"]).arg(root);
    let mut names: Vec<_> = fs::read_dir(files).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let out = apk.args(names).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let order =
        said.lines().filter_map(|l| l.split_once(") Installing ")).filter_map(|(_, rest)| label(rest));
    let outcome = if out.status.success() { installed(root) } else { Outcome::Refused };
    (outcome, order.collect())
}

/// `NAME-VERSION` of `NAME (VERSION)`.
fn label(text: &str) -> Option<String> {
    let (name, version) = text.split_once(" (")?;
    Some(format!("{name}-{}", version.trim_end_matches(')')))
}

/// A shell for scripts that nothing of the made-up packages can touch.
fn shell(dir: &Path) {
    let apk_root = hoopy_testkit::mirror().apk_root;
    fs::create_dir_all(dir).unwrap();
    fs::copy(apk_root.join("lib/ld-musl-x86_64.so.1"), dir.join("ld")).unwrap();
    fs::copy(apk_root.join("bin/busybox"), dir.join("busybox")).unwrap();
    for name in ["sh", "mkdir", "chmod", "ln", "rm"] {
        symlink("busybox", dir.join(name)).unwrap();
    }
}

fn installed(root: &Path) -> Outcome {
    let mut tree = BTreeMap::new();
    walk(root, root, &mut tree);
    let database = fs::read_to_string(root.join("lib/apk/db/installed")).unwrap();
    Outcome::Installed { tree, database: stanzas(&database) }
}

fn walk(root: &Path, dir: &Path, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let meta = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = if meta.is_dir() {
            walk(root, &path, tree);
            ('d', Vec::new())
        } else if meta.is_symlink() {
            ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            ('f', fs::read(&path).unwrap())
        };
        if is_compared(&name) {
            tree.insert(name, line(kind, meta.mode() & 0o7777, (meta.uid(), meta.gid()), &content));
        }
    }
}
