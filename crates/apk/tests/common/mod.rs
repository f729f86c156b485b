//! What the tests against the real apk share: reading index text, writing repositories, running apk.
#![allow(dead_code, clippy::unwrap_used, reason = "tests, each of which uses a part of this")]

pub mod adb;
pub mod census;
pub mod odd;
pub mod oracle;
pub mod outlined;
pub mod random;
pub mod shrink;
pub mod versions;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hoopy_apk::resolve::Repository;
use hoopy_apk::{Checksum, Dependency, Record, Version};
use sha1::{Digest as _, Sha1};

/// One repository of a test, as text.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Its tag.
    pub tag: Option<String>,
    /// Stanzas.
    pub records: Vec<Record>,
}

impl Index {
    /// As the solver takes it.
    pub fn repository(&self) -> Repository<'_> {
        Repository { records: &self.records, tag: self.tag.as_deref() }
    }
}

/// A world of a test: repositories and demands.
#[derive(Debug, Clone)]
pub struct Case {
    pub indexes: Vec<Index>,
    pub world: Vec<Dependency>,
}

/// The number that an environment variable holds.
pub fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

/// Reads stanzas of the fields that resolution needs. A stanza without `C:` gets a checksum of its own.
pub fn parse_index(text: &str) -> Vec<Record> {
    text.split("\n\n").filter(|stanza| stanza.contains("P:")).map(parse_stanza).collect()
}

fn parse_stanza(stanza: &str) -> Record {
    let mut record = empty_record();
    let mut lines = stanza.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    lines.sort_unstable();
    // Two stanzas that read the same are one package, wherever they are.
    record.checksum = Checksum::Sha1(Sha1::digest(lines.join("\n")).into());
    for line in stanza.lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        match field {
            "C" => {
                let bytes = data_encoding::BASE64.decode(&value.as_bytes()[2..]).unwrap();
                record.checksum = Checksum::Sha1(bytes.try_into().unwrap());
            }
            "P" => record.name = value.into(),
            "V" => record.version = Version::new(value),
            "A" => record.arch = value.into(),
            "I" => record.installed_size = value.parse().unwrap(),
            "k" => record.provider_priority = value.parse().unwrap(),
            "D" => record.depends = parse_list(value),
            "p" => record.provides = parse_list(value),
            "i" => record.install_if = parse_list(value),
            "X" => record.unknown_field = Some('X'),
            _ => {}
        }
    }
    record
}

pub fn parse_list(text: &str) -> Vec<Dependency> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

pub fn empty_record() -> Record {
    Record {
        checksum: Checksum::Sha1([0; 20]),
        name: "".into(),
        version: Version::new("1"),
        arch: "".into(),
        size: 1,
        installed_size: 1,
        description: "".into(),
        url: "".into(),
        license: "".into(),
        origin: "".into(),
        maintainer: "".into(),
        build_time: 0,
        commit: "".into(),
        provider_priority: 0,
        replaces_priority: 0,
        depends: Vec::new(),
        provides: Vec::new(),
        replaces: Vec::new(),
        install_if: Vec::new(),
        unknown_field: None,
    }
}

/// Writes stanzas, with checksums when apk is to read them.
pub fn print_index(records: &[Record], checksums: bool) -> String {
    let mut out = String::new();
    let list = |deps: &[Dependency]| deps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    for record in records {
        if checksums && let Checksum::Sha1(digest) = record.checksum {
            writeln!(out, "C:Q1{}", data_encoding::BASE64.encode(&digest)).unwrap();
        }
        writeln!(out, "P:{}\nV:{}", record.name, record.version).unwrap();
        if checksums {
            writeln!(out, "S:1\nT:test").unwrap();
        }
        if !record.arch.is_empty() {
            writeln!(out, "A:{}", record.arch).unwrap();
        }
        if checksums || record.installed_size != 1 {
            writeln!(out, "I:{}", record.installed_size).unwrap();
        }
        if record.provider_priority != 0 {
            writeln!(out, "k:{}", record.provider_priority).unwrap();
        }
        for (field, deps) in [("D", &record.depends), ("p", &record.provides), ("i", &record.install_if)] {
            if !deps.is_empty() {
                writeln!(out, "{field}:{}", list(deps)).unwrap();
            }
        }
        if let Some(field) = record.unknown_field {
            writeln!(out, "{field}:?").unwrap();
        }
        out.push('\n');
    }
    out
}

/// Writes `APKINDEX.tar.gz`, unsigned.
pub fn write_index(path: &Path, records: &[Record]) {
    let text = print_index(records, true);
    let mut header = [0_u8; 512];
    header[..8].copy_from_slice(b"APKINDEX");
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let file = std::fs::File::create(path).unwrap();
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gz.write_all(&header).unwrap();
    gz.write_all(text.as_bytes()).unwrap();
    gz.write_all(&vec![0; text.len().next_multiple_of(512) - text.len() + 1024]).unwrap();
    gz.finish().unwrap();
}

/// The text of the `APKINDEX` member of an index file; the members before it are skipped.
pub fn read_index(path: &Path) -> String {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512) {
        let name: Vec<u8> = header[..100].iter().copied().take_while(|byte| *byte != 0).collect();
        let digits = String::from_utf8_lossy(&header[124..136]).into_owned();
        let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        if name == b"APKINDEX" {
            return String::from_utf8(bytes[at + 512..at + 512 + size].to_vec()).unwrap();
        }
        at += 512 + if name.is_empty() { 0 } else { size.next_multiple_of(512) };
    }
    panic!("{}: no APKINDEX in it", path.display());
}

/// The index that the tests ship with.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/index.gz")
}

/// Its text.
pub fn shipped_index() -> String {
    use std::io::Read as _;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(shipped()).unwrap()).read_to_string(&mut text).unwrap();
    text
}
