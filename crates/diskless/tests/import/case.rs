//! One case: the overlay made, imported, told, built and compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use hoopy_apk::tar::{self, Writer};
use hoopy_base::jobs::Jobs;
use hoopy_base::report::Silent;
use hoopy_build::check;
use hoopy_build::config::{Overrides, System};
use hoopy_build::context::Context;
use hoopy_build::fetch::Client;
use hoopy_build::road;
use hoopy_build::runner::native::Native;
use hoopy_build::target::Target;
use hoopy_diskless::import::secrets::Policy;
use hoopy_diskless::import::{Options, Unfinished, import};
use hoopy_diskless::source::{self, Access, Source};
use hoopy_sandbox::{Limits, Sandbox, SandboxConfig};
use hoopy_store::Store;

use crate::proof;

/// The epoch of all overlays.
const TIME: u64 = 1_790_000_000;

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The entries of the case's overlay by path.
fn entries(case: &Path) -> BTreeMap<String, (tar::Entry, Vec<u8>)> {
    let mut entries = BTreeMap::new();
    walk(&case.join("overlay"), "", &mut entries);
    for line in read(case.join("tree")).lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (mode, owner, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (path, kind) = match rest {
            _ if rest.contains(" => ") => {
                let (path, target) = rest.split_once(" => ").unwrap();
                (path, Some(tar::Kind::Hardlink(target.into())))
            }
            _ if rest.contains(" -> ") => {
                let (path, target) = rest.split_once(" -> ").unwrap();
                (path, Some(tar::Kind::Symlink(target.into())))
            }
            _ if rest.ends_with(" c 1 3") => (rest.trim_end_matches(" c 1 3"), Some(tar::Kind::Char(1, 3))),
            _ if rest.ends_with('/') => (rest.trim_end_matches('/'), Some(tar::Kind::Dir)),
            _ => (rest, None),
        };
        let (uid, gid) = owner.split_once(':').unwrap();
        let new = || (tar::Entry::file(path.as_bytes(), 0), Vec::new());
        let (entry, _) = entries.entry(path.to_owned()).or_insert_with(new);
        entry.mode = u32::from_str_radix(mode, 8).unwrap();
        (entry.uid, entry.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
        if let Some(kind) = kind {
            entry.kind = kind;
        }
    }
    entries
}

fn walk(dir: &Path, inside: &str, entries: &mut BTreeMap<String, (tar::Entry, Vec<u8>)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let mut made = tar::Entry { mtime: TIME, ..tar::Entry::file(path.as_bytes(), meta.len()) };
        let mut bytes = Vec::new();
        if meta.is_dir() {
            (made.kind, made.mode) = (tar::Kind::Dir, 0o755);
            walk(&entry.path(), &path, entries);
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes();
            (made.kind, made.mode) = (tar::Kind::Symlink(target), 0o777);
        } else {
            bytes = fs::read(entry.path()).unwrap();
            made.mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
        }
        entries.insert(path, (made, bytes));
    }
}

