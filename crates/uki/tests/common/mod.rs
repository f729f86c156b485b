//! A stub, a kernel, and an image made of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    reason = "tests, which use a part each"
)]

use std::path::Path;

use hoopy_uki::pe::Headers;
use hoopy_uki::{Checksum, Extent, Plan, Section, SectionData};

/// Where distributions put the real stub.
pub const REAL_STUB: &str = if cfg!(target_arch = "aarch64") {
    "/usr/lib/systemd/boot/efi/linuxaa64.efi.stub"
} else {
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
};

/// A stub or kernel: two sections of code and data, and a `.sbat`, in a file aligned to 512.
pub struct Program {
    pub machine: u16,
    pub first_address: u32,
    pub sbat: &'static [u8],
    pub trailing: &'static [u8],
}

pub const PROGRAM: Program = Program { machine: 0x8664, first_address: 0x4000, sbat: b"", trailing: b"" };
pub const SBAT: &[u8] =
    b"sbat,1,SBAT Version,sbat,1,https://example.org\nsystemd,1,S,systemd,252,https://systemd.io\n";

impl Program {
    pub fn bytes(&self) -> Vec<u8> {
        let sections =
            [(b".text\0\0\0", b"code".as_slice()), (b".data\0\0\0", b"data"), (b".sbat\0\0\0", self.sbat)];
        let count = if self.sbat.is_empty() { 2 } else { 3 };
        let mut bytes = b"MZ".to_vec();
        bytes.resize(0x80, 0);
        bytes[0x3C] = 0x80;
        bytes.extend(b"PE\0\0");
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend((count as u16).to_le_bytes());
        // Time, symbol table (stale), symbols.
        [0, 0x800, 7_u32].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
        [240, 0x206_u16].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
        let optional = bytes.len();
        bytes.extend(0x20B_u16.to_le_bytes());
        bytes.resize(optional + 240, 0);
        let mut put = |at: usize, value: u32| {
            bytes[optional + at..optional + at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(16, self.first_address);
        put(32, 512);
        put(36, 512);
        put(56, self.first_address + 0x600);
        put(60, 0x400);
        put(64, 0xBAD);
        put(68, 10);
        put(108, 16);
        // A signature which is no longer there.
        put(112 + 4 * 8, 0x5000);
        put(112 + 4 * 8 + 4, 0x100);
        for (index, (name, data)) in sections.iter().take(count).enumerate() {
            bytes.extend(*name);
            let at = index as u32 * 0x200;
            let characteristics = if index == 0 { 0x6000_0020_u32 } else { 0xC000_0040 };
            let places = [data.len() as u32, self.first_address + at, 0x200, 0x400 + at];
            places
                .iter()
                .chain(&[0, 0, 0, characteristics])
                .for_each(|field| bytes.extend(field.to_le_bytes()));
        }
        bytes.resize(0x400, 0);
        for (_, data) in sections.iter().take(count) {
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend(self.trailing);
        bytes
    }
}

pub const INITRD: &[u8] = &[0x5A; 1537];

pub fn parts(kernel: Vec<u8>) -> Vec<(Section, SectionData)> {
    let text = |text: &str| SectionData::Bytes(text.as_bytes().to_vec());
    vec![
        (Section::Linux, SectionData::Bytes(kernel)),
        (Section::Initrd, SectionData::External { size: INITRD.len() as u64 }),
        (Section::Cmdline, text("rdinit=/sbin/init")),
        (Section::Osrel, text("ID=hoopy\n")),
        (Section::Uname, text("6.18.56-0-virt")),
        (Section::Sbat, text("hoopy,1,hoopy,hoopy,1,https://example.org\n")),
    ]
}

pub fn written(plan: &Plan) -> Vec<u8> {
    let mut image = Vec::new();
    for extent in plan.extents() {
        match extent {
            Extent::Literal(bytes) => image.extend(bytes),
            Extent::External { section, size } => {
                assert_eq!((*section, *size), (Section::Initrd, INITRD.len() as u64));
                image.extend(INITRD);
            }
        }
    }
    assert_eq!(image.len() as u64, plan.size());
    image
}

pub fn assembled(stub: &[u8], kernel: Vec<u8>) -> Vec<u8> {
    let mut plan = Plan::new(stub, parts(kernel)).unwrap();
    let checksum = plan.checksum(|_| Checksum::of(INITRD));
    plan.set_checksum(checksum);
    let image = written(&plan);
    assert_eq!(Headers::parse(&image, image.len() as u64).as_ref(), Ok(plan.headers()));
    image
}

pub fn on_the_real_stub() -> Option<Vec<u8>> {
    if !Path::new(REAL_STUB).exists() {
        hoopy_testkit::skip(format_args!("{REAL_STUB} is not installed"));
        return None;
    }
    Some(assembled(&std::fs::read(REAL_STUB).unwrap(), PROGRAM.bytes()))
}
