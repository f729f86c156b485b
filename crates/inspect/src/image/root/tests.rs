//! What the kernel does, entry by entry (Linux `init/initramfs.c`). Linux 6.18 was given these archives, and made of
//! them what is expected here; the one at which it waits for ever excepted.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use hoopy_cpio::{Header, Writer, file_type};

use super::*;
use crate::image::split::{Found, Limits, Splitter};

/// An entry: name, mode, inode (several names where not 0), data.
type Line = (&'static str, u32, u32, &'static str);

const FILE: u32 = file_type::FILE | 0o644;
const DIR: u32 = file_type::DIR | 0o755;
const LINK: u32 = file_type::SYMLINK | 0o777;
const PIPE: u32 = file_type::FIFO | 0o600;

fn archive(lines: &[Line]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, mode, ino, data) in lines {
        let nlink = if *ino == 0 { 1 } else { 2 };
        let header = Header { name: name.as_bytes(), mode: *mode, ino: *ino, nlink, ..Header::default() };
        writer.entry(&header, data.len() as u64).unwrap();
        writer.write_all(data.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

/// The tree of archives end to end: `PATH TYPE DATA` for each path, then what was lost.
fn tree(archives: &[&[Line]]) -> String {
    let bytes: Vec<u8> = archives.iter().flat_map(|lines| archive(lines)).collect();
    let mut root = Root::default();
    let mut take = |found: Found<'_>| root.take(&found);
    let mut splitter = Splitter::new(Limits::default(), &mut take);
    splitter.buffer(bytes.as_slice(), 0).unwrap();
    let starts: Vec<u64> = splitter.segments.iter().map(|segment| segment.offset).collect();
    let mut out = Vec::new();
    root.walk(root.top(), &mut |path, _, node| {
        let what = match &node.kind {
            Kind::Dir(_) => "/".to_owned(),
            Kind::Symlink(target) => format!(" -> {}", String::from_utf8_lossy(target)),
            Kind::File(content) => {
                let start = (starts[content.segment as usize] + content.offset) as usize;
                format!(" {}", String::from_utf8_lossy(&bytes[start..start + content.size as usize]))
            }
            other => format!(" {}", other.file_type()),
        };
        out.push(format!("{}{what}", String::from_utf8_lossy(path)));
    });
    out.extend(root.lost.iter().map(|l| format!("LOST {}: {}", String::from_utf8_lossy(&l.path), l.why)));
    out.join("\n")
}

#[test]
fn a_later_file_takes_the_place_of_an_earlier_one() {
    assert_eq!(tree(&[&[("a", FILE, 0, "old")], &[("a", FILE, 0, "newer")]]), "a newer");
}

#[test]
fn a_later_file_is_written_through_every_hard_link_of_the_earlier_one() {
    let lower: &[Line] = &[("a", FILE, 7, "old"), ("b", FILE, 7, "")];
    assert_eq!(tree(&[lower]), "a old\nb old");
    assert_eq!(tree(&[lower, &[("a", FILE, 0, "new")]]), "a new\nb new");
}

#[test]
fn the_last_name_may_bring_the_data() {
    assert_eq!(tree(&[&[("a", FILE, 7, ""), ("b", FILE, 7, "data")]]), "a data\nb data");
}

#[test]
fn inodes_of_two_archives_are_not_the_same() {
    assert_eq!(tree(&[&[("a", FILE, 7, "one")], &[("b", FILE, 7, "two")]]), "a one\nb two");
}

#[test]
fn a_name_that_was_replaced_before_its_link_came_is_lost_with_it() {
    let lines: &[Line] = &[("a", FILE, 7, "x"), ("a", LINK, 0, "b"), ("b", FILE, 7, "")];
    // What has the first name now gets the second.
    assert_eq!(tree(&[lines]), "a -> b\nb -> b\nLOST b: something is there that stays");
    let twice: &[Line] = &[("a", FILE, 7, "x"), ("a", FILE, 7, "y")];
    assert_eq!(tree(&[twice]), "LOST a: the file that it is a further name of is gone");
}

#[test]
fn another_type_takes_the_place_of_what_is_there() {
    assert_eq!(tree(&[&[("a", FILE, 0, "x"), ("a", LINK, 0, "b")]]), "a -> b");
    assert_eq!(tree(&[&[("a", LINK, 0, "b"), ("a", FILE, 0, "x")]]), "a x");
    assert_eq!(
        tree(&[&[("a", FILE, 0, "x"), ("a", DIR, 0, ""), ("a/b", PIPE, 0, "")]]),
        "a/\na/b a named pipe"
    );
    assert_eq!(tree(&[&[("a", DIR, 0, ""), ("a", FILE, 0, "x")]]), "a x");
}

#[test]
fn a_directory_with_content_stays() {
    let lines: &[Line] =
        &[("a", DIR, 0, ""), ("a/b", FILE, 0, "x"), ("a", FILE, 0, "y"), ("a", LINK, 0, "z")];
    let stays = "something is there that stays";
    assert_eq!(tree(&[lines]), format!("a/\na/b x\nLOST a: {stays}\nLOST a: {stays}"));
}

#[test]
fn a_directory_takes_the_place_of_a_link_to_one() {
    let lines: &[Line] = &[("a", DIR, 0, ""), ("l", LINK, 0, "a"), ("l", DIR, 0, ""), ("l/x", FILE, 0, "1")];
    assert_eq!(tree(&[lines]), "a/\nl/\nl/x 1");
}

#[test]
fn files_without_a_directory_are_lost() {
    assert_eq!(tree(&[&[("no/a", FILE, 0, "x")]]), "LOST no/a: there is no directory for it");
}

#[test]
fn paths_lead_through_links_and_never_out_of_the_root() {
    let lines: &[Line] = &[
        ("usr", DIR, 0, ""),
        ("lib", LINK, 0, "/usr"),
        ("lib/a", FILE, 0, "1"),
        ("../../b", FILE, 0, "2"),
        ("/c", FILE, 0, "3"),
        ("usr/up", LINK, 0, "../.."),
        ("usr/up/d", FILE, 0, "4"),
    ];
    assert_eq!(tree(&[lines]), "b 2\nc 3\nd 4\nlib -> /usr\nusr/\nusr/a 1\nusr/up -> ../..");
}

#[test]
fn links_in_a_circle_lead_nowhere() {
    let lines: &[Line] = &[("a", LINK, 0, "b"), ("b", LINK, 0, "a"), ("a/x", FILE, 0, "1")];
    assert_eq!(tree(&[lines]), "a -> b\nb -> a\nLOST a/x: there is no directory for it");
}

#[test]
fn what_the_kernel_has_itself_is_there_and_not_shown() {
    assert_eq!(
        tree(&[&[("dev/null", PIPE, 0, ""), ("root/.profile", FILE, 0, "x")]]),
        "dev/null a named pipe\nroot/.profile x"
    );
    assert_eq!(tree(&[&[(".", DIR, 0, ""), ("./a", FILE, 0, "x")]]), "a x");
}

#[test]
fn only_directories_may_be_named_with_a_slash_behind() {
    let lines: &[Line] =
        &[("x/", DIR, 0, ""), ("x/./y", FILE, 0, "1"), ("x//z", FILE, 0, "2"), ("f/", FILE, 0, "3")];
    assert_eq!(tree(&[lines]), "x/\nx/y 1\nx/z 2\nLOST f/: only the name of a directory may end in a slash");
}

#[test]
fn data_is_for_files_and_links_alone() {
    let lines: &[Line] = &[("a", DIR, 0, "data"), ("b", PIPE, 0, "data"), ("d", FILE, 0, "x")];
    let lost = "it has data, but is not a file";
    assert_eq!(tree(&[lines]), format!("d x\nLOST a: {lost}\nLOST b: {lost}"));
}

#[test]
fn every_name_shows_what_came_last_through_any_of_them() {
    let lines: &[Line] = &[("a", FILE, 7, "long data"), ("b", FILE, 7, "xy"), ("c", FILE, 7, "")];
    assert_eq!(tree(&[lines]), "a xy\nb xy\nc xy");
}

#[test]
fn a_file_that_turned_into_a_pipe_keeps_the_kernel_waiting() {
    let lines: &[Line] = &[("a", FILE, 7, "xyz"), ("a", PIPE, 0, ""), ("b", FILE, 7, "")];
    assert!(tree(&[lines]).ends_with("LOST b: the kernel waits for ever for a reader of that pipe"));
}

#[test]
fn directories_may_be_as_deep_as_a_name_can_say() {
    let deepest = vec!["a"; 2047].join("/");
    let mut root = Root::default();
    let mut writer = Writer::new(Vec::new());
    let dirs = deepest.match_indices('/').map(|(cut, _)| &deepest[..cut]);
    for (name, mode) in dirs.map(|dir| (dir, DIR)).chain([(&*deepest, FILE)]) {
        writer.entry(&Header { name: name.as_bytes(), mode, ..Header::default() }, 0).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let mut take = |found: Found<'_>| root.take(&found);
    Splitter::new(Limits::default(), &mut take).buffer(bytes.as_slice(), 0).unwrap();
    assert_eq!((root.lost_count, root.too_long.is_none()), (0, true));
    assert!(root.find(deepest.as_bytes()).is_some());
}

#[test]
fn what_links_make_deeper_is_said_to_be_missing() {
    let deep = vec!["a"; 2000].join("/");
    let mut root = Root::default();
    let mut writer = Writer::new(Vec::new());
    let dirs = deep.match_indices('/').map(|(cut, _)| &deep[..cut]).chain([&*deep]);
    for name in dirs {
        writer.entry(&Header { name: name.as_bytes(), mode: DIR, ..Header::default() }, 0).unwrap();
    }
    let link = Header { name: b"l", mode: LINK, ..Header::default() };
    writer.entry(&link, deep.len() as u64).unwrap();
    writer.write_all(deep.as_bytes()).unwrap();
    let far = format!("l/{}", "b".repeat(120));
    writer.entry(&Header { name: far.as_bytes(), mode: FILE, ..Header::default() }, 0).unwrap();
    let bytes = writer.finish().unwrap();
    let mut take = |found: Found<'_>| root.take(&found);
    Splitter::new(Limits::default(), &mut take).buffer(bytes.as_slice(), 0).unwrap();
    assert_eq!(root.too_long, Some((0, far.into_bytes())));
}
