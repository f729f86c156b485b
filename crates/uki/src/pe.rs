//! Reading the headers of a PE file, with every number in them checked against the file's length.
//!
//! ```text
//! DOS header | (DOS program) | "PE\0\0" file header | optional header, directories | section table | sections
//! ```
//!
//! Only what firmware starts is read: PE32+ for machines that hoopy builds for. Nothing here is trusted, and
//! nothing beyond the headers is touched, so that the start of a large file is enough.
//!
//! Source of the format: Microsoft, "PE Format".

use std::ops::Range;

use object::LittleEndian as LE;
use object::pe;
use object::pod::{self, Pod};

use crate::Section;

/// The most sections that other loaders accept; ours have twenty.
pub const MAX_SECTIONS: usize = 96;

/// The most directories that the format defines.
const MAX_DIRECTORIES: usize = 16;

/// Headers end within so many bytes of the start of any file worth booting: read this much to be able to
/// [parse the headers](Headers::parse).
pub const HEADERS_WITHIN: usize = 64 << 10;

/// Bytes that are not a PE file for a machine that we know, or whose headers lie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// A signature that is not there.
    #[error("not an EFI program: no {what} at byte {offset}")]
    NotPe {
        /// What was expected.
        what: &'static str,
        /// Where.
        offset: u64,
    },
    /// Headers that run over the end.
    #[error("the file ends within its {what}, which starts at byte {offset}")]
    Truncated {
        /// What is cut.
        what: &'static str,
        /// Where it starts.
        offset: u64,
    },
    /// Another machine.
    #[error("an EFI program for machine {0:#06x}: expected 0x8664 (x86_64) or 0xaa64 (aarch64)")]
    Machine(u16),
    /// A field with an impossible value.
    #[error("{what} is {found:#x}: expected {expected}")]
    Field {
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What it should be.
        expected: &'static str,
    },
    /// A section that is not within the file.
    #[error("section {name} claims bytes {start:#x} to {end:#x} of a file of {len:#x} bytes")]
    OutOfFile {
        /// Its name.
        name: String,
        /// First byte.
        start: u64,
        /// Behind its last byte.
        end: u64,
        /// Of the file.
        len: u64,
    },
}

/// The machine that a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Machine {
    /// `x86_64`
    X86_64,
    /// `aarch64`
    Aarch64,
}

impl From<Machine> for hoopy_base::arch::Arch {
    fn from(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => Self::X86_64,
            Machine::Aarch64 => Self::Aarch64,
        }
    }
}

impl Machine {
    fn of(number: u16) -> Result<Self, PeError> {
        match number {
            0x8664 => Ok(Self::X86_64),
            0xAA64 => Ok(Self::Aarch64),
            other => Err(PeError::Machine(other)),
        }
    }

    /// Its name as kernel and distributions write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// One line of the section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionHeader {
    /// The name, filled up with NULs.
    pub raw_name: [u8; 8],
    /// Where it stands in memory, counted from the image's base.
    pub address: u32,
    /// Its length in memory; of a unified kernel image's sections the length of the data.
    pub virtual_size: u32,
    /// Where it stands in the file.
    pub offset: u32,
    /// Its length in the file, with the padding.
    pub raw_size: u32,
    /// `IMAGE_SCN_*`
    pub characteristics: u32,
}

impl SectionHeader {
    /// The name as text.
    pub fn name(&self) -> String {
        let end = self.raw_name.iter().position(|&byte| byte == 0).unwrap_or(self.raw_name.len());
        self.raw_name.get(..end).unwrap_or_default().escape_ascii().to_string()
    }

    /// Which of systemd's sections it is.
    pub fn section(&self) -> Option<Section> {
        Section::named(&self.raw_name)
    }

    /// Where its data is in the file, without the padding.
    pub fn data_range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.virtual_size.min(self.raw_size))
    }

    /// Where it is in the file, with the padding.
    pub fn raw_range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.raw_size)
    }

    /// The first address behind it.
    pub fn end_address(&self) -> u64 {
        let len = if self.virtual_size == 0 { self.raw_size } else { self.virtual_size };
        u64::from(self.address) + u64::from(len)
    }
}

