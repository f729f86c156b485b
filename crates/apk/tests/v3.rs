//! Packages and indexes of apk 3 as the real apk (`HOOPY_APK_ROOT`) makes them: read, and compared with what the same
//! apk installs of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod common;

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::oracle::Oracle;
use hoopy_apk::index::{self, IndexError};
use hoopy_apk::package::{self, PackageError, PackageInfo, ScriptKind};
use hoopy_apk::signature::{KeyRing, SignatureError, SigningKey};
use hoopy_apk::tar::{Entry, Kind};
use hoopy_apk::{Checksum, installed};
use rustix::fs::{CWD, FileType, Mode};

const KEY: &str = "test.rsa.pub";
const SCRIPT: &str = "#!/bin/sh\necho hello\n";

/// What `apk mkpkg` is told of the package, besides its files.
const INFO: [&str; 16] = [
    "name:foo",
    "version:1.2-r3",
    "arch:x86_64",
    "description:a thing",
    "license:MIT",
    "origin:foo-src",
    "maintainer:Me <me@example.org>",
    "url:https://example.org",
    "repo-commit:0123456789012345678901234567890123456789",
    "build-time:1700000000",
    "provider-priority:5",
    "replaces-priority:7",
    "depends:a b>1 !c d=2 e~3 g<4 h<=5 i>=6",
    "provides:cmd:foo=1.2-r3 so:libfoo.so.1=1",
    "replaces:old<1",
    "install-if:x y=1",
];

/// A directory with keys, files to package, and the real apk.
struct Bench {
    oracle: Oracle,
    dir: tempfile::TempDir,
    keys: KeyRing,
}

