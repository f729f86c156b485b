//! Packages of apk 2 beside the real apk (`HOOPY_APK_ROOT`): what it verifies and installs is what is read.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use common::oracle::Oracle;
use hoopy_apk::package::member::member;
use hoopy_apk::package::write::{DataWriter, NewPackage, write};
use hoopy_apk::package::{self, PackageInfo};
use hoopy_apk::signature::{KeyRing, SigningKey};
use hoopy_apk::tar::{Entry, Kind};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::Pkcs1v15Sign;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

const KEY: &str = "test.rsa.pub";
const INFO: &str = "pkgname = foo\npkgver = 1-r0\narch = x86_64\nsize = 1\n";

/// A trusted key in a directory `keys`.
fn key(dir: &Path) -> (SigningKey, KeyRing) {
    let key = SigningKey::generate(KEY, 1024).unwrap();
    let pem = key.public_pem().unwrap();
    std::fs::create_dir(dir.join("keys")).unwrap();
    std::fs::write(dir.join("keys").join(KEY), &pem).unwrap();
    let mut keys = KeyRing::default();
    keys.add(KEY, pem.as_bytes()).unwrap();
    (key, keys)
}

fn apk(oracle: &Oracle, dir: &Path) -> Command {
    let mut command = oracle.program();
    command.stdin(Stdio::null()).arg("--keys-dir").arg(dir.join("keys"));
    command
}

/// Whether the real apk and hoopy take the package for good; they must agree.
fn trusted(oracle: &Oracle, dir: &Path, keys: &KeyRing, bytes: &[u8]) -> bool {
    let file = dir.join("foo-1-r0.apk");
    std::fs::write(&file, bytes).unwrap();
    let output = apk(oracle, dir).arg("verify").arg(&file).output().unwrap();
    let ours = package::open_signed(bytes, keys);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), ours.is_ok(), "apk: {said}; hoopy: {:?}", ours.err());
    ours.is_ok()
}

#[test]
fn signatures_of_every_kind_are_taken_where_apk_takes_them() {
    let Some(oracle) = Oracle::find("signatures_of_every_kind_are_taken_where_apk_takes_them") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (key, keys) = key(dir.path());
    let private = rsa::RsaPrivateKey::from_pkcs1_pem(&key.private_pem().unwrap()).unwrap();

    let data = member(&[(Entry::file(b"x", 1), b"x")], true).unwrap();
    let info = format!("{INFO}datahash = {}\n", data_encoding::HEXLOWER.encode(&Sha256::digest(&data)));
    let control = member(&[(Entry::file(b".PKGINFO", info.len() as u64), &info)], false).unwrap();
    let whole = |signatures: &[(&str, &[u8])]| {
        let entry = |(kind, bytes): &(&str, &[u8])| {
            (Entry::file(format!(".SIGN.{kind}.{KEY}").as_bytes(), bytes.len() as u64), bytes.to_vec())
        };
        let signatures: Vec<_> = signatures.iter().map(entry).collect();
        [member(&signatures, false).unwrap(), control.clone(), data.clone()].concat()
    };
    let sha1 = private.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(&control)).unwrap();
    let sha256 = private.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&control)).unwrap();
    let sha512 = private.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(&control)).unwrap();
    let good = |bytes: &[u8]| trusted(&oracle, dir.path(), &keys, bytes);

    assert!(good(&whole(&[("RSA", &sha1)])));
    assert!(good(&whole(&[("RSA256", &sha256)])));
    assert!(good(&whole(&[("RSA512", &sha512)])));
    assert!(good(&whole(&[("RSA256", &sha256), ("RSA", &sha1)])));
    assert!(!good(&whole(&[("RSA256", &sha1)])), "a signature of another kind");
    assert!(!good(&whole(&[("RSA", &sha256)])), "a signature of another kind");
    assert!(!good(&[control.clone(), data.clone()].concat()), "no signature");
    let mut changed = whole(&[("RSA256", &sha256)]);
    let at = changed.len() - data.len() - 12;
    changed[at] ^= 1;
    assert!(package::open_signed(changed.as_slice(), &keys).is_err(), "a changed byte");
}

/// What only root can install.
fn devices() -> [Entry; 3] {
    let entry = |path: &[u8], kind| Entry { kind, ..Entry::file(path, 0) };
    [
        entry(b"dev/null", Kind::Char(1, 3)),
        entry(b"dev/odd", Kind::Block(259, 300)),
        entry(b"dev/pipe", Kind::Fifo),
    ]
}

