//! Archives go out and come back, here and through other programs.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skip")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use hoopy_cpio::{Entry, Header, ReadError, Reader, Writer, file_type};
use proptest::prelude::*;

/// A small system: a directory, a file, a link, hard links and a device.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let base = Header { nlink: 1, mtime: 1_700_000_000, ..Header::default() };
    let dir = Header { name: b"etc", mode: file_type::DIR | 0o755, nlink: 2, ..base };
    let file = Header { name: b"etc/motd", mode: file_type::FILE | 0o640, uid: 3, gid: 42, ..base };
    let link = Header { name: b"etc/link", mode: file_type::SYMLINK | 0o777, ..base };
    let first = Header { name: b"one", mode: file_type::FILE | 0o4755, ino: 7, nlink: 2, ..base };
    let second = Header { name: b"two", ..first };
    let device = Header { name: b"null", mode: file_type::CHAR | 0o666, rdev: (1, 3), ..base };
    let entries: [(Header<'_>, &[u8]); 6] =
        [(dir, b""), (file, b"hello"), (link, b"motd"), (first, b""), (second, b"linked\n"), (device, b"")];
    for (header, data) in entries {
        writer.entry(&header, data.len() as u64).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, ReadError> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data).map_err(ReadError::Io)?;
        all.push((entry, data));
    }
    Ok(all)
}

/// What a program says to an archive on its input, or nothing when it is not there.
fn tool(program: &str, arguments: &[&str], archive: &[u8]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        hoopy_testkit::skip(format_args!("{program} is not installed"));
        return None;
    };
    child.stdin.take().unwrap().write_all(archive).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn gnu_cpio_lists_what_was_written() {
    let Some(listing) = tool("cpio", &["--quiet", "-itvn"], &sample()) else { return };
    let columns: Vec<Vec<&str>> = listing.lines().map(|line| line.split_whitespace().collect()).collect();
    let stamp = ["Nov", "14", "2023"];
    let expected = [
        ["drwxr-xr-x", "2", "0", "0", "0"].iter().chain(&stamp).chain(&["etc"]).copied().collect(),
        ["-rw-r-----", "1", "3", "42", "5"].iter().chain(&stamp).chain(&["etc/motd"]).copied().collect(),
        ["lrwxrwxrwx", "1", "0", "0", "4"]
            .iter()
            .chain(&stamp)
            .chain(&["etc/link", "->", "motd"])
            .copied()
            .collect(),
        ["-rwsr-xr-x", "2", "0", "0", "0"].iter().chain(&stamp).chain(&["one"]).copied().collect(),
        ["-rwsr-xr-x", "2", "0", "0", "7"].iter().chain(&stamp).chain(&["two"]).copied().collect(),
        ["crw-rw-rw-", "1", "0", "0", "1,", "3"]
            .iter()
            .chain(&stamp)
            .chain(&["null"])
            .copied()
            .collect::<Vec<_>>(),
    ];
    assert_eq!(columns, expected);
}

#[test]
fn bsdcpio_lists_what_was_written() {
    let Some(listing) = tool("bsdcpio", &["--quiet", "-it"], &sample()) else { return };
    assert_eq!(listing.lines().collect::<Vec<_>>(), ["etc", "etc/motd", "etc/link", "one", "two", "null"]);
}

