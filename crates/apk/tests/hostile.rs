//! Packages that mean harm: each is refused with a message of its own before anything of it is used.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod common;

use common::adb::{self, Adb};
use hoopy_apk::Checksum;
use hoopy_apk::package::{self, PackageError, member::member};
use hoopy_apk::signature::{KeyRing, SignatureError, SigningKey};
use hoopy_apk::tar::{Entry, Kind};
use sha1::{Digest as _, Sha1};

const INFO: &str = "pkgname = evil\npkgver = 1-r0\narch = noarch\nsize = 1\n";

fn entry(path: &[u8], kind: Kind) -> Entry {
    Entry { kind, ..Entry::file(path, 0) }
}

fn file(path: &[u8]) -> Entry {
    entry(path, Kind::File(0))
}

fn dir(path: &[u8]) -> Entry {
    entry(path, Kind::Dir)
}

fn link(path: &[u8], target: &[u8]) -> Entry {
    entry(path, Kind::Symlink(target.to_vec()))
}

fn hard(path: &[u8], target: &[u8]) -> Entry {
    entry(path, Kind::Hardlink(target.to_vec()))
}

/// A package with these entries, without content.
fn package(entries: &[Entry]) -> Vec<u8> {
    let info = (Entry::file(b".PKGINFO", INFO.len() as u64), INFO.as_bytes());
    let control = member(&[info], false).unwrap();
    let data: Vec<(Entry, &[u8])> = entries.iter().map(|e| (e.clone(), &b""[..])).collect();
    [control, member(&data, true).unwrap()].concat()
}

/// Reads all of it, as an import does.
fn read(bytes: &[u8]) -> Result<usize, PackageError> {
    let mut opened = package::open(bytes)?;
    opened.data.bound(bytes.len() as u64);
    let mut files = 0;
    while let Some(mut file) = opened.data.next_file()? {
        file.skip()?;
        files += 1;
    }
    opened.data.finish()?;
    Ok(files)
}

#[test]
fn a_plain_package_is_read() {
    let entries = [dir(b"etc"), file(b"etc/a"), link(b"etc/b", b"/a/../b"), hard(b"etc/c", b"etc/a")];
    assert_eq!(read(&package(&entries)).unwrap(), 4);
}

