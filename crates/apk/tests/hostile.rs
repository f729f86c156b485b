//! Packages that mean harm: each is refused with a message of its own before anything of it is used.

#![allow(clippy::unwrap_used, reason = "tests")]

use hoopy_apk::package::{self, PackageError, write::member};
use hoopy_apk::tar::{Entry, Kind};

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

#[test]
fn each_evil_is_refused_with_its_own_message() {
    let table: [(&str, Vec<Entry>, &str); 13] = [
        ("parent", vec![file(b"../etc/passwd")], "could leave the root"),
        ("parent within", vec![file(b"etc/../../x")], "could leave the root"),
        ("absolute", vec![file(b"/etc/passwd")], "an absolute path"),
        ("symlinked parent", vec![link(b"etc", b"/tmp"), file(b"etc/x")], "made a file or a link"),
        ("absolute symlinked parent", vec![link(b"a", b"/"), file(b"a/b/c")], "made a file or a link"),
        ("file as directory", vec![file(b"etc"), file(b"etc/x")], "made a file or a link"),
        ("hard link out", vec![hard(b"x", b"../../etc/shadow")], "could leave the root"),
        ("hard link to nothing", vec![hard(b"x", b"etc/shadow")], "no file earlier in the package"),
        ("hard link to a link", vec![link(b"l", b"/etc/shadow"), hard(b"x", b"l")], "no file earlier"),
        ("duplicate", vec![file(b"x"), link(b"x", b"/y")], "has it twice"),
        ("newline", vec![file(b"etc/a\nb")], "a NUL or a newline"),
        ("long name", vec![file(&[b'n'; 300])], "longer than 255 bytes"),
        ("dot", vec![file(b"etc/./x")], "an empty or `.` component"),
    ];
    for (name, entries, message) in table {
        let error = read(&package(&entries)).expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
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
    assert!(error.contains("far more bytes"), "{error}");
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
    let bytes = [control, member::<&[u8]>(&[(file(b"x"), b"")], true).unwrap()].concat();
    assert!(matches!(read(&bytes), Err(PackageError::DataHash { .. })));
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