#[test]
fn reads_what_gnu_cpio_writes() {
    let names = b"Cargo.toml\nsrc\nsrc/lib.rs\n";
    let mut command = Command::new("cpio");
    command.args(["--quiet", "-o", "-H", "newc"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        return hoopy_testkit::skip("cpio is not installed");
    };
    child.stdin.take().unwrap().write_all(names).unwrap();
    let archive = child.wait_with_output().unwrap().stdout;
    let all = read_all(&archive).unwrap();
    let found: Vec<_> = all.iter().map(|(entry, _)| entry.name.as_slice()).collect();
    assert_eq!(found, [b"Cargo.toml".as_slice(), b"src", b"src/lib.rs"]);
    assert_eq!(all.last().unwrap().1, std::fs::read("src/lib.rs").unwrap());
}

#[test]
fn another_reader_agrees() {
    let archive = sample();
    let mut rest = archive.as_slice();
    for (entry, data) in read_all(&archive).unwrap() {
        let mut theirs = cpio_oracle::newc::Reader::new(rest).unwrap();
        assert_eq!(theirs.entry().name().as_bytes(), entry.name);
        assert_eq!((theirs.entry().mode(), theirs.entry().ino()), (entry.mode, entry.ino));
        assert_eq!((theirs.entry().uid(), theirs.entry().gid()), (entry.uid, entry.gid));
        assert_eq!((theirs.entry().rdev_major(), theirs.entry().rdev_minor()), entry.rdev);
        let mut same = Vec::new();
        theirs.read_to_end(&mut same).unwrap();
        assert_eq!(same, data);
        rest = theirs.finish().unwrap();
    }
    assert!(cpio_oracle::newc::Reader::new(rest).unwrap().entry().is_trailer());
}

#[test]
fn archives_end_to_end_are_read_with_the_zeros_between_them() {
    let mut bytes = sample();
    bytes.extend([0; 8]);
    bytes.extend(sample());
    bytes.extend([0; 300]);
    let all = read_all(&bytes).unwrap();
    assert_eq!(all.iter().map(|(entry, _)| entry.archive).collect::<Vec<_>>(), [[0; 6], [1; 6]].concat());
}

#[test]
fn stops_before_a_compressed_member_and_leaves_it_in_the_source() {
    let mut bytes = sample();
    bytes.extend(b"\0\0\x28\xb5\x2f\xfd");
    let mut reader = Reader::new(bytes.as_slice());
    while reader.next_entry().unwrap().is_some() {}
    assert_eq!(reader.position(), bytes.len() as u64 - 4);
    assert_eq!(reader.into_inner(), b"\x28\xb5\x2f\xfd");
}

#[test]
fn refuses_an_archive_at_an_odd_offset() {
    let bytes = [b"\0\0".to_vec(), sample()].concat();
    assert!(matches!(read_all(&bytes), Err(ReadError::Misaligned { offset: 2 })));
}

#[test]
fn refuses_every_truncation() {
    let archive = sample();
    for len in 1..archive.len() {
        let cut = read_all(&archive[..len]);
        // The padding behind the trailer's name is part of it.
        assert!(cut.is_err(), "accepted {len} of {} bytes", archive.len());
    }
}

#[test]
fn refuses_numbers_that_are_not_all_digits() {
    for bad in [b"+0000001", b" 0000001", b"0x000001", b"0000000g"] {
        let mut archive = sample();
        archive[6..14].copy_from_slice(bad);
        assert!(read_all(&archive).unwrap_err().to_string().contains("for its inode"));
    }
}

#[test]
fn refuses_a_name_longer_than_the_kernel_takes_before_reading_it() {
    let mut archive = sample();
    archive[94..102].copy_from_slice(b"FFFFFFFF");
    assert!(matches!(read_all(&archive), Err(ReadError::BadName { offset: 0, len: u32::MAX })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        files in proptest::collection::vec(
            (proptest::collection::vec(1_u8.., 1..40), any::<[u32; 8]>(), proptest::collection::vec(any::<u8>(), 0..40)),
            0..8,
        ),
    ) {
        let mut writer = Writer::new(Vec::new());
        for (name, [ino, mode, uid, gid, nlink, mtime, major, minor], data) in &files {
            let mode = mode & 0o7777 | file_type::FILE;
            let header = Header {
                name, ino: *ino, mode, uid: *uid, gid: *gid, nlink: *nlink, mtime: *mtime, rdev: (*major, *minor),
            };
            writer.entry(&header, data.len() as u64).unwrap();
            writer.write_all(data).unwrap();
        }
        let archive = writer.finish().unwrap();
        let back = read_all(&archive).unwrap();
        prop_assert_eq!(back.len(), files.len());
        for ((entry, found), (name, [ino, _, uid, gid, nlink, mtime, major, minor], data)) in back.iter().zip(&files) {
            prop_assert_eq!(&entry.name, name);
            prop_assert_eq!(found, data);
            prop_assert_eq!([entry.ino, entry.uid, entry.gid, entry.nlink, entry.mtime], [*ino, *uid, *gid, *nlink, *mtime]);
            prop_assert_eq!(entry.rdev, (*major, *minor));
        }
    }

    #[test]
    fn survives_any_bytes(noise in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..400) {
        let _ = read_all(&noise);
        let mut archive = sample();
        for (offset, byte) in noise.iter().enumerate() {
            if let Some(slot) = archive.get_mut(at + offset) {
                *slot ^= byte & 1;
            }
        }
        let _ = read_all(&archive);
    }
}