/// The overlay as lbu writes it.
fn archive(case: &Path) -> Vec<u8> {
    let mut writer = Writer::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (entry, bytes) in entries(case).values() {
        writer.entry(entry).unwrap();
        writer.write_all(bytes).unwrap();
    }
    let bytes = writer.finish(true).unwrap().finish().unwrap();
    let encrypted = read(case.join("encrypted"));
    let Some((cipher, passphrase)) = encrypted.trim().split_once(' ') else { return bytes };
    let mut openssl = Command::new("openssl")
        .args(["enc", &format!("-{cipher}"), "-salt", "-pass", &format!("pass:{passphrase}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(&bytes).unwrap();
    openssl.wait_with_output().unwrap().stdout
}

/// What was written, as text: each file of the directory, and what `root/` holds.
fn dump(dir: &Path) -> String {
    let mut text = String::new();
    for name in ["packages", "hoopy.toml", "setup.sh", ".gitignore", "passwords"] {
        if dir.join(name).exists() {
            write!(text, "==> {name}\n{}", read(dir.join(name))).unwrap();
        }
    }
    text += "==> root/\n";
    let found = Command::new("find")
        .args(["root", "keys", "-printf", "%M %p %l\n"])
        .current_dir(dir)
        .output()
        .unwrap();
    let mut lines: Vec<String> =
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with('d'));
    lines.sort_by_key(|line| line.split_once(' ').map(|(_, path)| path.to_owned()));
    text + &lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
}

pub fn run(case: &Path) {
    let home = tempfile::tempdir().unwrap();
    let name = case.file_name().unwrap().to_str().unwrap();
    let cipher =
        read(case.join("encrypted")).split(' ').next().filter(|c| !c.is_empty()).map(|c| format!(".{c}"));
    let overlay_file = home.path().join(format!("box.apkovl.tar.gz{}", cipher.unwrap_or_default()));
    fs::write(&overlay_file, archive(case)).unwrap();
    let mirror = home.path().join("mirror");
    let packages = read(case.join("packages"));
    hoopy_testkit::package::extended_mirror(&mirror, std::env::consts::ARCH, &packages);
    // Of edge, for tags.
    std::os::unix::fs::symlink("v3.23", mirror.join("edge")).unwrap();
    std::os::unix::fs::symlink("community", mirror.join("v3.23/testing")).unwrap();
    let over = Overrides {
        mirror: Some(mirror.to_string_lossy().into_owned()),
        keys: Some(hoopy_testkit::mirror().keys),
        ..Overrides::default()
    };
    let store = Arc::new(Store::open(&home.path().join("store")).unwrap());
    let (client, jobs) = (Client::default(), Jobs::default());
    let context = Context { store: &store, client: &client, jobs: &jobs, observer: &Silent };
    let passphrase = read(case.join("encrypted")).trim().split_once(' ').map(|(_, p)| p.to_owned());
    let mut ask = |_: &str| Ok(passphrase.clone().unwrap().into_bytes());
    let mut access =
        Access { client: &client, passphrase: &mut ask, remote: &mut |_, _| unreachable!("no machine") };
    let source = Source::Path(overlay_file.clone());
    let overlay = source::read(&source, &mut access).unwrap();
    let options = read(case.join("options"));
    let dir = home.path().join("box");
    let own = Options {
        dir: dir.clone(),
        kernel: Some(
            options.lines().find_map(|line| line.strip_prefix("kernel ")).unwrap_or("virt").to_owned(),
        ),
        branch: None,
        arch: None,
        over: over.clone(),
        secrets: if options.contains("plain-secrets") { Policy::Plain } else { Policy::Refuse },
        unfinished: Unfinished::default(),
    };
    let sandbox = |_: &Target| {
        let helper = std::env::current_exe()?;
        let sandbox =
            Sandbox::new(SandboxConfig { helper, lowers: store.lowers(), limits: Limits::default() })?;
        Ok(Box::new(Native::new(sandbox)) as Box<dyn hoopy_build::stack::Runner>)
    };
    let report = import(&source, &overlay, own, &mut { sandbox }, context).unwrap();

    let target = Target::resolve(System::load(&dir, &over).unwrap(), None).unwrap();
    let built = road::root(&target, &mut *sandbox(&target).unwrap(), context)
        .unwrap_or_else(|e| panic!("{name}: the imported directory does not build: {e}\n{}", dump(&dir)));
    let findings = check::image(&target, &built, &store).unwrap();
    let mut text = dump(&dir);
    write!(text, "==> IMPORT.md\n{report}").unwrap();
    text += "==> hoopy check\n";
    findings.iter().for_each(|finding| writeln!(text, "{}: {finding}", finding.severity).unwrap());
    let text = text.replace(&home.path().display().to_string(), "HOME");
    let expected_file = case.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected_file, &text).unwrap();
    }
    let lost = proof::lost(&overlay, &built, &store, &report, options.contains("plain-secrets"));
    assert!(lost.is_empty(), "{name}: lost without a word:\n{}\n{text}", lost.join("\n"));
    let expected = read(expected_file);
    assert!(text == expected, "{name}\nexpected:\n{expected}\nfound:\n{text}");
}
