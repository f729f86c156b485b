//! Packages of a test's own, in a mirror of its own: the stand-in's packages and these.
//!
//! A package is written down as a text, in which hard links, which a directory in git cannot hold, are a line:
//!
//! ```text
//! package NAME VERSION
//! depends NAME...
//! provides NAME[=VERSION]...
//! install_if NAME...
//! about what it says of itself
//! arch noarch
//! priority 10
//! dir etc/twins
//! file usr/bin/one 755 what the file holds, and a newline
//! link usr/bin/two usr/bin/one
//! symlink etc/alias twins
//! script post-install what the script does, in one line
//! ```

use std::fs;
use std::path::Path;

use hoopy_apk::index::{self, Index};
use hoopy_apk::package::ScriptKind;
use hoopy_apk::signature::{KeyRing, SigningKey};
use hoopy_apk::tar::Kind;
use hoopy_apk::{Checksum, Record};

use crate::maker::{self, Maker};
use crate::mirror;

/// The stand-in's public key, in `--keys`.
const KEY: &str = "hoopy-stand-in.rsa.pub";

/// The stand-in's branch.
const BRANCH: &str = "3.23";

/// Makes a mirror at `to`: the stand-in's packages of `arch`, and those in `text`, which take the place
/// of the stand-in's of the same name.
///
/// # Panics
/// When it cannot be made.
pub fn extended_mirror(to: &Path, arch: &str, text: &str) {
    extended_branch(to, BRANCH, arch, text);
    latest_stable(to, BRANCH);
}

/// Makes a branch of a mirror at `to` in the same way.
///
/// # Panics
/// When it cannot be made.
pub fn extended_branch(to: &Path, branch: &str, arch: &str, text: &str) {
    let packages = text.split("package ").filter(|p| !p.trim().is_empty());
    branch_with(to, branch, arch, |dir, key| packages.map(|text| package(text, arch, dir, key)).collect());
}

/// Lets `latest-stable` of the mirror at `to` be this branch.
///
/// # Panics
/// When it cannot be linked.
pub fn latest_stable(to: &Path, branch: &str) {
    let link = to.join("latest-stable");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(format!("v{branch}"), link).expect("link latest-stable");
}

/// The same with packages that `make` puts into a directory, signed with a key.
///
/// # Panics
/// When it cannot be made.
pub fn extended_mirror_with(to: &Path, arch: &str, make: impl FnOnce(&Path, &SigningKey) -> Vec<Record>) {
    branch_with(to, BRANCH, arch, make);
    latest_stable(to, BRANCH);
}

/// Makes a mirror at `to` that has nothing but what `make` puts into a directory, signed with a key.
///
/// # Panics
/// When it cannot be made.
pub fn own_mirror(to: &Path, arch: &str, make: impl FnOnce(&Path, &SigningKey) -> Vec<Record>) {
    let key = key();
    let branch = to.join(format!("v{BRANCH}"));
    let mut make = Some(make);
    for part in ["main", "community"] {
        let dir = branch.join(part).join(arch);
        fs::create_dir_all(&dir).expect("make the mirror");
        let records = make.take().map(|make| make(&dir, &key)).unwrap_or_default();
        let index = Index { description: "made for a test".into(), records };
        fs::write(dir.join("APKINDEX.tar.gz"), index::write(&index, &key).expect("sign the index"))
            .expect("write the index");
    }
    latest_stable(to, BRANCH);
}

fn branch_with(to: &Path, branch: &str, arch: &str, make: impl FnOnce(&Path, &SigningKey) -> Vec<Record>) {
    let mirror = mirror();
    let key = key();
    let mut ring = KeyRing::default();
    ring.add(KEY, &fs::read(mirror.keys.join(KEY)).expect("a public key")).expect("a public key");
    for part in ["main", "community"] {
        let from = mirror.alpine.join(format!("v{BRANCH}")).join(part).join(arch);
        let dir = to.join(format!("v{branch}")).join(part).join(arch);
        fs::create_dir_all(&dir).expect("make the mirror");
        for file in fs::read_dir(&from).expect("the stand-in").flatten() {
            let _ = std::os::unix::fs::symlink(file.path(), dir.join(file.file_name()));
        }
    }
    let dir = to.join(format!("v{branch}/main")).join(arch);
    let path = dir.join("APKINDEX.tar.gz");
    let mut index = index::read(&fs::read(&path).expect("the index"), &ring).expect("an index");
    let own = make(&dir, &key);
    index.records.retain(|r| own.iter().all(|o| o.name != r.name));
    index.records.extend(own);
    index.description = format!("v{branch} stand-in of a test");
    fs::remove_file(&path).expect("replace the index");
    fs::write(&path, index::write(&index, &key).expect("sign the index")).expect("write the index");
}

