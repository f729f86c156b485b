//! Images are assembled on a small stub of our own, and on the real one where it is installed.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skip")]

mod common;

use std::process::Command;

use common::*;
use hoopy_uki::kernel::Facts;
use hoopy_uki::pe::{Headers, Image, Machine, PeError};
use hoopy_uki::{Checksum, Plan, PlanError, Section, SectionData};
use proptest::prelude::*;

fn refusal(stub: &[u8], parts: Vec<(Section, SectionData)>) -> String {
    Plan::new(stub, parts).unwrap_err().to_string()
}

#[test]
fn sections_hold_their_data_in_the_order_that_systemd_has() {
    let stub = Program { sbat: SBAT, ..PROGRAM }.bytes();
    let kernel = PROGRAM.bytes();
    let bytes = assembled(&stub, kernel.clone());
    let image = Image::parse(&bytes).unwrap();
    let names: Vec<_> = image.headers.sections.iter().map(|header| header.name()).collect();
    assert_eq!(names, [".text", ".data", ".osrel", ".cmdline", ".uname", ".initrd", ".linux", ".sbat"]);
    assert_eq!(image.section_data(Section::Cmdline), Some(b"rdinit=/sbin/init".as_slice()));
    assert_eq!(image.section_data(Section::Initrd), Some(INITRD));
    assert_eq!(image.section_data(Section::Linux), Some(kernel.as_slice()));
    assert_eq!(image.data(&image.headers.sections[0]), b"code");
    let sbat = String::from_utf8(image.section_data(Section::Sbat).unwrap().to_vec()).unwrap();
    let components: Vec<_> = sbat.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(components, ["sbat", "systemd", "hoopy"]);
}

#[test]
fn virtual_sizes_are_lengths_and_places_are_aligned() {
    let bytes = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
    let headers = Headers::parse(&bytes, bytes.len() as u64).unwrap();
    assert_eq!(headers.section(Section::Initrd).unwrap().virtual_size, INITRD.len() as u32);
    let mut end = u64::from(headers.size_of_headers);
    for header in &headers.sections {
        assert_eq!(u64::from(header.offset), end, "{} leaves a hole", header.name());
        end = header.raw_range().end;
        assert_eq!(header.address % headers.section_alignment, 0);
        assert!(header.section().is_none() || header.address % 4096 == 0);
    }
    assert_eq!(end, bytes.len() as u64);
    let last = headers.sections.last().unwrap();
    assert_eq!(u64::from(headers.size_of_image), last.end_address().next_multiple_of(512));
}

#[test]
fn an_image_that_describes_itself_has_everything_where_it_says() {
    for size in [1, 511, 70_000] {
        let mut said = Vec::new();
        let plan = Plan::described(&PROGRAM.bytes(), parts(PROGRAM.bytes()), |places| {
            said.push((places.stub.clone(), places.stub_bytes.to_vec()));
            for (section, data, range) in places.sections() {
                let bytes = match data {
                    SectionData::Bytes(bytes) => bytes.clone(),
                    SectionData::External { .. } => INITRD.to_vec(),
                    SectionData::Kernel(_) => unreachable!("it was given with its bytes"),
                };
                assert_ne!(section, Section::Hoopy);
                said.push((range, bytes));
            }
            vec![b'h'; size]
        });
        let plan = plan.unwrap();
        let image = written(&plan);
        assert_eq!(said.len(), 7);
        for (range, bytes) in said {
            assert_eq!(image[range.start as usize..range.end as usize], bytes);
        }
        let own = plan.data_range(Section::Hoopy).unwrap();
        assert_eq!(image[own.start as usize..own.end as usize], vec![b'h'; size]);
        assert_eq!(own.end.next_multiple_of(512), plan.size());
    }
}

#[test]
fn symbols_and_signatures_of_the_stub_are_left_behind() {
    let stub = Program { trailing: b"symbols, and an old signature", ..PROGRAM }.bytes();
    let bytes = assembled(&stub, PROGRAM.bytes());
    assert_eq!(bytes, assembled(&PROGRAM.bytes(), PROGRAM.bytes()));
    assert_eq!(bytes[0x8C..0x94], [0; 8], "symbol table");
    assert_eq!(bytes[0x98 + 144..0x98 + 152], [0; 8], "certificate table");
}

