//! Archives of directories, beside the real tar and zstd where those say more.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_backup::{BackupError, Manifest, Source, check, copy, unpack, write};
use proptest::prelude::*;

fn manifest(directories: &[&str]) -> Manifest {
    Manifest::new(
        "nas",
        "nas-2026112901",
        1_795_914_123,
        directories.iter().map(|d| (*d).to_owned()).collect(),
    )
}

fn archive(dir: &Path) -> Vec<u8> {
    let source = Source { path: "var/lib/app".to_owned(), dir: dir.to_owned() };
    write(Vec::new(), &manifest(&["var/lib/app"]), &[source]).unwrap()
}

/// What a directory holds: for each path its mode, time, and content or target.
fn seen(dir: &Path) -> BTreeMap<Vec<u8>, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else if meta.is_file() {
            fs::read(&path).unwrap()
        } else if !meta.is_dir() {
            Vec::new()
        } else {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        };
        let name = path.strip_prefix(dir).unwrap().as_os_str().as_bytes().to_vec();
        found.insert(name, (meta.mode(), meta.mtime(), content));
    }
    found
}

/// A directory with one of each kind.
fn every_kind(dir: &Path) {
    fs::create_dir_all(dir.join("a/b")).unwrap();
    fs::write(dir.join("a/file"), "content").unwrap();
    fs::set_permissions(dir.join("a/file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(dir.join("a/file"), dir.join("a/b/same file")).unwrap();
    symlink("../nowhere", dir.join("link")).unwrap();
    fs::write(dir.join("x".repeat(200)), "a long name").unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"no \xff utf-8")), "").unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (64 << 20) - 3).unwrap();
    fs::set_permissions(dir.join("a"), fs::Permissions::from_mode(0o2750)).unwrap();
}

#[test]
fn a_directory_comes_out_as_it_went_in_with_links_and_holes() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&to).unwrap();
    every_kind(&from);
    let bytes = archive(&from);
    let contents = check(&*bytes).unwrap();
    assert_eq!((contents.entries, contents.manifest.name.as_str()), (10, "nas"));
    unpack(&*bytes, &contents.manifest, &to).unwrap();
    let out = to.join("var-lib-app");
    assert_eq!(seen(&from), seen(&out));
    let inode = |name: &str| fs::metadata(out.join(name)).unwrap().ino();
    assert_eq!(inode("a/file"), inode("a/b/same file"));
    assert!(fs::metadata(out.join("sparse")).unwrap().blocks() < 100, "its hole is a hole still");
}

#[test]
fn a_copy_is_the_directory_and_needs_no_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).unwrap();
    every_kind(&from);
    copy(&from, &to).unwrap();
    assert_eq!(seen(&from), seen(&to));
    assert!(copy(&from, &to).is_err(), "what is there is not written over");
    assert!(copy(&dir.path().join("none"), &dir.path().join("other")).is_err());
}

#[test]
fn the_real_zstd_and_tar_read_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("from")).unwrap();
    every_kind(&dir.path().join("from"));
    fs::write(dir.path().join("backup"), archive(&dir.path().join("from"))).unwrap();
    let mut tar = Command::new("tar");
    let tar = tar
        .args(["--zstd", "-xf", "backup"])
        .current_dir(dir.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    assert_eq!(seen(&dir.path().join("from")), seen(&dir.path().join("var/lib/app")));
    assert!(fs::read_to_string(dir.path().join("hoopy-backup.json")).unwrap().contains("nas-2026112901"));
}

#[test]
fn an_archive_that_is_cut_short_damaged_or_longer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("a"),
        (0..9000_u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    let bytes = archive(dir.path());
    assert!(check(&*bytes).is_ok());
    for end in (0..bytes.len()).step_by(7) {
        assert!(check(&bytes[..end]).is_err(), "cut at {end} of {}", bytes.len());
    }
    for at in (0..bytes.len()).step_by(11) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        // A bit that no decoder looks at changes nothing.
        let same = zstd::decode_all(&*damaged).is_ok_and(|plain| plain == zstd::decode_all(&*bytes).unwrap());
        assert!(check(&*damaged).is_err() || same, "damaged at {at}");
    }
    let longer = [&bytes[..], b"more"].concat();
    assert!(matches!(check(&*longer), Err(BackupError::Damaged(_))));
}

/// An archive that another program made.
fn foreign(dir: &Path, tar: &[&str]) -> Vec<u8> {
    let text = serde_json::to_vec(&manifest(&["app"])).unwrap();
    fs::write(dir.join("hoopy-backup.json"), text).unwrap();
    let args = [&["--format=posix", "-P", "-cf", "-", "hoopy-backup.json"], tar].concat();
    let made = Command::new("tar").args(args).current_dir(dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&made.stdout).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn paths_that_lead_elsewhere_are_refused_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (from, outside) = (dir.path().join("from"), dir.path().join("outside"));
    for made in [&from, &outside, &from.join("app")] {
        fs::create_dir(made).unwrap();
    }
    fs::write(from.join("app/file"), "x").unwrap();
    fs::write(from.join("stray"), "x").unwrap();
    symlink(&outside, from.join("app/dir")).unwrap();
    let honest = foreign(&from, &["app"]);
    assert_eq!(check(&*honest).unwrap().entries, 3);
    let renamed = |rule: &str| foreign(&from, &[&format!("--transform={rule}"), "app/file"]);
    for bytes in [
        foreign(&from, &["stray"]),
        renamed("s,app/file,app/../../x,"),
        renamed("s,app/file,/etc/passwd,"),
        renamed("s,app/file,application/x,"),
    ] {
        assert!(matches!(check(&*bytes), Err(BackupError::NotABackup { .. })));
    }
    // A link, and then a file through it.
    fs::remove_file(from.join("app/dir")).unwrap();
    fs::create_dir(from.join("app/other")).unwrap();
    fs::write(from.join("app/other/evil"), "x").unwrap();
    symlink(&outside, from.join("app/link")).unwrap();
    let bytes = foreign(&from, &["--transform=s,app/other/,app/link/,", "app/link", "app/other/evil"]);
    let to = dir.path().join("to");
    fs::create_dir(&to).unwrap();
    assert!(unpack(&*bytes, &manifest(&["app"]), &to).is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_comes_back(
        files in prop::collection::btree_map("[a-zA-Z0-9 ._%-]{1,120}", (prop::collection::vec(any::<u8>(), 0..5000), 0_u32..0o1000), 0..12)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        for (at, (name, (content, mode))) in files.iter().enumerate() {
            if name == "." || name == ".." {
                continue;
            }
            let parent = from.join(format!("d{}", at % 3));
            fs::create_dir_all(&parent).unwrap();
            fs::write(parent.join(name), content).unwrap();
            fs::set_permissions(parent.join(name), fs::Permissions::from_mode(mode | 0o400)).unwrap();
        }
        let bytes = archive(&from);
        unpack(&*bytes, &manifest(&["var/lib/app"]), &to).unwrap();
        prop_assert_eq!(seen(&from), seen(&to.join("var-lib-app")));
    }
}
