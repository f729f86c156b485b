//! Predictions beside those of systemd-measure, of both versions whose stubs are known.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::Cursor;
use std::path::PathBuf;

use common::*;
use hoopy_trust::measure::{MeasureError, PcrValue, of_plan, predict};
use hoopy_trust::policy::PolicySignatures;
use hoopy_uki::{Extent, Plan, Section, SectionData};

/// The sections of an image as files of the desk, and the image.
fn image(desk: &Desk, stub: &[u8]) -> (Vec<u8>, Vec<Section>) {
    let data = |section: Section| match section {
        // The kernel must be an EFI program, and any will do.
        Section::Linux => boot_loader(),
        Section::Sbat => {
            b"sbat,1,SBAT Version,sbat,1,https://example.org\nhoopy,1,hoopy,hoopy,0,-\n".to_vec()
        }
        other => format!("{other}").repeat(1000).into_bytes(),
    };
    let sections = [
        Section::Linux,
        Section::Osrel,
        Section::Cmdline,
        Section::Initrd,
        Section::Ucode,
        Section::Splash,
        Section::Dtb,
        Section::Uname,
        Section::Sbat,
        Section::Pcrpkey,
        Section::Pcrsig,
        Section::Hoopy,
    ];
    let parts = sections.map(|section| (section, SectionData::Bytes(data(section))));
    let plan = Plan::new(stub, parts.to_vec()).unwrap();
    let mut bytes = Vec::new();
    for extent in plan.extents() {
        let Extent::Literal(literal) = extent else { panic!("{extent:?}") };
        bytes.extend_from_slice(literal);
    }
    let file = predict(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(of_plan(&plan, |_| None).unwrap(), file, "described and written");
    for section in sections {
        // As it is in the image: the tables of revocations are merged there.
        let range = plan.data_range(section).unwrap();
        desk.put(section.name().trim_start_matches('.'), &bytes[range.start as usize..range.end as usize]);
    }
    (bytes, sections.to_vec())
}

/// How systemd-measure is called for these sections.
fn arguments(names: &[&str]) -> String {
    let arguments: Vec<_> = names.iter().map(|name| format!("--{name}={name}")).collect();
    arguments.join(" ")
}

/// PCR 11 without phases of systemd's, as systemd-measure 257 has it.
fn measure_257(desk: &Desk, command: &str) -> String {
    let tree = hoopy_testkit::systemd_257();
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = tree.join("usr/lib").join(&triplet);
    let loader = if cfg!(target_arch = "aarch64") { "ld-linux-aarch64.so.1" } else { "ld-linux-x86-64.so.2" };
    let path: Vec<PathBuf> =
        vec![libraries.clone(), libraries.join("systemd"), format!("/lib/{triplet}").into()];
    let path: Vec<_> = path.iter().map(|dir| dir.display().to_string()).collect();
    let program = tree.join("usr/lib/systemd/systemd-measure");
    let run = format!("--library-path {} {} {command}", path.join(":"), program.display());
    desk.ok(libraries.join(loader).to_str().unwrap(), &run)
}

#[test]
fn pcr_11_of_stub_257_is_that_of_systemd_measure() {
    let desk = Desk::new();
    let arch = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };
    let stub = hoopy_testkit::systemd_257().join(format!("usr/lib/systemd/boot/efi/linux{arch}.efi.stub"));
    let (image, _) = image(&desk, &std::fs::read(stub).unwrap());
    let all = ["linux", "osrel", "cmdline", "initrd", "ucode", "splash", "dtb", "uname", "sbat", "pcrpkey"];
    let said = measure_257(&desk, &format!("calculate --bank=sha256 --phase= {}", arguments(&all)));
    let predicted = predict(&mut Cursor::new(&image)).unwrap();
    assert!(said.contains(&format!("11:sha256={predicted}\n")), "{predicted}\n{said}");
}