/// Name, entries, what is said of them in a package of v2, and of v3 where that is something else.
type Evil = (&'static str, Vec<Entry>, &'static str, Option<&'static str>);

fn evils() -> Vec<Evil> {
    let nul = [&b"etc/"[..], &[b'd'; 120], b"/a\0b"].concat();
    let deep = [b"d/".repeat(128), b"x".to_vec()].concat();
    // v3 lists a directory before the files in it.
    let twice = Some("has it twice");
    vec![
        ("parent", vec![file(b"../etc/passwd")], "could leave the root", None),
        ("parent within", vec![file(b"etc/../../x")], "could leave the root", None),
        ("parent as a name", vec![file(b"etc/..")], "could leave the root", None),
        ("parent as a directory", vec![dir(b"etc/..")], "could leave the root", None),
        ("absolute", vec![file(b"/etc/passwd")], "an absolute path", None),
        ("symlinked parent", vec![link(b"etc", b"/tmp"), file(b"etc/x")], "made a file or a link", twice),
        ("absolute symlinked parent", vec![link(b"a", b"/"), file(b"a/b/c")], "made a file or a link", twice),
        ("file as directory", vec![file(b"etc"), file(b"etc/x")], "made a file or a link", twice),
        ("directory as file", vec![dir(b"etc"), file(b"etc/x"), file(b"etc")], "has it twice", None),
        ("directory as link", vec![dir(b"etc"), link(b"etc", b"/tmp")], "has it twice", None),
        ("hard link out", vec![hard(b"x", b"../../etc/shadow")], "could leave the root", None),
        ("hard link to an absolute path", vec![hard(b"x", b"/etc/shadow")], "an absolute path", None),
        ("hard link to nothing", vec![hard(b"x", b"etc/shadow")], "not a file earlier in the package", None),
        (
            "hard link to a link",
            vec![link(b"l", b"/etc/shadow"), hard(b"x", b"l")],
            "not a file earlier",
            None,
        ),
        ("hard link to a directory", vec![dir(b"etc"), hard(b"x", b"etc")], "not a file earlier", None),
        ("hard link to itself", vec![hard(b"x", b"x")], "not a file earlier", None),
        ("duplicate", vec![file(b"x"), link(b"x", b"/y")], "has it twice", None),
        ("duplicate file", vec![file(b"x"), file(b"x")], "has it twice", None),
        ("newline", vec![file(b"etc/a\nb")], "a NUL or a newline", None),
        ("NUL", vec![file(&nul)], "a NUL or a newline", None),
        ("long name", vec![file(&[b'n'; 300])], "longer than 255 bytes", None),
        ("deep", vec![file(&deep)], "more than 128 directories deep", None),
        ("dot", vec![file(b"etc/./x")], "an empty or `.` component", None),
        ("empty component", vec![file(b"etc//x")], "an empty or `.` component", None),
        ("a terabyte", vec![entry(b"x", Kind::File(1 << 40))], "far larger", None),
    ]
}

#[test]
fn each_evil_is_refused_with_its_own_message() {
    // The terabyte has a test of its own: what writes archives here does not lie about sizes.
    for (name, entries, message, _) in evils().iter().filter(|(name, ..)| *name != "a terabyte") {
        let error = read(&package(entries)).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn each_evil_of_v3_is_refused_with_its_own_message() {
    for (name, entries, message, of_v3) in evils() {
        let message = of_v3.unwrap_or(message);
        let error = read(&adb::package(&entries)).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn a_plain_package_of_v3_is_read() {
    let entries = [dir(b"etc"), file(b"etc/a"), link(b"etc/b", b"/a/../b"), hard(b"etc/c", b"etc/a")];
    assert_eq!(read(&adb::package(&entries)).unwrap(), 4);
    assert_eq!(read(&adb::package(&[file(b"caf\xe9")])).unwrap(), 1);
}

/// Writes a database; gives its root.
type Make = fn(&mut Adb) -> u32;

/// A database that is only wrong as a database.
fn broken(make: impl Fn(&mut Adb) -> u32) -> String {
    let mut adb = Adb::new();
    let root = make(&mut adb);
    read(&adb.file(b"pckg", root, &[])).unwrap_err().to_string()
}

#[test]
fn each_database_that_lies_is_refused_with_its_own_message() {
    let table: [(&str, Make, &str); 10] = [
        ("root beyond the end", |_| 0xe0ff_ffff, "beyond its end"),
        ("root of no object", |_| 0x1000_0001, "an object or array is expected"),
        (
            "no entries, not even itself",
            |a| {
                a.0.extend([0; 8]);
                0xe000_0008
            },
            "beyond its end",
        ),
        (
            "more entries than bytes",
            |a| {
                a.0.extend([0xff; 8]);
                0xe000_0008
            },
            "far more often",
        ),
        (
            "an object within itself",
            |a| {
                let at = a.0.len() as u32;
                a.object(&[0xe000_0000 | at])
            },
            "`hashes`",
        ),
        (
            "no name",
            |a| {
                let i = adb::info(a, b"");
                a.object(&[i])
            },
            "`name`: \"\" is missing",
        ),
        (
            "a path as a name",
            |a| {
                let i = adb::info(a, b"../x");
                a.object(&[i])
            },
            "part of a file name",
        ),
        (
            "a newline in a name",
            |a| {
                let i = adb::info(a, b"x\nP:y");
                a.object(&[i])
            },
            "a control character",
        ),
        (
            "a blob longer than all",
            |a| {
                a.0.extend([0xff; 8]);
                let (n, v) = (a.blob(b"n"), a.blob(b"v"));
                let i = a.object(&[n, v, 0x8000_0008]);
                a.object(&[i])
            },
            "beyond its end",
        ),
        (
            "a number as a name",
            |a| {
                let b = a.blob(&[0; 20]);
                let i = a.object(&[0x1000_0001, 0x1000_0001, b]);
                a.object(&[i])
            },
            "bytes is expected",
        ),
    ];
    for (name, make, message) in table {
        let error = broken(make);
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn a_database_that_unfolds_to_far_more_than_itself_is_refused() {
    let error = broken(|adb| {
        let name = adb.blob(&[b'n'; 4000]);
        let dependency = adb.object(&[name]);
        let depends = adb.object(&vec![dependency; 10_000]);
        let (name, version, hashes) = (adb.blob(b"bomb"), adb.blob(b"1"), adb.blob(&[0; 20]));
        let mut fields = [0; 15];
        fields[..3].copy_from_slice(&[name, version, hashes]);
        fields[14] = depends;
        let info = adb.object(&fields);
        adb.object(&[info])
    });
    assert!(error.contains("may be a decompression bomb"), "{error}");
}

#[test]
fn blocks_out_of_order_are_refused() {
    let plain = adb::package(&[file(b"x")]);
    let data = adb::block(2, &[[1, 0, 0, 0, 1, 0, 0, 0].as_slice(), b"hello"].concat());
    let signature = adb::block(1, b"\0\x04and so on");
    let table = [
        ("data of a file without", [&plain[..], &data].concat(), "goes on after its data"),
        ("a second database", [&plain[..], &plain[8..]].concat(), "neither a signature nor data"),
        ("a signature after data", [&plain[..], &data, &signature].concat(), "goes on after its data"),
        (
            "a block smaller than its header",
            [&plain[..], &[0, 0, 0, 0x40]].concat(),
            "smaller than its own header",
        ),
        ("no database", [b"ADB.pckg", &signature[..]].concat(), "the first one is not the database"),
        (
            "another schema",
            [b"ADB.indx", &plain[8..]].concat(),
            "expected a file of schema `pckg`, found `indx`",
        ),
        ("another compression", b"ADBc\x09\x00".to_vec(), "algorithm 9"),
        ("another magic", b"ADBxpckg".to_vec(), "not a file of apk 3"),
        ("too many signatures", [&plain[..], &signature.repeat(17)].concat(), "more than 16 signatures"),
        ("a huge database", b"ADB.pckg\0\0\0\xc0\0\0\0\0\0\0\0\0\x01\0\0\0".to_vec(), "at most"),
    ];
    for (name, bytes, message) in table {
        let error = read(&bytes).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_inflated() {
    let zeros = vec![0; 100 << 20];
    let info = (Entry::file(b".PKGINFO", INFO.len() as u64), INFO.as_bytes());
    let control = member(&[info], false).unwrap();
    let data = member(&[(Entry::file(b"zeros", zeros.len() as u64), &zeros)], true).unwrap();
    let error = read(&[control, data].concat()).unwrap_err().to_string();
    assert!(error.contains("may be a decompression bomb"), "{error}");

    let script = (Entry::file(b".post-install", 20 << 20), &zeros[..20 << 20]);
    let error = read(&member(&[script], false).unwrap()).unwrap_err().to_string();
    assert!(error.contains("the control member inflates to more than"), "{error}");
}

/// A package of v2 whose signature member is `signature`, and a key that is trusted.
fn signed(signature: impl Fn(&SigningKey) -> Vec<u8>) -> Result<(), PackageError> {
    let key = SigningKey::generate("good.rsa.pub", 1024).unwrap();
    let mut keys = KeyRing::default();
    keys.add("good.rsa.pub", key.public_pem().unwrap().as_bytes()).unwrap();
    let bytes = [signature(&key), package(&[file(b"x")])].concat();
    package::open_signed(bytes.as_slice(), &keys).map(drop)
}

#[test]
fn a_signature_over_other_bytes_is_refused() {
    let error = signed(|key| {
        member(&[(Entry::file(b".SIGN.RSA.good.rsa.pub", 256), vec![key.name().len() as u8; 256])], false)
            .unwrap()
    });
    assert!(matches!(error, Err(PackageError::Signature(SignatureError::Wrong(_)))), "{error:?}");
}

#[test]
fn a_key_named_by_a_path_is_trusted_by_nobody() {
    for name in [".SIGN.RSA.../../tmp/evil.rsa.pub", ".SIGN.RSA./good.rsa.pub", ".SIGN.RSA../good.rsa.pub"] {
        let error = signed(|_| member(&[(Entry::file(name.as_bytes(), 3), b"abc")], false).unwrap());
        assert!(
            matches!(error, Err(PackageError::Signature(SignatureError::Untrusted { .. }))),
            "{name}: {error:?}"
        );
    }
    let mut keys = KeyRing::default();
    let pem = SigningKey::generate("k", 1024).unwrap().public_pem().unwrap();
    assert!(keys.add("../k", pem.as_bytes()).unwrap_err().to_string().contains("not a path"));
}

#[test]
fn a_size_beyond_reason_is_refused_before_it_is_read() {
    let mut bytes = package(&[]);
    let control = bytes.len();
    let mut header = hoopy_apk::tar::Writer::new(Vec::new());
    header.entry(&entry(b"big", Kind::File(0))).unwrap();
    let mut data = header.finish(true).unwrap();
    // 1 TiB in the field of the size, with the header's sum put right (POSIX.1-2017, ustar).
    data[124..136].copy_from_slice(b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    data[148..156].fill(b' ');
    let sum: u32 = data[..512].iter().map(|&b| u32::from(b)).sum();
    data[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let empty = member::<&[u8]>(&[], true).unwrap().len();
    bytes.truncate(control - empty);
    let mut gzip = flate2::write::GzEncoder::new(bytes, flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &data).unwrap();
    let error = read(&gzip.finish().unwrap()).unwrap_err().to_string();
    assert!(error.contains("far larger"), "{error}");
}

#[test]
fn a_name_that_is_not_utf8_is_kept_as_it_is() {
    assert_eq!(read(&package(&[file(b"caf\xe9")])).unwrap(), 1);
}

#[test]
fn what_stands_behind_the_data_is_refused() {
    let bytes = [package(&[file(b"x")]), member::<&[u8]>(&[], true).unwrap()].concat();
    assert!(matches!(read(&bytes), Err(PackageError::Trailing)));
}

#[test]
fn a_package_cut_short_anywhere_is_refused() {
    let bytes = package(&[dir(b"etc"), file(b"etc/a")]);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end} of {}", bytes.len());
    }
}

#[test]
fn data_other_than_the_control_file_says_is_refused() {
    let info = format!("{INFO}datahash = {}\n", "0".repeat(64));
    let control = member(&[(Entry::file(b".PKGINFO", info.len() as u64), info.as_bytes())], false).unwrap();
    let bytes = [&control[..], &member::<&[u8]>(&[(file(b"x"), b"")], true).unwrap()].concat();
    let checksum = Checksum::Sha1(Sha1::digest(&control).into());
    assert!(matches!(package::verify(&bytes[..], &checksum), Err(PackageError::DataHash { .. })));
    // Where the digest of the whole file was right, nothing in it is digested again.
    assert_eq!(read(&bytes).unwrap(), 1);
}

#[test]
fn a_file_other_than_its_checksum_says_is_refused() {
    let control = member(&[(Entry::file(b".PKGINFO", INFO.len() as u64), INFO.as_bytes())], false).unwrap();
    let wrong = Entry { sha1: Some([7; 20]), ..entry(b"x", Kind::File(1)) };
    let bytes = [&control[..], &member::<&[u8]>(&[(wrong, b"x")], true).unwrap()].concat();
    let checksum = Checksum::Sha1(Sha1::digest(&control).into());
    assert!(matches!(package::verify(&bytes[..], &checksum), Err(PackageError::FileChecksum { .. })));
    assert_eq!(read(&bytes).unwrap(), 1);
}

/// Found by fuzzing the index: a version that is a carriage return at the end of the text was read, and lost when it
/// was written.
#[test]
fn a_version_that_would_be_lost_when_written_is_refused() {
    for version in ["\r", "1 2", "1\t", "\u{85}1"] {
        let text = format!("C:Q1Aiu8TsbeuWupoEkGBTyeuslxJKg=\nP:a\nV:{version}");
        let error = hoopy_apk::index::parse(&text).unwrap_err().to_string();
        assert!(error.contains("cannot be part of a file name"), "{version:?}: {error}");
    }
}
