//! Random trees: what is written is read back, and cpio is the judge.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_inspect::diff::{Became, Side, compare};

use super::*;

/// GNU cpio's `--no-preserve-owner` and the rest of it need no root.
fn unpacked_by_cpio(archives: &[Vec<u8>], dir: &Path) -> bool {
    for archive in archives {
        let args = ["-idum", "--quiet", "--no-preserve-owner", "--no-absolute-filenames"];
        let child = Command::new("cpio")
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            hoopy_testkit::skip("cpio is not installed");
            return false;
        };
        let _ = child.stdin.take().unwrap().write_all(archive);
        child.wait().unwrap();
    }
    true
}

fn on_disk(dir: &Path, below: &str, all: &mut BTreeMap<String, Is>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            on_disk(&entry.path(), &format!("{path}/"), all);
            all.insert(path, Is::Dir);
        } else if kind.is_symlink() {
            all.insert(path, Is::Link(fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned()));
        } else {
            all.insert(path, Is::File(fs::read(entry.path()).unwrap()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back_whatever_it_is_packed_with(
        members in prop::collection::vec((files(), codec(), 0_usize..3), 1..5),
    ) {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for (files, codec, zeros) in &members {
            bytes.resize((bytes.len() + zeros * 4).next_multiple_of(4), 0);
            starts.push(bytes.len() as u64);
            bytes.extend(packed(*codec, &archive(files)));
        }
        let image = opened(&bytes).unwrap();
        prop_assert!(image.stopped.is_none(), "{:?}", image.stopped);
        prop_assert_eq!(image.segments.iter().map(|s| s.offset).collect::<Vec<_>>(), starts);
        for ((files, codec, _), segment) in members.iter().zip(&image.segments) {
            prop_assert_eq!(segment.codec.name(), codec.name());
            prop_assert_eq!(segment.entries, files.len() as u64);
            prop_assert_eq!(segment.unpacked, archive(files).len() as u64);
        }
        // The same archives as one raw buffer make the same tree.
        let raw: Vec<u8> = members.iter().flat_map(|(files, ..)| archive(files)).collect();
        prop_assert_eq!(tree(&image), tree(&opened(&raw).unwrap()));
    }

    #[test]
    fn cpio_unpacks_the_same_tree(members in prop::collection::vec(files(), 1..4)) {
        // Where a link takes the place of a directory, cpio and the kernel go different ways.
        let links = |m: &Vec<(String, Is)>| m.iter().any(|(p, is)| matches!(is, Is::Link(_)) && p.starts_with(['d', 'e', 'f']) && p.len() == 1);
        prop_assume!(!members.iter().any(links));
        let archives: Vec<Vec<u8>> = members.iter().map(|files| archive(files)).collect();
        let dir = tempfile::tempdir().unwrap();
        if unpacked_by_cpio(&archives, dir.path()) {
            let mut theirs = BTreeMap::new();
            on_disk(dir.path(), "", &mut theirs);
            prop_assert_eq!(tree(&opened(&archives.concat()).unwrap()), theirs);
        }
    }

    #[test]
    fn a_difference_names_each_path_that_is_not_the_same((old, new) in (files(), files()), codec in codec()) {
        let old = opened(&packed(codec, &archive(&old))).unwrap();
        let new = opened(&archive(&new)).unwrap();
        let (before, after) = (tree(&old), tree(&new));
        let found = compare(&Side::image(old, "old"), &Side::image(new, "new"), true).unwrap();
        let found: BTreeMap<String, Became> = found.files.into_iter().map(|f| (f.path, f.became)).collect();
        let mut expected = BTreeMap::new();
        for path in before.keys().chain(after.keys()) {
            let became = match (before.get(path), after.get(path)) {
                (None, _) => Became::Added,
                (_, None) => Became::Removed,
                (old, new) if old != new => Became::Changed,
                _ => continue,
            };
            expected.insert(path.clone(), became);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn extraction_writes_what_the_tree_has(files in files()) {
        let image = opened(&archive(&files)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        image.extract(&[], dir.path()).unwrap();
        let mut found = BTreeMap::new();
        on_disk(dir.path(), "", &mut found);
        prop_assert_eq!(found, tree(&image));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0_usize..8) {
        let starts: [&[u8]; 8] = [b"", b"MZ", b"070701", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\x02\x21\x4c\x18", b"\0\0\0\0"];
        if let Ok(image) = opened(&[starts[start], &bytes].concat()) {
            image.describe().unwrap();
        }
    }
}
