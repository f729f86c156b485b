//! Made-up packages, as a text: what cases hold, and what random worlds are printed as.
//!
//! ```text
//! package NAME VERSION
//! origin NAME
//! priority 3
//! replaces NAME[<VERSION]
//! depends NAME
//! dir PATH MODE UID:GID
//! file PATH MODE UID:GID CONTENT
//! link PATH TARGET
//! hard PATH MODE UID:GID FIRST
//! pre-install mkdir MODE PATH | chmod MODE PATH | write PATH TEXT | symlink TARGET PATH
//! post-install the same
//! trigger the same
//! triggers PATTERN
//! ```

use std::fs::File;
use std::path::Path;

use hoopy_apk::package::write::{DataWriter, NewPackage, write};
use hoopy_apk::package::{PackageInfo, ScriptKind};
use hoopy_apk::tar::{Entry, Kind};
use hoopy_testkit::maker;

/// A package of a world: the lines of its text.
pub struct Made {
    /// `NAME-VERSION`
    pub label: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// Where the shell of the scripts is, in a root of the real apk alone.
pub const SHELL: &str = "shell";

/// The packages of a text, written into `dir`.
pub fn make(text: &str, dir: &Path) -> Vec<Made> {
    let packages = text.split("package ").filter(|p| !p.trim().is_empty() && !p.starts_with('#'));
    packages.map(|text| one(text, dir)).collect()
}

fn one(text: &str, dir: &Path) -> Made {
    let mut lines = text.lines();
    let (name, version) = lines.next().and_then(|l| l.split_once(' ')).unwrap();
    let mut record = maker::record(name, version, "x86_64");
    let (mut data, mut scripts) = (DataWriter::new().unwrap(), Vec::<(ScriptKind, Vec<u8>)>::new());
    let mut triggers = Vec::new();
    for line in lines.filter(|l| !l.trim().is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "origin" => record.origin = rest.into(),
            "priority" => record.replaces_priority = rest.parse().unwrap(),
            "replaces" => record.replaces.push(rest.parse().unwrap()),
            "depends" => record.depends.push(rest.parse().unwrap()),
            "triggers" => triggers.push(rest.to_owned()),
            "pre-install" | "post-install" | "trigger" => script(&mut scripts, word, rest),
            _ => {
                let (entry, content) = entry(word, rest);
                data.add(Entry { mtime: 1_760_000_000, ..entry }, content.as_bytes()).unwrap();
            }
        }
    }
    let info = PackageInfo { record, triggers, datahash: None };
    let path = dir.join(format!("{name}-{version}.apk"));
    let draft = NewPackage { info, scripts, mtime: 0 };
    write(&draft, data, None, &mut File::create(&path).unwrap()).unwrap();
    Made { label: format!("{name}-{version}"), bytes: std::fs::read(path).unwrap() }
}

/// One more command of a script; each tells a shell what it tells [`crate::script`].
fn script(scripts: &mut Vec<(ScriptKind, Vec<u8>)>, kind: &str, command: &str) {
    let kind = ScriptKind::from_name(kind).unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let run = |program: &str| format!("/{SHELL}/ld /{SHELL}/{program}");
    let line = match words[..] {
        ["mkdir", mode, path] => format!("{} -m {mode} -p /{path}", run("mkdir")),
        ["chmod", mode, path] => format!("{} {mode} /{path}", run("chmod")),
        ["symlink", target, path] => format!("{} -s {target} /{path}", run("ln")),
        ["write", path, text] => format!("{} -f /{path} && echo {text} > /{path}", run("rm")),
        _ => panic!("no such command: {command}"),
    };
    let line = format!("{line} || : # {command}\n");
    match scripts.iter_mut().find(|(k, _)| *k == kind) {
        Some((_, body)) => body.extend(line.bytes()),
        None => scripts.push((kind, format!("#!/{SHELL}/ld /{SHELL}/sh\n{line}").into_bytes())),
    }
}

fn entry(word: &str, rest: &str) -> (Entry, String) {
    let words: Vec<&str> = rest.split(' ').collect();
    let of = |kind, mode: &str, owner: &str| {
        let (uid, gid) = owner.split_once(':').unwrap();
        let mode = u32::from_str_radix(mode, 8).unwrap();
        let blank = Entry::file(words[0].as_bytes(), 0);
        Entry {
            kind,
            mode,
            uid: uid.parse().unwrap(),
            gid: gid.parse().unwrap(),
            uname: String::new(),
            gname: String::new(),
            ..blank
        }
    };
    match (word, &words[..]) {
        ("dir", [_, mode, owner]) => (of(Kind::Dir, mode, owner), String::new()),
        ("file", [_, mode, owner, content]) => (of(Kind::File(0), mode, owner), (*content).to_owned()),
        ("link", [_, target]) => (of(Kind::Symlink((*target).into()), "777", "0:0"), String::new()),
        ("hard", [_, mode, owner, first]) => {
            (of(Kind::Hardlink((*first).into()), mode, owner), String::new())
        }
        _ => panic!("a package cannot hold: {word} {rest}"),
    }
}
