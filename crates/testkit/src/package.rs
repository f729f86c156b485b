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
//! dir etc/twins
//! file usr/bin/one 755 what the file holds, and a newline
//! link usr/bin/two usr/bin/one
//! symlink etc/alias twins
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hoopy_apk::index;
use hoopy_apk::package::PackageInfo;
use hoopy_apk::package::write::{DataWriter, Draft, write};
use hoopy_apk::signature::{KeyRing, SigningKey};
use hoopy_apk::tar::{Entry, Kind};
use hoopy_apk::{Record, Version};

use crate::mirror;

/// Seconds since 1970 at which every file of these packages was made.
const TIME: u64 = 1_760_000_000;

/// Makes a mirror at `to`: the stand-in's packages of `arch`, and those in `text`, which take the place
/// of the stand-in's of the same name.
///
/// # Panics
/// When it cannot be made.
pub fn extended_mirror(to: &Path, arch: &str, text: &str) {
    let mirror = mirror();
    let name = "hoopy-stand-in.rsa.pub";
    let private = mirror.keys.with_file_name("private").join("hoopy-stand-in.rsa");
    let pem = fs::read_to_string(&private).expect("the stand-in's private key");
    let key = SigningKey::from_pem(name, &pem).expect("a key");
    let mut ring = KeyRing::default();
    ring.add(name, &fs::read(mirror.keys.join(name)).expect("a public key")).expect("a public key");
    for part in ["main", "community"] {
        let from = mirror.alpine.join("v3.23").join(part).join(arch);
        let dir = to.join("v3.23").join(part).join(arch);
        fs::create_dir_all(&dir).expect("make the mirror");
        for file in fs::read_dir(&from).expect("the stand-in").flatten() {
            let _ = std::os::unix::fs::symlink(file.path(), dir.join(file.file_name()));
        }
    }
    let dir = to.join("v3.23/main").join(arch);
    let path = dir.join("APKINDEX.tar.gz");
    let mut index = index::read(&fs::read(&path).expect("the index"), &ring).expect("an index");
    let packages = text.split("package ").filter(|p| !p.trim().is_empty());
    let own: Vec<Record> = packages.map(|text| package(text, arch, &dir, &key)).collect();
    index.records.retain(|r| own.iter().all(|o| o.name != r.name));
    index.records.extend(own);
    fs::remove_file(&path).expect("replace the index");
    fs::write(&path, index::write(&index, &key).expect("sign the index")).expect("write the index");
}

fn package(text: &str, arch: &str, dir: &Path, key: &SigningKey) -> Record {
    let mut lines = text.lines();
    let (name, version) = lines.next().and_then(|l| l.split_once(' ')).expect("NAME VERSION");
    let mut record = Record::empty();
    record.name = name.into();
    record.version = Version::new(version);
    record.arch = arch.into();
    record.origin = name.into();
    record.license = "custom".into();
    record.description = "made for a test".into();
    record.build_time = TIME;
    let mut data = DataWriter::new().expect("a temporary file");
    let mut dirs = BTreeSet::new();
    for line in lines.filter(|l| !l.is_empty()) {
        let (word, rest) = line.split_once(' ').expect("WORD ...");
        let list = || rest.split_whitespace().map(|d| d.parse().expect("a dependency"));
        match word {
            "depends" => record.depends.extend(list()),
            "provides" => record.provides.extend(list()),
            "install_if" => record.install_if.extend(list()),
            "about" => record.description = rest.into(),
            _ => add(&mut data, &mut dirs, word, rest),
        }
    }
    let info = PackageInfo { record, triggers: Vec::new(), datahash: None };
    let path: PathBuf = dir.join(format!("{name}-{version}.apk"));
    let mut file = fs::File::create(path).expect("a package");
    let draft = Draft { info, scripts: Vec::new(), mtime: TIME };
    write(&draft, data, Some(key), &mut file).expect("write a package")
}

fn add(data: &mut DataWriter, dirs: &mut BTreeSet<String>, word: &str, rest: &str) {
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
    let entry = |path: &str, kind, mode| Entry { kind, mode, mtime: TIME, ..Entry::file(path.as_bytes(), 0) };
    for (cut, _) in path.match_indices('/') {
        if dirs.insert(path[..cut].to_owned()) {
            data.add(entry(&path[..cut], Kind::Dir, 0o755), &[]).expect("write a package");
        }
    }
    if kind != Kind::Dir || dirs.insert(path.to_owned()) {
        data.add(entry(path, kind, mode), content.as_bytes()).expect("write a package");
    }
}