/// The headers of a PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Who can run it.
    pub machine: Machine,
    /// What addresses of sections are multiples of.
    pub section_alignment: u32,
    /// What offsets of sections are multiples of; a power of two.
    pub file_alignment: u32,
    /// All headers, with the padding.
    pub size_of_headers: u32,
    /// In memory.
    pub size_of_image: u32,
    /// As the file has it; 0 where it was not computed.
    pub checksum: u32,
    /// Where the file header starts, behind `"PE\0\0"`.
    pub file_header: usize,
    /// Where the optional header starts.
    pub optional_header: usize,
    /// How many data directories follow it.
    pub directories: usize,
    /// Where the section table starts.
    pub section_table: usize,
    /// Its lines, in its order.
    pub sections: Vec<SectionHeader>,
}

impl Headers {
    /// Reads the headers at the start of a file of `file_len` bytes; `head` holds its first
    /// [`HEADERS_WITHIN`] bytes or all of it.
    ///
    /// # Errors
    /// When it is no PE32+ file for a machine that we know, or its headers contradict themselves or the length.
    pub fn parse(head: &[u8], file_len: u64) -> Result<Self, PeError> {
        let head = head.get(..HEADERS_WITHIN).unwrap_or(head);
        let nt_at = find_nt_headers(head)?;
        let nt: &pe::ImageNtHeaders64 = read(head, nt_at, "PE header")?;
        let file = &nt.file_header;
        let optional = &nt.optional_header;
        let machine = Machine::of(file.machine.get(LE).0)?;
        let magic = optional.magic.get(LE);
        expect(
            magic == pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC,
            "the optional header's magic",
            magic,
            "0x20b (PE32+)",
        )?;
        let subsystem = optional.subsystem.get(LE).0;
        // Applications, drivers of two kinds, what stands in a ROM: firmware checks signatures of all in the same way.
        let is_efi =
            (pe::IMAGE_SUBSYSTEM_EFI_APPLICATION.0..=pe::IMAGE_SUBSYSTEM_EFI_ROM.0).contains(&subsystem);
        expect(is_efi, "the subsystem", subsystem, "10 to 13 (EFI application, drivers, ROM)")?;
        let optional_header = nt_at + 4 + size_of::<pe::ImageFileHeader>();
        let directories = optional.number_of_rva_and_sizes.get(LE);
        let optional_len = usize::from(file.size_of_optional_header.get(LE));
        let fixed_len = size_of::<pe::ImageOptionalHeader64>();
        expect(optional_len >= fixed_len, "SizeOfOptionalHeader", optional_len as u64, "112 or more")?;
        let room = (optional_len - fixed_len) / size_of::<pe::ImageDataDirectory>();
        let fits = (directories as usize) <= room.min(MAX_DIRECTORIES);
        expect(fits, "the number of data directories", directories, "what the optional header has room for")?;
        let alignment = optional.file_alignment.get(LE);
        // The format says 512 or more; kernels before 6.6 have 32.
        let sane = alignment.is_power_of_two() && alignment <= 65536;
        expect(sane, "FileAlignment", alignment, "a power of two, 65536 or less")?;
        let section_alignment = optional.section_alignment.get(LE);
        let sane = section_alignment.is_power_of_two() && section_alignment >= alignment;
        expect(sane, "SectionAlignment", section_alignment, "a power of two, FileAlignment or more")?;
        let size_of_headers = optional.size_of_headers.get(LE);
        let fits = u64::from(size_of_headers) <= file_len;
        expect(fits, "SizeOfHeaders", size_of_headers, "the file's length or less")?;
        let section_table = optional_header + optional_len;
        let count = usize::from(file.number_of_sections.get(LE));
        expect((1..=MAX_SECTIONS).contains(&count), "the number of sections", count as u64, "1 to 96")?;
        Ok(Self {
            machine,
            section_alignment,
            file_alignment: alignment,
            size_of_headers,
            size_of_image: optional.size_of_image.get(LE),
            checksum: optional.check_sum.get(LE),
            file_header: nt_at + 4,
            optional_header,
            directories: directories as usize,
            section_table,
            sections: sections(head, section_table, count, file_len)?,
        })
    }