/// Makes a signed index of the packages in `text` at `dir`, without the packages: for worlds that nothing fits.
///
/// # Panics
/// When it cannot be made.
pub fn index_alone(dir: &Path, arch: &str, text: &str) {
    let packages = text.split("package ").filter(|p| !p.trim().is_empty());
    let records = packages.map(|text| {
        let (mut record, rest) = head(text, arch);
        // Two that read the same are one package; the digest is no matter but for that.
        let sum =
            text.bytes().fold(7_u128, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u128::from(byte));
        let mut digest = [0; 20];
        digest[..16].copy_from_slice(&sum.to_le_bytes());
        record.checksum = Checksum::Sha1(digest);
        // One without size is no package of its own to apk, and needs no pin.
        (record.size, record.installed_size) = (1000, 1000);
        rest.iter().for_each(|line| assert!(describe(&mut record, line), "an index cannot hold: {line}"));
        record
    });
    let index = Index { description: "made for a test".into(), records: records.collect() };
    fs::create_dir_all(dir).expect("make the repository");
    let bytes = index::write(&index, &key()).expect("sign the index");
    fs::write(dir.join("APKINDEX.tar.gz"), bytes).expect("write the index");
}

/// The stand-in's key.
fn key() -> SigningKey {
    let private = mirror().keys.with_file_name("private").join("hoopy-stand-in.rsa");
    let pem = fs::read_to_string(&private).expect("the stand-in's private key");
    SigningKey::from_pem(KEY, &pem).expect("a key")
}

/// The record that the first line makes, and the lines after it.
fn head<'t>(text: &'t str, arch: &str) -> (Record, Vec<&'t str>) {
    let mut lines = text.lines();
    let (name, version) = lines.next().and_then(|l| l.split_once(' ')).expect("NAME VERSION");
    let record = maker::record(name, version, arch);
    (record, lines.filter(|l| !l.trim().is_empty()).collect())
}

/// Takes a line that is about the package, not in it; whether it is one.
fn describe(record: &mut Record, line: &str) -> bool {
    let (word, rest) = line.trim().split_once(' ').expect("WORD ...");
    let list = || rest.split_whitespace().map(|d| d.parse().expect("a dependency"));
    match word {
        "depends" => record.depends.extend(list()),
        "provides" => record.provides.extend(list()),
        "install_if" => record.install_if.extend(list()),
        "about" => record.description = rest.into(),
        "arch" => record.arch = rest.into(),
        "priority" => record.provider_priority = rest.parse().expect("a number"),
        _ => return false,
    }
    true
}

fn package(text: &str, arch: &str, dir: &Path, key: &SigningKey) -> Record {
    let (record, lines) = head(text, arch);
    let mut made = Maker::new(record);
    for line in lines {
        if describe(&mut made.record, line) {
            continue;
        }
        let (word, rest) = line.split_once(' ').expect("WORD ...");
        if word == "script" {
            made.scripts.push(script(rest));
        } else {
            add(&mut made, word, rest);
        }
    }
    made.write(dir, key)
}

fn script(text: &str) -> (ScriptKind, Vec<u8>) {
    let (kind, body) = text.split_once(' ').expect("script KIND BODY");
    let kind = ScriptKind::from_name(kind).expect("a kind of script");
    (kind, format!("#!/bin/sh\n{body}\n").into_bytes())
}

fn add(to: &mut Maker, word: &str, rest: &str) {
    let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (kind, mode, content) = match word {
        "dir" => (Kind::Dir, 0o755, String::new()),
        "link" => (Kind::Hardlink(rest.into()), 0o644, String::new()),
        "symlink" => (Kind::Symlink(rest.into()), 0o777, String::new()),
        "file" => {
            let (mode, content) = rest.split_once(' ').expect("file PATH MODE CONTENT");
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            (Kind::File(0), mode, format!("{content}\n"))
        }
        other => panic!("a package cannot hold: {other}"),
    };
    to.add(path, kind, mode, content.as_bytes());
}