#[test]
fn what_is_read_is_what_apk_installs() {
    let Some(oracle) = Oracle::find("what_is_read_is_what_apk_installs") else { return };
    let dir = tempfile::tempdir().unwrap();
    let is_root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
    let (key, keys) = key(dir.path());
    let entry = |path: &[u8], kind, mode| Entry { kind, mode, mtime: 1_700_000_000, ..Entry::file(path, 0) };
    let mut data = DataWriter::new().unwrap();
    let mut expected: Vec<(Entry, Vec<u8>)> = Vec::new();
    let mut put = |e: Entry, content: &[u8]| {
        data.add(e.clone(), content).unwrap();
        expected.push((e, content.to_vec()));
    };
    let long = [&b"usr/share/"[..], &[b'd'; 200], b"/", &[b'f'; 255]].concat();
    for path in [&b"usr"[..], b"usr/bin", b"usr/share", &long[..210], b"dev"] {
        put(entry(path, Kind::Dir, 0o755), b"");
    }
    put(entry(b"usr/bin/suid", Kind::File(0), 0o4755), b"set user");
    put(entry(b"usr/bin/sgid", Kind::File(0), 0o2711), b"set group");
    put(entry(b"usr/bin/twin", Kind::Hardlink(b"usr/bin/suid".to_vec()), 0o4755), b"");
    put(entry(&long, Kind::File(0), 0o640), b"a long name");
    put(entry(b"usr/far", Kind::Symlink(vec![b't'; 300]), 0o777), b"");
    let mut attributes = BTreeMap::new();
    if is_root {
        devices().into_iter().for_each(|device| put(device, b""));
        // A value with a newline, as that of a real capability may have.
        attributes.insert(
            b"security.capability".to_vec(),
            b"\x01\0\0\x02\n\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        );
    } else {
        hoopy_testkit::skip("devices and capabilities: only root can install them");
    }
    put(Entry { xattrs: attributes, ..entry(b"usr/bin/able", Kind::File(0), 0o755) }, b"able");

    let mut bytes = Vec::new();
    let info = PackageInfo::parse(INFO).unwrap();
    let draft = NewPackage { info, scripts: Vec::new(), mtime: 0 };
    let record = write(&draft, data, Some(&key), &mut bytes).unwrap();
    package::verify(bytes.as_slice(), &record.checksum).unwrap();

    let mut opened = package::open_signed(bytes.as_slice(), &keys).unwrap();
    let mut found = Vec::new();
    while let Some(mut file) = opened.data.next_file().unwrap() {
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        found.push((Entry { sha1: None, ..file.entry.clone() }, content));
    }
    opened.data.finish().unwrap();
    let sized = |(e, content): &(Entry, Vec<u8>)| {
        let kind = if let Kind::File(_) = e.kind { Kind::File(content.len() as u64) } else { e.kind.clone() };
        (Entry { kind, ..e.clone() }, content.clone())
    };
    assert_eq!(found, expected.iter().map(sized).collect::<Vec<_>>());

    let file = dir.path().join("foo-1-r0.apk");
    std::fs::write(&file, &bytes).unwrap();
    let root = dir.path().join("root");
    let mut command = apk(&oracle, dir.path());
    command.arg("--root").arg(&root).args((!is_root).then_some("--usermode"));
    command.args(["--arch", "x86_64", "--no-cache", "--no-network", "add", "--initdb"]).arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    found.iter().for_each(|(entry, content)| installed(&root, entry, content));
}

/// One file of the package beside the one that apk made of it.
fn installed(root: &Path, entry: &Entry, content: &[u8]) {
    let shown = String::from_utf8_lossy(&entry.path).into_owned();
    let path = root.join(&shown);
    let there = std::fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{shown}: {e}"));
    let device = || (rustix::fs::major(there.rdev()), rustix::fs::minor(there.rdev()));
    match &entry.kind {
        Kind::Sparse(_) => panic!("{shown}: no package has sparse files"),
        Kind::Dir => assert!(there.is_dir(), "{shown}"),
        Kind::File(_) => assert_eq!(std::fs::read(&path).unwrap(), content, "{shown}"),
        Kind::Symlink(target) => {
            assert_eq!(std::fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes(), target, "{shown}");
            return;
        }
        Kind::Hardlink(target) => {
            let target = std::fs::metadata(root.join(String::from_utf8_lossy(target).as_ref())).unwrap();
            assert_eq!(target.ino(), there.ino(), "{shown}");
        }
        Kind::Char(major, minor) => assert_eq!(device(), (*major, *minor), "{shown}"),
        Kind::Block(major, minor) => assert_eq!(device(), (*major, *minor), "{shown}"),
        Kind::Fifo => assert!(there.file_type().is_fifo(), "{shown}"),
    }
    assert_eq!(there.mode() & 0o7777, entry.mode, "{shown}");
    for (name, value) in &entry.xattrs {
        let mut found = vec![0; 64];
        let name = std::str::from_utf8(name).unwrap();
        let length = rustix::fs::getxattr(&path, name, &mut found).unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(&found[..length], value, "{shown}");
    }
}