#[test]
fn headers_grow_up_to_the_first_section() {
    // The table starts at 0x188; what fits into the stub's own headers ends at 0x400.
    let all = Section::ALL.map(|section| match section {
        Section::Linux => (section, SectionData::Bytes(PROGRAM.bytes())),
        _ => (section, SectionData::Bytes(b"x".to_vec())),
    });
    let plan = Plan::new(&PROGRAM.bytes(), all.to_vec()).unwrap();
    assert_eq!(plan.headers().size_of_headers, 0x600);
    assert_eq!(Image::parse(&written(&plan)).unwrap().headers.sections.len(), 19);
    let narrow = Program { first_address: 0x400, ..PROGRAM }.bytes();
    assert_eq!(
        refusal(&narrow, all.to_vec()),
        "no room for 19 sections: at most 96, and headers of 0x600 bytes must end before the EFI stub's first \
         section at 0x400"
    );
}

#[test]
fn a_kernel_of_which_the_facts_are_known_makes_the_same_image() {
    let kernel = Program { sbat: b"linux,1,linux,linux,6,https://example.org\n", ..PROGRAM }.bytes();
    let facts = Facts::of(&kernel).unwrap();
    let sum = |section| if section == Section::Linux { facts.sum } else { Checksum::of(INITRD) };
    let mut known = parts(kernel.clone());
    known[0].1 = SectionData::Kernel(Box::new(facts.clone()));
    let (whole, known) =
        (Plan::new(&PROGRAM.bytes(), parts(kernel)).unwrap(), Plan::new(&PROGRAM.bytes(), known).unwrap());
    assert_eq!(whole.headers(), known.headers());
    assert_eq!(whole.checksum(sum), known.checksum(sum));
    let place = whole.data_range(Section::Sbat).unwrap();
    assert_eq!(whole.literal(place.clone()), known.literal(place));
}

#[test]
fn the_checksum_is_the_one_that_a_stream_gives() {
    let plan = Plan::new(&PROGRAM.bytes(), parts(PROGRAM.bytes())).unwrap();
    let mut streamed = Checksum::new();
    written(&plan).chunks(7).for_each(|piece| streamed.update(piece));
    assert_eq!(streamed.value(), plan.checksum(|_| Checksum::of(INITRD)));
    let image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
    let at = plan.checksum_offset() as usize;
    assert_eq!(image[at..at + 4], streamed.value().to_le_bytes());
}

#[test]
fn refuses_parts_that_make_no_image() {
    let stub = PROGRAM.bytes();
    let kernel = || (Section::Linux, SectionData::Bytes(PROGRAM.bytes()));
    let text = |section| (section, SectionData::Bytes(b"x".to_vec()));
    assert_eq!(refusal(&stub, vec![text(Section::Osrel)]), "no .linux section: an image has a kernel");
    let twice = vec![kernel(), text(Section::Osrel), text(Section::Osrel)];
    assert_eq!(refusal(&stub, twice), ".osrel twice in one image");
    let empty = (Section::Cmdline, SectionData::External { size: 0 });
    assert_eq!(refusal(&stub, vec![kernel(), empty]), "nothing to put into .cmdline");
    assert!(refusal(&stub, vec![text(Section::Linux)]).starts_with("the kernel is not an EFI program"));
    assert_eq!(
        refusal(&Program { machine: 0xAA64, ..PROGRAM }.bytes(), vec![kernel()]),
        "the kernel is for x86_64 and the EFI stub for aarch64"
    );
    let image = assembled(&stub, PROGRAM.bytes());
    assert_eq!(refusal(&image, vec![kernel()]), ".linux twice in one image");
}

#[test]
fn refuses_more_than_the_format_can_address() {
    for size in [u64::from(u32::MAX), u64::MAX] {
        let mut parts = parts(PROGRAM.bytes());
        parts[1].1 = SectionData::External { size };
        assert!(refusal(&PROGRAM.bytes(), parts).contains("the format ends at"));
    }
}

#[test]
fn says_what_is_wrong_with_a_file_that_is_no_program() {
    let refusal = |bytes: &[u8]| Headers::parse(bytes, bytes.len() as u64).unwrap_err();
    assert_eq!(refusal(b"#!/bin/sh").to_string(), "not an EFI program: no \"MZ\" at byte 0");
    assert!(matches!(refusal(b"MZ"), PeError::Truncated { what: "DOS header", .. }));
    assert_eq!(refusal(&Program { machine: 0x14C, ..PROGRAM }.bytes()), PeError::Machine(0x14C));
    // The subsystem: drivers are EFI programs, and Windows' are not.
    let of_subsystem = |number: u8| {
        let mut bytes = PROGRAM.bytes();
        let at = Headers::parse(&bytes, bytes.len() as u64).unwrap().optional_header + 68;
        bytes[at] = number;
        Headers::parse(&bytes, bytes.len() as u64).map(drop)
    };
    (10..=13).for_each(|number| of_subsystem(number).unwrap());
    for number in [0, 3, 9, 14] {
        assert!(of_subsystem(number).unwrap_err().to_string().contains("expected 10 to 13"));
    }
    let bytes = PROGRAM.bytes();
    assert!(refusal(&bytes[..bytes.len() - 1]).to_string().starts_with("section .data claims bytes"));
    for len in 0..bytes.len() {
        assert!(Image::parse(&bytes[..len]).is_err(), "accepted {len} bytes");
    }
}

