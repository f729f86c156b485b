//! Where everything in an image goes, and the headers that say so. The invariants are [`Plan`](crate::Plan)'s.

use object::LittleEndian as LE;
use object::pe;
use object::pod;

use crate::pe::{Headers, Image, MAX_SECTIONS, SectionHeader};
use crate::{PlanError, Section, SectionData};

/// What new sections' addresses are multiples of at least: the kernel takes whole pages, and a stub may have
/// declared less.
pub const PAGE: u64 = 4096;

/// The directory that names the signatures.
pub const CERTIFICATES: usize = 4;

/// Directories that name places in the file, or in headers that change: signatures, debug data, bound imports.
/// Firmware uses none of them to start a program, and left as they are they would be wrong.
const STALE_DIRECTORIES: [usize; 3] = [CERTIFICATES, 6, 11];

const READ: u32 = pe::IMAGE_SCN_MEM_READ.0;
const DATA: u32 = pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0;
const CODE: u32 = pe::IMAGE_SCN_CNT_CODE.0;

/// The headers of the image: every section has its place, and the sizes are right.
pub fn lay_out(
    stub: &Image<'_>,
    kept: &[SectionHeader],
    new: &[(Section, SectionData)],
) -> Result<Headers, PlanError> {
    let old = &stub.headers;
    let file_alignment = u64::from(old.file_alignment);
    let wanted = kept.len() + new.len();
    let table_end = (old.section_table + wanted * pe::IMAGE_SIZEOF_SECTION_HEADER) as u64;
    let needed = table_end.next_multiple_of(file_alignment);
    let first = kept.iter().map(|header| u64::from(header.address)).min().unwrap_or(needed);
    if needed > first || wanted > MAX_SECTIONS {
        return Err(PlanError::NoRoom { wanted, needed, first });
    }
    let size_of_headers = needed.max(old.size_of_headers.into()).min(first - first % file_alignment);
    let mut place = Placer { offset: size_of_headers, address: size_of_headers, file_alignment };
    let mut sections = Vec::with_capacity(wanted);
    for header in kept {
        sections.push(place.kept(header)?);
    }
    let section_alignment = u64::from(old.section_alignment);
    for (section, data) in new {
        place.address = place.address.next_multiple_of(section_alignment.max(PAGE));
        sections.push(place.fresh(*section, data.size())?);
    }
    Ok(Headers {
        size_of_headers: small(size_of_headers)?,
        size_of_image: small(place.address.next_multiple_of(section_alignment))?,
        checksum: 0,
        sections,
        ..old.clone()
    })
}

/// Where the next section goes.
struct Placer {
    offset: u64,
    address: u64,
    file_alignment: u64,
}

impl Placer {
    /// A section of the stub: same address, next place in the file.
    fn kept(&mut self, header: &SectionHeader) -> Result<SectionHeader, PlanError> {
        self.address = self.address.max(header.end_address());
        let raw_size = u64::from(header.raw_size).next_multiple_of(self.file_alignment);
        let offset = if raw_size == 0 { 0 } else { self.offset };
        self.offset += raw_size;
        Ok(SectionHeader { offset: small(offset)?, raw_size: small(raw_size)?, ..header.clone() })
    }

    fn fresh(&mut self, section: Section, size: u64) -> Result<SectionHeader, PlanError> {
        // Some stubs start the kernel where it lies.
        let characteristics =
            if section == Section::Linux { CODE | pe::IMAGE_SCN_MEM_EXECUTE.0 } else { DATA } | READ;
        let raw_size = size.checked_next_multiple_of(self.file_alignment).unwrap_or(u64::MAX);
        let header = SectionHeader {
            raw_name: section.raw_name(),
            address: small(self.address)?,
            virtual_size: small(size)?,
            offset: small(self.offset)?,
            raw_size: small(raw_size)?,
            characteristics,
        };
        self.address += size;
        self.offset += raw_size;
        // The end is addressed too.
        small(self.offset.max(self.address))?;
        Ok(header)
    }
}

fn small(size: u64) -> Result<u32, PlanError> {
    u32::try_from(size).map_err(|_| PlanError::TooLarge { size })
}

/// The stub's headers as bytes, with what `headers` says in the place of what they said.
pub fn header_bytes(stub: &Image<'_>, headers: &Headers) -> Vec<u8> {
    let before_table = stub.bytes().get(..headers.section_table).unwrap_or_default();
    let mut bytes = before_table.to_vec();
    patch(&mut bytes, headers.file_header, |file: &mut pe::ImageFileHeader| {
        file.number_of_sections.set(LE, headers.sections.len() as u16);
        file.pointer_to_symbol_table.set(LE, 0);
        file.number_of_symbols.set(LE, 0);
    });
    let total = |kind: u32| {
        let of_kind = headers.sections.iter().filter(|header| header.characteristics & kind != 0);
        of_kind.fold(0_u32, |sum, header| sum.saturating_add(header.raw_size))
    };
    patch(&mut bytes, headers.optional_header, |optional: &mut pe::ImageOptionalHeader64| {
        optional.size_of_code.set(LE, total(CODE));
        optional.size_of_initialized_data.set(LE, total(DATA));
        optional.size_of_headers.set(LE, headers.size_of_headers);
        optional.size_of_image.set(LE, headers.size_of_image);
        optional.check_sum.set(LE, 0);
    });
    let directories = headers.optional_header + size_of::<pe::ImageOptionalHeader64>();
    for index in STALE_DIRECTORIES.into_iter().filter(|&index| index < headers.directories) {
        let at = directories + index * size_of::<pe::ImageDataDirectory>();
        patch(&mut bytes, at, |directory: &mut pe::ImageDataDirectory| {
            directory.virtual_address.set(LE, 0);
            directory.size.set(LE, 0);
        });
    }
    for header in &headers.sections {
        bytes.extend_from_slice(pod::bytes_of(&table_line(header)));
    }
    bytes.resize(headers.size_of_headers as usize, 0);
    bytes
}

/// Parsing has found these structures where they are looked for.
pub fn patch<T: pod::Pod>(bytes: &mut [u8], at: usize, change: impl FnOnce(&mut T)) {
    if let Some(Ok((found, _))) = bytes.get_mut(at..).map(pod::from_bytes_mut::<T>) {
        change(found);
    }
}

/// A line of the section table as bytes.
pub fn table_line(header: &SectionHeader) -> pe::ImageSectionHeader {
    let number = |value| object::U32::new(LE, value);
    pe::ImageSectionHeader {
        name: header.raw_name,
        virtual_size: number(header.virtual_size),
        virtual_address: number(header.address),
        size_of_raw_data: number(header.raw_size),
        pointer_to_raw_data: number(header.offset),
        pointer_to_relocations: number(0),
        pointer_to_linenumbers: number(0),
        number_of_relocations: object::U16::new(LE, 0),
        number_of_linenumbers: object::U16::new(LE, 0),
        characteristics: object::U32::new(LE, pe::SectionFlags(header.characteristics)),
    }
}