impl Bench {
    fn new(test: &str) -> Option<Self> {
        let oracle = Oracle::find(test)?;
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(KEY, 1024).unwrap();
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        std::fs::write(dir.path().join("keys").join(KEY), key.public_pem().unwrap()).unwrap();
        std::fs::write(dir.path().join("test.rsa"), key.private_pem().unwrap()).unwrap();
        std::fs::write(dir.path().join("script"), SCRIPT).unwrap();
        let mut keys = KeyRing::default();
        keys.add(KEY, key.public_pem().unwrap().as_bytes()).unwrap();
        let bench = Self { oracle, dir, keys };
        bench.files();
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn apk(&self) -> Command {
        let mut command = self.oracle.program();
        command.current_dir(self.dir.path()).arg("--keys-dir").arg(self.path("keys"));
        command.stdin(std::process::Stdio::null());
        command
    }

    fn files(&self) {
        let root = self.path("files");
        for dir in ["etc/private", "usr/bin", "empty", "usr/share/deep/below"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        let long = "n".repeat(255);
        for (path, content, mode) in [
            ("etc/a", "hello\n", 0o644),
            ("etc/zero", "", 0o600),
            ("usr/bin/suid", "x", 0o4755),
            ("usr/bin/sgid", "y", 0o2750),
            ("usr/share/deep/below/big", &"0123456789abcdef".repeat(20_000), 0o644),
            (&format!("etc/private/{long}"), "long", 0o644),
        ] {
            std::fs::write(root.join(path), content).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(root.join(path), mode).unwrap();
        }
        std::fs::set_permissions(root.join("etc/private"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::hard_link(root.join("etc/a"), root.join("usr/bin/twin")).unwrap();
        symlink("../etc/a", root.join("usr/link")).unwrap();
        let set = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(root.join("etc/zero"), "user.test", b"a\nvalue", set).unwrap();
        if !root_runs_this(self.dir.path()) {
            hoopy_testkit::skip("devices: only root can make them");
            return;
        }
        std::fs::create_dir(root.join("dev")).unwrap();
        // Ones that apk can open, as it does: nothing, and nobody.
        for (name, kind, (major, minor)) in
            [("dev/null", FileType::CharacterDevice, (1, 3)), ("dev/odd", FileType::BlockDevice, (7, 300))]
        {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from(0o640), device).unwrap();
        }
    }

    /// A package with these further arguments.
    fn package(&self, name: &str, more: &[&str]) -> Vec<u8> {
        let mut command = self.apk();
        command.args(["mkpkg", "--files", "files", "--output", name, "--sign-key", "test.rsa"]);
        command.args(INFO.iter().flat_map(|info| ["--info", info]));
        command.args(["--script", "post-install:script", "--script", "trigger:script"]);
        command.args(["--trigger", "/usr/bin", "--trigger", "/etc/*"]).args(more);
        ok(&mut command);
        std::fs::read(self.path(name)).unwrap()
    }

    fn index(&self, packages: &[&str], more: &[&str]) -> Vec<u8> {
        let mut command = self.apk();
        command.args(["mkndx", "--description", "v1 of it", "--output", "Packages.adb"]);
        ok(command.args(["--sign-key", "test.rsa"]).args(more).args(packages));
        std::fs::read(self.path("Packages.adb")).unwrap()
    }
}

fn root_runs_this(own: &Path) -> bool {
    std::fs::metadata(own).unwrap().uid() == 0
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Everything in a package.
#[derive(Debug, PartialEq)]
struct Whole {
    info: PackageInfo,
    scripts: Vec<(ScriptKind, Vec<u8>)>,
    files: Vec<(Entry, Vec<u8>)>,
}

fn read(bytes: &[u8]) -> Result<Whole, PackageError> {
    let mut opened = package::open(bytes)?;
    opened.data.bound(bytes.len() as u64);
    let mut files = Vec::new();
    while let Some(mut file) = opened.data.next_file()? {
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        files.push((file.entry.clone(), content));
    }
    opened.data.finish()?;
    Ok(Whole { info: opened.info, scripts: opened.scripts, files })
}

fn texts(list: &[hoopy_apk::Dependency]) -> Vec<String> {
    let mut texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn a_package_says_what_it_was_made_with() {
    let Some(bench) = Bench::new("a_package_says_what_it_was_made_with") else { return };
    let whole = read(&bench.package("foo.apk", &[])).unwrap();
    let record = &whole.info.record;
    assert_eq!((&*record.name, record.version.as_str(), &*record.arch), ("foo", "1.2-r3", "x86_64"));
    assert_eq!((&*record.description, &*record.license, &*record.origin), ("a thing", "MIT", "foo-src"));
    assert_eq!((&*record.maintainer, &*record.url), ("Me <me@example.org>", "https://example.org"));
    assert_eq!(&*record.commit, "0123456789012345678901234567890123456789");
    assert_eq!((record.build_time, record.provider_priority), (1_700_000_000, 5));
    assert_eq!(record.replaces_priority, 7);
    assert_eq!(texts(&record.depends), ["!c", "a", "b>1", "d=2", "e~3", "g<4", "h<=5", "i>=6"]);
    assert_eq!(texts(&record.provides), ["cmd:foo=1.2-r3", "so:libfoo.so.1=1"]);
    assert_eq!(
        (texts(&record.replaces), texts(&record.install_if)),
        (vec!["old<1".into()], vec!["x".into(), "y=1".to_owned()])
    );
    assert_eq!(whole.info.triggers, ["/usr/bin", "/etc/*"]);
    let script = |kind| (kind, SCRIPT.as_bytes().to_vec());
    assert_eq!(whole.scripts, [script(ScriptKind::Trigger), script(ScriptKind::PostInstall)]);
}

#[test]
fn every_way_of_compressing_gives_the_same_package() {
    let Some(bench) = Bench::new("every_way_of_compressing_gives_the_same_package") else { return };
    let plain = bench.package("none.apk", &["--compression", "none"]);
    let expected = read(&plain).unwrap();
    for way in ["deflate", "deflate:9"] {
        assert_eq!(read(&bench.package("foo.apk", &["--compression", way])).unwrap(), expected, "{way}");
    }
    // The apk at hand may be built without zstd.
    let zstd = [b"ADBc\x02\x03".to_vec(), zstd::encode_all(plain.as_slice(), 3).unwrap()].concat();
    assert_eq!(read(&zstd).unwrap(), expected);
}

#[test]
fn its_files_are_those_that_apk_installs() {
    let Some(bench) = Bench::new("its_files_are_those_that_apk_installs") else { return };
    let repository = bench.path("repository/x86_64");
    std::fs::create_dir_all(&repository).unwrap();
    let whole =
        read(&bench.package("foo.apk", &["--info", "depends:", "--compat", "3.0.0", "--xattrs"])).unwrap();
    std::fs::copy(bench.path("foo.apk"), repository.join("foo-1.2-r3.apk")).unwrap();
    bench.index(&["foo.apk"], &[]);
    std::fs::copy(bench.path("Packages.adb"), repository.join("Packages.adb")).unwrap();
    let root = bench.path("root");
    let line = format!("v3 {}\n", bench.path("repository").display());
    std::fs::write(bench.path("repositories"), line).unwrap();
    let apk = |more: &[&str]| {
        let mut command = bench.apk();
        command.arg("--root").arg(&root).arg("--repositories-file").arg(bench.path("repositories"));
        command.args((!root_runs_this(bench.dir.path())).then_some("--usermode"));
        ok(command.args(["--arch", "x86_64", "--no-cache"]).args(more));
    };
    apk(&["add", "--initdb", "--no-scripts", "foo"]);

    let text = std::fs::read_to_string(root.join("lib/apk/db/installed")).unwrap();
    let text: String = text.lines().filter(|l| !l.starts_with("f:")).map(|l| format!("{l}\n")).collect();
    let database = installed::parse(&(text + "\n")).unwrap();
    let [foo] = database.as_slice() else { panic!("{database:?}") };
    assert_eq!(foo.record.checksum, whole.info.record.checksum);
    let mut listed = 0;
    for dir in &foo.dirs {
        for file in &dir.files {
            let path = [dir.path.as_slice(), b"/", &file.name].concat();
            let (entry, _) = whole.files.iter().find(|(e, _)| e.path == path).expect("listed by apk");
            assert_eq!(entry.sha1.map(Checksum::Sha1), file.checksum, "{}", String::from_utf8_lossy(&path));
            listed += 1;
        }
    }
    assert!(whole.files.iter().any(|(e, _)| !e.xattrs.is_empty()), "an attribute is read");
    assert_eq!(listed, whole.files.iter().filter(|(e, _)| e.kind != Kind::Dir).count());
    for (entry, content) in &whole.files {
        same(&root, entry, content);
    }
}

/// One file of a package beside the one that apk made of it.
fn same(root: &Path, entry: &Entry, content: &[u8]) {
    let shown = String::from_utf8_lossy(&entry.path).into_owned();
    let path = root.join(&shown);
    let there = std::fs::symlink_metadata(&path).unwrap();
    match &entry.kind {
        Kind::Sparse(_) => panic!("{shown}: no package has sparse files"),
        Kind::Dir => assert!(there.is_dir(), "{shown}"),
        Kind::File(size) => {
            assert_eq!(*size, content.len() as u64, "{shown}");
            assert_eq!(std::fs::read(&path).unwrap(), content, "{shown}");
        }
        Kind::Symlink(target) => {
            assert_eq!(std::fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes(), target, "{shown}");
            return;
        }
        Kind::Hardlink(target) => {
            let target = std::fs::metadata(root.join(String::from_utf8_lossy(target).as_ref())).unwrap();
            assert_eq!(target.ino(), there.ino(), "{shown}");
        }
        Kind::Char(major, minor) | Kind::Block(major, minor) => {
            assert_eq!(there.file_type().is_block_device(), matches!(entry.kind, Kind::Block(..)), "{shown}");
            assert_eq!(there.rdev(), rustix::fs::makedev(*major, *minor), "{shown}");
        }
        Kind::Fifo => panic!("{shown}: apk cannot package a pipe: it waits to read it"),
    }
    for (name, value) in &entry.xattrs {
        let mut found = vec![0; 64];
        let name = std::str::from_utf8(name).unwrap();
        let length = rustix::fs::getxattr(&path, name, &mut found).unwrap();
        assert_eq!(&found[..length], value, "{shown}");
    }
    assert_eq!(there.mode() & 0o7777, entry.mode, "{shown}");
    if entry.kind != Kind::Dir {
        assert_eq!(there.mtime() as u64, entry.mtime, "{shown}");
    }
}

#[test]
fn its_index_names_it_and_vouches_for_it() {
    let Some(bench) = Bench::new("its_index_names_it_and_vouches_for_it") else { return };
    let bytes = bench.package("foo.apk", &[]);
    let whole = read(&bytes).unwrap();
    for hash in ["sha256", "sha256-160"] {
        let index = index::read(&bench.index(&["foo.apk"], &["--hash", hash]), &bench.keys).unwrap();
        assert_eq!(index.description, "v1 of it");
        let [record] = index.records.as_slice() else { panic!("{index:?}") };
        package::verify(bytes.as_slice(), &record.checksum).unwrap();
        let mut expected = whole.info.record.clone();
        expected.checksum = record.checksum;
        // What only the package itself says, and what only the index can.
        expected.replaces_priority = 0;
        expected.size = bytes.len() as u64;
        assert_eq!(*record, expected, "{hash}");
    }
    let other = bench.package("bar.apk", &["--info", "version:2"]);
    let index = index::read(&bench.index(&["foo.apk"], &[]), &bench.keys).unwrap();
    let error = package::verify(other.as_slice(), &index.records[0].checksum).unwrap_err();
    assert!(matches!(error, PackageError::Checksum { .. }), "{error}");
}

#[test]
fn an_index_of_v3_has_packages_of_v2_too() {
    let Some(bench) = Bench::new("an_index_of_v3_has_packages_of_v2_too") else { return };
    use hoopy_apk::package::write::{DataWriter, NewPackage, write};
    let mut record = read(&bench.package("foo.apk", &[])).unwrap().info.record;
    record.replaces_priority = 0;
    let info = PackageInfo { record, triggers: Vec::new(), datahash: None };
    let mut data = DataWriter::new().unwrap();
    data.add(Entry::file(b"x", 1), b"x").unwrap();
    let mut bytes = Vec::new();
    let pem = std::fs::read_to_string(bench.path("test.rsa")).unwrap();
    let key = SigningKey::from_pem(KEY, &pem).unwrap();
    let draft = NewPackage { info, scripts: Vec::new(), mtime: 0 };
    let written = write(&draft, data, Some(&key), &mut bytes).unwrap();
    std::fs::write(bench.path("two.apk"), &bytes).unwrap();
    let index = index::read(&bench.index(&["two.apk"], &[]), &bench.keys).unwrap();
    let [record] = index.records.as_slice() else { panic!("{index:?}") };
    package::verify(bytes.as_slice(), &record.checksum).unwrap();
    let sorted = |r: &hoopy_apk::Record| [texts(&r.depends), texts(&r.provides), texts(&r.replaces)].concat();
    assert_eq!(sorted(record), sorted(&written));
    assert_eq!((record.size, record.installed_size), (written.size, written.installed_size));
}

#[test]
fn only_what_a_trusted_key_signed_is_read() {
    let Some(bench) = Bench::new("only_what_a_trusted_key_signed_is_read") else { return };
    let package = bench.package("foo.apk", &["--compression", "none"]);
    let index = bench.index(&["foo.apk"], &["--compression", "none"]);
    package::open_signed(package.as_slice(), &bench.keys).unwrap();

    let mut others = KeyRing::default();
    let other = SigningKey::generate("other.rsa.pub", 1024).unwrap();
    others.add("other.rsa.pub", other.public_pem().unwrap().as_bytes()).unwrap();
    let refused = |bytes: &[u8], keys: &KeyRing| match package::open_signed(bytes, keys) {
        Err(PackageError::Signature(e)) => e,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&package, &others), SignatureError::Untrusted { .. }));
    let error = index::read(&index, &others).unwrap_err();
    assert!(matches!(error, IndexError::Signature(SignatureError::Untrusted { .. })), "{error}");

    // A byte of the database's, whichever it is: the signature is looked at before anything else.
    for (bytes, at) in [(&package, 20), (&package, 200), (&index, 40)] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let wrong = match index::read(&changed, &bench.keys) {
            Err(IndexError::Signature(e)) => e,
            _ => refused(&changed, &bench.keys),
        };
        assert!(matches!(wrong, SignatureError::Wrong(_)), "{wrong}");
    }

    let mut command = bench.apk();
    ok(command.args(["adbsign", "--allow-untrusted", "--reset-signatures", "foo.apk", "Packages.adb"]));
    let unsigned = std::fs::read(bench.path("foo.apk")).unwrap();
    assert!(matches!(refused(&unsigned, &bench.keys), SignatureError::Unsigned));

    std::fs::write(bench.path("other.rsa"), other.private_pem().unwrap()).unwrap();
    ok(bench.apk().args(["adbsign", "--allow-untrusted", "--sign-key", "other.rsa", "foo.apk"]));
    ok(bench.apk().args(["adbsign", "--allow-untrusted", "--sign-key", "test.rsa", "foo.apk"]));
    let twice = std::fs::read(bench.path("foo.apk")).unwrap();
    package::open_signed(twice.as_slice(), &bench.keys).unwrap();
    package::open_signed(twice.as_slice(), &others).unwrap();
}

#[test]
fn what_is_cut_short_anywhere_is_refused() {
    let Some(bench) = Bench::new("what_is_cut_short_anywhere_is_refused") else { return };
    std::fs::remove_file(bench.path("files/usr/share/deep/below/big")).unwrap();
    for way in ["none", "deflate"] {
        let bytes = bench.package("foo.apk", &["--compression", way]);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{way}: cut at {end} of {}", bytes.len());
        }
        assert!(read(&[&bytes[..], b"\0"].concat()).is_err(), "{way}: a byte behind it");
        let bytes = bench.index(&["foo.apk"], &["--compression", way]);
        for end in 0..bytes.len() {
            assert!(index::read(&bytes[..end], &bench.keys).is_err(), "{way}: cut at {end}");
        }
    }
}

#[test]
fn a_changed_byte_of_a_file_is_found() {
    let Some(bench) = Bench::new("a_changed_byte_of_a_file_is_found") else { return };
    let bytes = bench.package("foo.apk", &["--compression", "none"]);
    let at = bytes.windows(6).rposition(|w| w == b"hello\n").unwrap();
    let checksum = read(&bytes).unwrap().info.record.checksum;
    package::verify(bytes.as_slice(), &checksum).unwrap();
    let mut changed = bytes;
    changed[at] = b'H';
    let error = package::verify(changed.as_slice(), &checksum).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

/// The index that `HOOPY_APK_INDEX` names, or the stand-in mirror's.
fn real_index(apk: &Path) -> PathBuf {
    let stand_in = || apk.join("../../alpine/v3.23/main/x86_64/APKINDEX.tar.gz");
    std::env::var_os("HOOPY_APK_INDEX").map_or_else(stand_in, PathBuf::from)
}

#[test]
fn a_whole_index_says_the_same_in_both_formats() {
    let Some(bench) = Bench::new("a_whole_index_says_the_same_in_both_formats") else { return };
    let path = real_index(&PathBuf::from(std::env::var_os("HOOPY_APK_ROOT").unwrap()));
    let mut convert = bench.apk();
    convert.args(["--allow-untrusted", "convndx"]).arg(&path);
    let output = convert.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(bench.path("Packages.adb"), output.stdout).unwrap();
    ok(bench.apk().args(["adbsign", "--allow-untrusted", "--sign-key", "test.rsa", "Packages.adb"]));

    let three =
        index::read(&std::fs::read(bench.path("Packages.adb")).unwrap(), &bench.keys).unwrap().records;
    let two = index::parse(&common::read_index(&path)).unwrap();
    // What apk finds invalid it leaves out when it converts: the version, or the whole list with the dependency.
    let normal = |mut records: Vec<hoopy_apk::Record>| {
        records.retain(|r| r.version.is_valid());
        for record in &mut records {
            for list in [&mut record.depends, &mut record.provides, &mut record.install_if] {
                if list.iter().any(|d| !d.has_valid_version()) {
                    list.clear();
                }
                list.sort_by_key(ToString::to_string);
                list.dedup();
            }
        }
        records.sort_by_key(|r| format!("{} {}", r.name, r.version));
        records
    };
    let (two, three) = (normal(two), normal(three));
    assert_eq!(two.len(), three.len());
    two.iter().zip(&three).for_each(|(two, three)| assert_eq!(two, three));
}