#[test]
fn the_start_of_a_file_is_enough_for_its_headers() {
    let image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
    let headers = Headers::parse(&image[..0x400], image.len() as u64).unwrap();
    assert_eq!(headers.machine, Machine::X86_64);
    assert!(headers.section(Section::Linux).is_some());
}

#[test]
fn goblin_reads_an_image_on_the_real_stub() {
    let Some(image) = on_the_real_stub() else { return };
    let theirs = goblin::pe::PE::parse(&image).unwrap();
    let ours = Image::parse(&image).unwrap();
    assert_eq!(theirs.sections.len(), ours.headers.sections.len());
    for (their, our) in theirs.sections.iter().zip(&ours.headers.sections) {
        assert_eq!(their.name().unwrap(), our.name());
        assert_eq!((their.virtual_address, their.virtual_size), (our.address, our.virtual_size));
        let start = their.pointer_to_raw_data as usize;
        assert_eq!(&image[start..start + their.size_of_raw_data as usize], ours.raw(our));
    }
    let optional = theirs.header.optional_header.unwrap();
    assert_eq!(optional.windows_fields.check_sum, ours.headers.checksum);
}

#[test]
fn objdump_reads_an_image_on_the_real_stub() {
    let Some(image) = on_the_real_stub() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.efi");
    std::fs::write(&path, &image).unwrap();
    let Ok(output) = Command::new("objdump").arg("-h").arg(&path).output() else {
        return hoopy_testkit::skip("objdump is not installed");
    };
    let listing = String::from_utf8(output.stdout).unwrap();
    for header in Image::parse(&image).unwrap().headers.sections {
        let name = header.name();
        let line = listing.lines().find(|line| line.split_whitespace().nth(1) == Some(&name));
        let columns: Vec<_> = line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect();
        assert_eq!(u32::from_str_radix(columns[2], 16), Ok(header.virtual_size));
        assert_eq!(u32::from_str_radix(columns[5], 16), Ok(header.offset));
    }
    let dumped = dir.path().join("initrd");
    let dump = format!("--dump-section=.initrd={}", dumped.display());
    let status = Command::new("objcopy").arg(dump).arg(&path).arg(dir.path().join("copy")).status().unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read(dumped).unwrap(), INITRD);
}

#[test]
#[ignore = "needs ukify, which Debian 12 does not have: `cargo test -p hoopy-uki -- --ignored`"]
fn ukify_inspects_an_image_on_the_real_stub() {
    let Some(image) = on_the_real_stub() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.efi");
    std::fs::write(&path, &image).unwrap();
    let Ok(output) = Command::new("ukify").arg("inspect").arg(&path).output() else {
        return hoopy_testkit::skip("ukify is not installed");
    };
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for header in
        Image::parse(&image).unwrap().headers.sections.iter().filter(|header| header.section().is_some())
    {
        let said = format!("{}:\n  size: {} bytes\n", header.name(), header.virtual_size);
        assert!(report.contains(&said), "{said} is not in\n{report}");
    }
    assert!(report.contains("    rdinit=/sbin/init\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn survives_any_change_to_a_program(changes in proptest::collection::vec((0_usize..0x240, any::<u8>()), 1..6)) {
        let mut stub = Program { sbat: SBAT, ..PROGRAM }.bytes();
        for (at, byte) in changes {
            stub[at] = byte;
        }
        match Plan::new(&stub, parts(PROGRAM.bytes())) {
            Ok(plan) => {
                let image = written(&plan);
                let found = Headers::parse(&image, image.len() as u64);
                prop_assert_eq!(found.as_ref(), Ok(plan.headers()));
            }
            Err(error) => prop_assert!(!matches!(error, PlanError::Kernel(_))),
        }
    }
}

proptest! {
    #[test]
    fn an_image_is_whole_until_a_byte_of_it_changes(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut image = assembled(&PROGRAM.bytes(), PROGRAM.bytes());
        let whole = |image: &[u8]| hoopy_uki::is_whole(&mut std::io::Cursor::new(image)).unwrap();
        prop_assert!(whole(&image));
        prop_assert!(!whole(&image[..image.len() - 512]), "cut short");
        let at = at.index(image.len());
        image[at] ^= flip;
        prop_assert!(!whole(&image), "byte {at}");
    }
}
