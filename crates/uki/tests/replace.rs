//! One section replaced: everything else is as it was, and other readers agree.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Cursor, Read as _};

use common::*;
use hoopy_uki::pe::{Headers, Image};
use hoopy_uki::{ReplaceError, Replaced, Section, read_section, rewrite};
use proptest::prelude::*;

fn replaced(image: &[u8], section: Section, data: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(image);
    let described = Replaced::new(&mut file, section, data).unwrap();
    let mut out = Vec::new();
    described.stream(&mut file).unwrap().read_to_end(&mut out).unwrap();
    assert_eq!(out.len() as u64, described.size());
    out
}

/// Asserts that `new` is `old` but for this section.
fn differs_in_one_section(old: &[u8], new: &[u8], section: Section, data: &[u8]) {
    let (before, after) = (Image::parse(old).unwrap(), Image::parse(new).unwrap());
    assert_eq!(after.section_data(section).unwrap(), data);
    let end_of_table = before.headers.section_table + before.headers.sections.len() * 40;
    assert_eq!(&new[end_of_table..old.len()], &old[end_of_table..], "what follows the headers");
    let others = |image: &Image<'_>| {
        let headers = image.headers.sections.clone();
        headers.into_iter().filter(|header| header.section() != Some(section)).collect::<Vec<_>>()
    };
    assert_eq!(others(&before), others(&after));
    assert!(after.headers.sections.is_sorted_by_key(|header| header.address));
    let moved = after.headers.section(section).unwrap();
    assert!(u64::from(moved.address) >= u64::from(before.headers.size_of_image));
    assert!(moved.end_address() <= after.headers.size_of_image.into());
    assert_eq!((after.headers.checksum, moved.virtual_size), (0, data.len() as u32));
}

#[test]
fn goblin_reads_what_was_replaced_on_the_real_stub() {
    let Some(image) = on_the_real_stub() else { return };
    let text = "rdinit=/bin/sh ".repeat(200);
    let new = replaced(&image, Section::Cmdline, text.as_bytes());
    differs_in_one_section(&image, &new, Section::Cmdline, text.as_bytes());
    let theirs = goblin::pe::PE::parse(&new).unwrap();
    let section = theirs.sections.iter().find(|section| section.name().unwrap() == ".cmdline").unwrap();
    let start = section.pointer_to_raw_data as usize;
    assert_eq!(&new[start..start + section.virtual_size as usize], text.as_bytes());
}

#[test]
fn an_image_that_is_rewritten_has_no_gaps_and_all_other_sections_as_they_were() {
    let Some(image) = on_the_real_stub() else { return };
    let (line, initrd) = ("rdinit=/bin/sh ".repeat(200), vec![7; 5000]);
    let mut new = Vec::new();
    let sections = [(Section::Cmdline, line.as_bytes()), (Section::Initrd, &initrd)];
    rewrite(&mut Cursor::new(&image), &mut new, &sections).unwrap();
    let (before, after) = (Image::parse(&image).unwrap(), Image::parse(&new).unwrap());
    assert_eq!(after.section_data(Section::Cmdline).unwrap(), line.as_bytes());
    assert_eq!(after.section_data(Section::Initrd).unwrap(), initrd);
    for header in &before.headers.sections {
        let Some(other) = header.section() else {
            let same = |h: &&hoopy_uki::pe::SectionHeader| h.raw_name == header.raw_name;
            let moved = after.headers.sections.iter().find(same).unwrap();
            assert_eq!((before.raw(header), header.address), (after.raw(moved), moved.address));
            continue;
        };
        if !matches!(other, Section::Cmdline | Section::Initrd) {
            assert_eq!(before.section_data(other), after.section_data(other), "{other}");
        }
    }
    let mut expected = u64::from(after.headers.size_of_headers);
    for header in after.headers.sections.iter().filter(|header| header.raw_size != 0) {
        assert_eq!(header.raw_range().start, expected, "{}", header.name());
        expected = header.raw_range().end;
    }
    assert_eq!(expected, new.len() as u64);
    assert!(after.headers.sections.is_sorted_by_key(|header| header.address));
    goblin::pe::PE::parse(&new).unwrap();
}

#[test]
fn a_section_is_read_from_its_file_and_no_more_than_was_asked_for() {
    let mut file = Cursor::new(assembled(&PROGRAM.bytes(), PROGRAM.bytes()));
    assert_eq!(read_section(&mut file, Section::Cmdline, 100).unwrap(), b"rdinit=/sbin/init");
    let error = read_section(&mut file, Section::Initrd, 100).unwrap_err();
    assert_eq!(error.to_string(), "a .initrd section of 1537 bytes: expected 100 or less");
    let error = read_section(&mut file, Section::Dtb, 100).unwrap_err();
    assert_eq!(error.to_string(), "no .dtb section: a unified kernel image has one");
    let mut file = Cursor::new(PROGRAM.bytes());
    assert!(matches!(Replaced::new(&mut file, Section::Cmdline, b"x"), Err(ReplaceError::Missing(_))));
}

#[test]
fn a_signature_is_no_longer_named() {
    let mut image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
    image[0x98 + 144..0x98 + 152].copy_from_slice(&[1; 8]);
    let new = replaced(&image, Section::Cmdline, b"x");
    assert_eq!(new[0x98 + 144..0x98 + 152], [0; 8]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_one_section_changes(
        at in 0_usize..5,
        data in proptest::collection::vec(any::<u8>(), 1..9000),
        trailing in 0_usize..3,
    ) {
        let parts = [Section::Cmdline, Section::Osrel, Section::Uname, Section::Initrd, Section::Linux];
        let mut image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
        image.resize(image.len() + trailing, 0x7E);
        let new = replaced(&image, parts[at], &data);
        differs_in_one_section(&image, &new, parts[at], &data);
        // Once more, as nobody should have to, but what came out is an image like any other
        differs_in_one_section(&new, &replaced(&new, parts[at], b"again"), parts[at], b"again");
    }

    #[test]
    fn survives_any_change_to_an_image(changes in proptest::collection::vec((0_usize..0x400, any::<u8>()), 1..6)) {
        let mut image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
        for (at, byte) in changes {
            image[at] = byte;
        }
        let mut file = Cursor::new(&image);
        if let Ok(described) = Replaced::new(&mut file, Section::Cmdline, b"rdinit=/bin/sh") {
            let mut new = Vec::new();
            described.stream(&mut file).unwrap().read_to_end(&mut new).unwrap();
            prop_assert!(Headers::parse(&new, new.len() as u64).is_ok());
        }
    }
}