#[test]
fn pcr_11_of_stub_252_is_that_of_systemd_measure() {
    let desk = Desk::new();
    let (image, _) = image(&desk, &stub());
    let all = ["linux", "osrel", "cmdline", "initrd", "splash", "dtb", "pcrpkey"];
    let phase = "calculate --bank=sha256 --phase=hoopy";
    let said = desk.ok("/usr/lib/systemd/systemd-measure", &format!("{phase} {}", arguments(&all)));
    // Version 252 wants a phase.
    let predicted = predict(&mut Cursor::new(&image)).unwrap().measured(b"hoopy");
    assert!(said.contains(&format!("11:sha256={predicted}\n")), "{predicted}\n{said}");
}

#[test]
fn signed_policies_are_those_of_systemd_measure() {
    let desk = Desk::new();
    desk.put_pair("pcr", db());
    desk.put("pcr.pub", db().key.public().to_pem().unwrap());
    desk.put("osrel", "ID=alpine\n");
    desk.put("linux", boot_loader());
    let command = "sign --bank=sha256 --phase= --private-key=pcr.key --public-key=pcr.pub";
    let said = measure_257(&desk, &format!("{command} --linux=linux --osrel=osrel"));
    let json = said.lines().find(|line| line.starts_with('{')).unwrap();
    let json = json.split_inclusive("]}").next().unwrap();
    let value = PcrValue::ZERO.measured(b".linux\0").measured(&boot_loader());
    let value = value.measured(b".osrel\0").measured(b"ID=alpine\n");
    let ours = PolicySignatures::of(&value, 0, &db().key).unwrap();
    assert_eq!(PolicySignatures::parse(json.as_bytes()).unwrap(), ours);
    assert_eq!(String::from_utf8(ours.to_bytes()).unwrap(), json);
}

#[test]
fn signing_an_image_does_not_change_what_is_measured() {
    let desk = Desk::new();
    let (image, _) = image(&desk, &stub());
    let predicted = predict(&mut Cursor::new(&image)).unwrap();
    assert_eq!(predict(&mut Cursor::new(signed(&image, db()))).unwrap(), predicted);
}

#[test]
fn every_measured_section_counts_and_no_other() {
    let desk = Desk::new();
    let (image, sections) = image(&desk, &stub());
    let predicted = predict(&mut Cursor::new(&image)).unwrap();
    let headers = hoopy_uki::pe::Headers::parse(&image, image.len() as u64).unwrap();
    for section in sections {
        let mut changed = image.clone();
        let range = headers.section(section).unwrap().data_range();
        changed[range.end as usize - 1] ^= 1;
        let other = predict(&mut Cursor::new(&changed)).unwrap() != predicted;
        let measured = hoopy_trust::measure::Stub::V252.measured().contains(&section);
        assert_eq!(other, measured, "{section}");
    }
}

#[test]
fn a_program_without_systemds_stub_is_refused() {
    // The boot loader has a section .sdmagic as well, and says there that it is one.
    let refusal = predict(&mut Cursor::new(boot_loader())).unwrap_err();
    assert!(matches!(refusal, MeasureError::NotSystemd), "{refusal}");
}

#[test]
fn sections_in_an_unusual_form_are_refused() {
    let desk = Desk::new();
    let (image, _) = image(&desk, &stub());
    let headers = hoopy_uki::pe::Headers::parse(&image, image.len() as u64).unwrap();
    let at = headers.sections.iter().position(|header| header.section() == Some(Section::Cmdline)).unwrap();
    let line = headers.section_table + 40 * at;
    let mut twice = image.clone();
    twice[line..line + 8].copy_from_slice(&Section::Osrel.raw_name());
    let refusal = predict(&mut Cursor::new(&twice)).unwrap_err().to_string();
    assert_eq!(refusal, "its section .osrel is there twice: the prediction would not hold");
    let mut chosen = image.clone();
    chosen[line..line + 8].copy_from_slice(&Section::Profile.raw_name());
    assert!(predict(&mut Cursor::new(&chosen)).unwrap_err().to_string().contains("chosen by the stub"));
    let mut longer = image;
    longer[line + 10] += 1;
    assert!(predict(&mut Cursor::new(&longer)).unwrap_err().to_string().contains("longer in memory"));
}
