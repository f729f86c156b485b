//! What lies, what is cut, what is too much, and what would be written elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use super::*;

#[test]
fn what_is_before_the_damage_is_there_and_the_damage_is_told_with_its_place() {
    let good = archive(&[of("a", "1")]);
    for codec in Codec::ALL {
        let second = packed(codec, &archive(&[of("b", &"long ".repeat(1000))]));
        let cut = [good.as_slice(), &second[..second.len() / 2]].concat();
        let image = opened(&cut).unwrap();
        assert_eq!(image.read(b"a").unwrap(), b"1", "{codec}");
        let said = image.stopped.map(|s| s.to_string()).unwrap_or_default();
        assert!(said.contains(&format!("from byte {} ", good.len())), "{codec}: {said}");
    }
    assert!(stopped(&[good.as_slice(), b"garbage"].concat()).contains("found garbag"));
    assert!(stopped(&[good.as_slice(), b"BZh91AY"].concat()).contains("bzip2, which hoopy cannot read"));
    let misaligned = [packed(Codec::Zstd { level: 1 }, &good), b"\0".to_vec(), good.clone()].concat();
    assert_eq!(misaligned.len() % 4 == 0, stopped(&misaligned).is_empty());
}

#[test]
fn an_image_cut_anywhere_is_read_as_far_as_it_goes() {
    let files: Vec<_> = (0..5).map(|n| of(&format!("file{n}"), &"x".repeat(n * 30))).collect();
    for codec in Codec::ALL {
        let whole = packed(codec, &archive(&files));
        for cut in 1..whole.len() {
            if let Ok(image) = opened(&whole[..cut]) {
                // A frame of nothing is no archive cut short; zeros that end lz4 for the kernel may be missing.
                let whole = cut + 4 >= whole.len() || image.segments.iter().all(|s| s.unpacked == 0);
                assert!(image.stopped.is_some() || whole, "{codec}: cut at {cut}");
                image.describe().unwrap();
            }
        }
    }
}

#[test]
fn what_unpacks_to_more_than_a_machine_has_is_not_unpacked() {
    let big = archive(&[of("zeros", &"\0".repeat(3 << 20))]);
    let bomb = packed(Codec::Zstd { level: 19 }, &big);
    assert!(bomb.len() < 4096);
    let limits = Limits { unpacked: 2 << 20, ..Limits::default() };
    let said = opened_within(&bomb, limits).unwrap().stopped.unwrap().to_string();
    assert!(said.contains("more than any machine has memory for"), "{said}");
    let many = archive(&(0..50).map(|n| of(&format!("f{n}"), "")).collect::<Vec<_>>());
    for limits in [
        Limits { entries: 49, ..Limits::default() },
        Limits { names: 100, ..Limits::default() },
        Limits { segments: 0, ..Limits::default() },
    ] {
        let said = opened_within(&many, limits).unwrap().stopped.unwrap().to_string();
        assert!(said.contains("more than "), "{said}");
    }
}

#[test]
fn numbers_that_lie_are_told_of() {
    let good = archive(&[of("name", "data")]);
    // Where the numbers stand in a header: mode, size, length of the name.
    for (at, value, expected) in [
        (54, "FFFFFFFF", "ends at byte"),
        (94, "FFFFFFFF", "a name of 4294967295 bytes"),
        (94, "00000000", "a name of 0"),
        (6, "xxxxxxxx", "not 8 hexadecimal"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 8].copy_from_slice(value.as_bytes());
        assert!(stopped(&bytes).contains(expected), "{value} at {at}: {}", stopped(&bytes));
    }
}

#[test]
fn what_is_no_image_is_refused() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"MZ", b"MZ and nothing that follows from it"] {
        assert!(opened(bytes).is_err(), "{}", bytes.escape_ascii());
    }
    assert!(matches!(Image::open(Path::new("/"), Limits::default()), Err(InspectError::Io { .. })));
}

#[test]
fn nothing_is_written_out_of_the_directory_or_over_what_is_there() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().to_owned();
    let evil = archive(&[
        ("link".to_owned(), Is::Link(target.clone())),
        of("link/by-link", "x"),
        of("../../../../../../../../tmp/by-dots", "x"),
        of("/by-root", "x"),
    ]);
    let to = tempfile::tempdir().unwrap();
    opened(&evil).unwrap().extract(&[], to.path()).unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(to.path().join("by-root").is_file() && to.path().join("link").is_symlink());

    let plain = opened(&archive(&[("etc".to_owned(), Is::Dir), of("etc/passwd", "x")])).unwrap();
    let to = tempfile::tempdir().unwrap();
    symlink(outside.path(), to.path().join("etc")).unwrap();
    let refused = plain.extract(&[], to.path()).unwrap_err().to_string();
    assert!(refused.contains("a symbolic link or a file is where a directory must be"), "{refused}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join("etc")).unwrap();
    symlink(outside.path().join("stolen"), to.path().join("etc/passwd")).unwrap();
    assert!(plain.extract(&[], to.path()).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn hard_links_come_out_as_hard_links() {
    let mut writer = Writer::new(Vec::new());
    for (name, data) in [("a", "both"), ("b", "")] {
        let mode = file_type::FILE | 0o4755;
        let header = Header { name: name.as_bytes(), mode, ino: 3, nlink: 2, mtime: 77, ..Header::default() };
        writer.entry(&header, data.len() as u64).unwrap();
        writer.write_all(data.as_bytes()).unwrap();
    }
    let to = tempfile::tempdir().unwrap();
    opened(&writer.finish().unwrap()).unwrap().extract(&[], to.path()).unwrap();
    let [a, b] = ["a", "b"].map(|name| fs::metadata(to.path().join(name)).unwrap());
    assert_eq!((a.ino(), a.mode() & 0o7777, a.mtime()), (b.ino(), 0o755, 77));
    assert_eq!(fs::read(to.path().join("b")).unwrap(), b"both");
}

#[test]
fn the_page_is_one_file_that_asks_the_network_for_nothing() {
    let name = "</script><b>.cpio";
    let image = opened(&archive(&[of("a<b>&\"", "some data"), of("script", "</script>")])).unwrap();
    let page = hoopy_inspect::image::page::render(&image, &image.describe().unwrap(), name);
    assert_eq!(page.matches("</script>").count(), 2, "only the page's own");
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<b>", "{{"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;/script&gt;&lt;b&gt;.cpio") && page.contains("default-src 'none'"));
}