    /// The section of this name; the first, where there are several.
    pub fn section(&self, section: Section) -> Option<&SectionHeader> {
        self.sections.iter().find(|header| header.section() == Some(section))
    }

    /// Where the checksum stands in the file.
    pub const fn checksum_offset(&self) -> usize {
        self.optional_header + CHECKSUM_IN_OPTIONAL
    }
}

/// Where `CheckSum` stands in a PE32+ optional header.
const CHECKSUM_IN_OPTIONAL: usize = 64;

/// A whole PE file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// What its headers say.
    pub headers: Headers,
    bytes: &'a [u8],
}

impl<'a> Image<'a> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// As [`Headers::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeError> {
        Ok(Self { headers: Headers::parse(bytes, bytes.len() as u64)?, bytes })
    }

    /// The whole file.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A section's data, without the padding.
    pub fn data(&self, header: &SectionHeader) -> &'a [u8] {
        self.slice(header.data_range())
    }

    /// A section as it stands in the file, with the padding.
    pub fn raw(&self, header: &SectionHeader) -> &'a [u8] {
        self.slice(header.raw_range())
    }

    /// The data of the section of this name.
    pub fn section_data(&self, section: Section) -> Option<&'a [u8]> {
        self.headers.section(section).map(|header| self.data(header))
    }

    /// Parsing has compared the ranges with the length; a header from elsewhere may get nothing.
    fn slice(&self, range: Range<u64>) -> &'a [u8] {
        let start = usize::try_from(range.start).ok();
        let end = usize::try_from(range.end).ok();
        start.zip(end).and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }
}

fn find_nt_headers(head: &[u8]) -> Result<usize, PeError> {
    if !head.starts_with(b"MZ") {
        return Err(PeError::NotPe { what: "\"MZ\"", offset: 0 });
    }
    let dos: &pe::ImageDosHeader = read(head, 0, "DOS header")?;
    let offset = dos.e_lfanew.get(LE);
    let at = offset as usize;
    if head.get(at..).is_none_or(|rest| !rest.starts_with(b"PE\0\0")) {
        return Err(PeError::NotPe { what: "\"PE\"", offset: offset.into() });
    }
    Ok(at)
}

fn sections(head: &[u8], at: usize, count: usize, file_len: u64) -> Result<Vec<SectionHeader>, PeError> {
    let cut = PeError::Truncated { what: "section table", offset: at as u64 };
    let table =
        head.get(at..).and_then(|rest| pod::slice_from_bytes::<pe::ImageSectionHeader>(rest, count).ok());
    let (table, _) = table.ok_or(cut)?;
    table.iter().map(|raw| section(raw, file_len)).collect()
}

fn section(raw: &pe::ImageSectionHeader, file_len: u64) -> Result<SectionHeader, PeError> {
    let header = SectionHeader {
        raw_name: raw.name,
        address: raw.virtual_address.get(LE),
        virtual_size: raw.virtual_size.get(LE),
        offset: raw.pointer_to_raw_data.get(LE),
        raw_size: raw.size_of_raw_data.get(LE),
        characteristics: raw.characteristics.get(LE).0,
    };
    let Range { start, end } = header.raw_range();
    if header.raw_size != 0 && end > file_len {
        return Err(PeError::OutOfFile { name: header.name(), start, end, len: file_len });
    }
    if header.end_address() > u64::from(u32::MAX) {
        let expected = "an end below 4 GiB";
        return Err(PeError::Field { what: "a section's address", found: header.address.into(), expected });
    }
    Ok(header)
}

fn read<'a, T: Pod>(head: &'a [u8], at: usize, what: &'static str) -> Result<&'a T, PeError> {
    let rest = head.get(at..).and_then(|rest| pod::from_bytes::<T>(rest).ok());
    rest.map(|(found, _)| found).ok_or(PeError::Truncated { what, offset: at as u64 })
}

fn expect(
    holds: bool,
    what: &'static str,
    found: impl Into<u64>,
    expected: &'static str,
) -> Result<(), PeError> {
    if holds { Ok(()) } else { Err(PeError::Field { what, found: found.into(), expected }) }
}
