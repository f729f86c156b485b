//! A unified kernel image described: which bytes, and where the large parts go.
//!
//! ```text
//! stub   headers | its sections | symbols, leftovers
//! image  headers | its sections | .osrel .cmdline ... .initrd ... .linux | .sbat ...
//! ```
//!
//! Invariants, each of which some firmware, stub or tool relies on:
//! - the stub's sections keep their addresses; in the file they move together, without holes, so that what is
//!   signed is the whole file;
//! - a new section's `VirtualSize` is the length of its data, since the stub takes it for that;
//! - the headers end before the first section's address, since they are loaded too: that is what bounds the
//!   number of sections;
//! - nothing stands behind the last section (a signature goes there later).

use std::ops::Range;

use crate::kernel::Facts;
use crate::layout::{header_bytes, lay_out};
use crate::pe::{Headers, Image, MAX_SECTIONS, Machine, PeError, SectionHeader};
use crate::{Checksum, Section, sbat};

/// What goes into a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionData {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes, which whoever consumes the plan has.
    External {
        /// In bytes.
        size: u64,
    },
    /// A kernel of which this is known, and which whoever consumes the plan has.
    Kernel(Box<Facts>),
}

impl SectionData {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::External { size } => *size,
            Self::Kernel(kernel) => kernel.size,
        }
    }
}

/// A stretch of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// These bytes.
    Literal(Vec<u8>),
    /// The data of a section that was declared [`SectionData::External`] or [`SectionData::Kernel`].
    External {
        /// Which.
        section: Section,
        /// In bytes.
        size: u64,
    },
}

/// Parts that make no image.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A stub that cannot be read.
    #[error("the EFI stub is unusable: {0}")]
    Stub(#[source] PeError),
    /// A kernel that firmware cannot start.
    #[error("the kernel is not an EFI program (CONFIG_EFI_STUB): {0}")]
    Kernel(#[source] PeError),
    /// Kernel and stub of two machines.
    #[error("the kernel is for {kernel} and the EFI stub for {stub}", kernel = kernel.name(), stub = stub.name())]
    OtherMachine {
        /// The kernel's.
        kernel: Machine,
        /// The stub's.
        stub: Machine,
    },
    /// A section given twice, or there already.
    #[error("{0} twice in one image")]
    Twice(Section),
    /// No kernel.
    #[error("no {0} section: an image has a kernel")]
    Missing(Section),
    /// A section without data, which the stub would take for absent.
    #[error("nothing to put into {0}")]
    Empty(Section),
    /// A stub whose headers cannot grow so far.
    #[error(
        "no room for {wanted} sections: at most {MAX_SECTIONS}, and headers of {needed:#x} bytes must end before the EFI stub's first section at {first:#x}"
    )]
    NoRoom {
        /// How many there would be.
        wanted: usize,
        /// Bytes of headers.
        needed: u64,
        /// The address of the first section.
        first: u64,
    },
    /// More than the format can address.
    #[error("an image of {size} bytes; the format ends at {max}", max = u32::MAX)]
    TooLarge {
        /// In bytes.
        size: u64,
    },
}

/// An image, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    extents: Vec<Extent>,
    headers: Headers,
    size: u64,
}

impl Plan {
    /// Puts these sections, in whatever order they are given, behind those of the stub. The `.sbat` of the
    /// stub, of the kernel and of `sections` become one; symbols, a signature and whatever else trails the
    /// stub's last section are left behind.
    ///
    /// # Errors
    /// When a part cannot be read or does not fit the others.
    pub fn new(stub: &[u8], sections: Vec<(Section, SectionData)>) -> Result<Self, PlanError> {
        let stub = Image::parse(stub).map_err(PlanError::Stub)?;
        let (kept, sections) = choose(&stub, sections)?;
        Self::laid_out(&stub, &kept, sections)
    }

    /// The same with a [`Section::Hoopy`], of what `describe` says of the image without it. That section is the last
    /// one, so whatever its size, the others are where `describe` saw them.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn described(
        stub: &[u8],
        mut sections: Vec<(Section, SectionData)>,
        describe: impl FnOnce(&Whereabouts<'_>) -> Vec<u8>,
    ) -> Result<Self, PlanError> {
        let stub = Image::parse(stub).map_err(PlanError::Stub)?;
        sections.push((Section::Hoopy, SectionData::External { size: 1 }));
        let (kept, mut sections) = choose(&stub, sections)?;
        let headers = lay_out(&stub, &kept, &sections)?;
        let stub_bytes = stub_sections(&stub, &kept, &headers);
        let start = u64::from(headers.size_of_headers);
        let described = describe(&Whereabouts {
            stub: start..start + stub_bytes.len() as u64,
            stub_bytes: &stub_bytes,
            headers: &headers,
            sections: &sections,
        });
        if let Some((_, data)) = sections.iter_mut().find(|(section, _)| *section == Section::Hoopy) {
            *data = SectionData::Bytes(described);
        }
        Self::laid_out(&stub, &kept, sections)
    }

    fn laid_out(stub: &Image<'_>, kept: &[SectionHeader], sections: Sections) -> Result<Self, PlanError> {
        let headers = lay_out(stub, kept, &sections)?;
        let mut head = header_bytes(stub, &headers);
        head.extend(stub_sections(stub, kept, &headers));
        let mut extents = vec![Extent::Literal(head)];
        for ((section, data), header) in sections.into_iter().zip(headers.sections.iter().skip(kept.len())) {
            extents.push(match data {
                SectionData::Bytes(bytes) => Extent::Literal(bytes),
                data => Extent::External { section, size: data.size() },
            });
            let padding = header.raw_size - header.virtual_size;
            if padding != 0 {
                extents.push(Extent::Literal(vec![0; padding as usize]));
            }
        }
        let size = headers.sections.iter().map(|header| header.raw_range().end).max().unwrap_or_default();
        Ok(Self { extents, headers, size })
    }

    /// The image from its first byte to its last.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// How many bytes that is.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its headers, as [`Headers::parse`] would read them.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Where a section's data stands in the image, without the padding.
    pub fn data_range(&self, section: Section) -> Option<Range<u64>> {
        self.headers.section(section).map(SectionHeader::data_range)
    }

    /// The bytes at this place of the image, where the plan has them: they are of one section, and not external.
    pub fn literal(&self, range: Range<u64>) -> Option<&[u8]> {
        let mut at = 0;
        for extent in &self.extents {
            let size = match extent {
                Extent::Literal(bytes) => bytes.len() as u64,
                Extent::External { size, .. } => *size,
            };
            if let Extent::Literal(bytes) = extent
                && (at..at + size).contains(&range.start)
            {
                return bytes.get((range.start - at) as usize..(range.end - at) as usize);
            }
            at += size;
        }
        None
    }

    /// Where the checksum stands in the image: 4 bytes, little-endian, 0 unless
    /// [`set_checksum`](Self::set_checksum) was called. Whoever sums the bytes up while writing them patches
    /// it afterwards.
    pub const fn checksum_offset(&self) -> u64 {
        self.headers.checksum_offset() as u64
    }

    /// The checksum, from sums of the external sections' data. To be asked before it is set.
    pub fn checksum(&self, mut external: impl FnMut(Section) -> Checksum) -> u32 {
        let mut sum = Checksum::new();
        for extent in &self.extents {
            match extent {
                Extent::Literal(bytes) => sum.update(bytes),
                Extent::External { section, .. } => sum.append(external(*section)),
            }
        }
        sum.value()
    }

    /// Puts the checksum where it belongs.
    pub fn set_checksum(&mut self, checksum: u32) {
        let at = self.headers.checksum_offset();
        if let Some(Extent::Literal(head)) = self.extents.first_mut()
            && let Some(field) = head.get_mut(at..at + 4)
        {
            field.copy_from_slice(&checksum.to_le_bytes());
            self.headers.checksum = checksum;
        }
    }
}

/// Where everything in an image is, but for its [`Section::Hoopy`].
#[derive(Debug)]
pub struct Whereabouts<'a> {
    /// The bytes of the image that are the stub's own sections.
    pub stub: Range<u64>,
    /// Those bytes.
    pub stub_bytes: &'a [u8],
    headers: &'a Headers,
    sections: &'a [(Section, SectionData)],
}

impl Whereabouts<'_> {
    /// The sections that are not the stub's, in the order of the file, with where their data is.
    pub fn sections(&self) -> impl Iterator<Item = (Section, &SectionData, Range<u64>)> {
        let new = self.headers.sections.iter().rev().take(self.sections.len()).rev();
        let all = self.sections.iter().zip(new);
        all.filter(|((section, _), _)| *section != Section::Hoopy)
            .map(|((section, data), header)| (*section, data, header.data_range()))
    }
}

type Sections = Vec<(Section, SectionData)>;

/// The stub's sections as they lie in the image.
fn stub_sections(stub: &Image<'_>, kept: &[SectionHeader], headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (old, new) in kept.iter().zip(&headers.sections) {
        bytes.extend_from_slice(stub.raw(old));
        bytes.resize(bytes.len() + (new.raw_size - old.raw_size) as usize, 0);
    }
    bytes
}

/// Which of the stub's sections stay, and the new ones as they stand in the file.
fn choose(stub: &Image<'_>, given: Sections) -> Result<(Vec<SectionHeader>, Sections), PlanError> {
    let mut sections: Sections = Vec::with_capacity(given.len() + 1);
    for (section, data) in given {
        if sections.iter().any(|(other, _)| *other == section) {
            return Err(PlanError::Twice(section));
        }
        if data.size() == 0 {
            return Err(PlanError::Empty(section));
        }
        sections.push((section, data));
    }
    check_kernel(stub, &sections)?;
    // It would not fit where the stub has it: the next section's address follows close behind.
    if let Some(table) = merged_sbat(stub, &sections) {
        sections.retain(|(section, _)| *section != Section::Sbat);
        sections.push((Section::Sbat, SectionData::Bytes(table)));
    }
    let replaced = |header: &&SectionHeader| header.section() != Some(Section::Sbat);
    let kept: Vec<_> = stub.headers.sections.iter().filter(replaced).cloned().collect();
    for header in &kept {
        if let Some(section) = header.section().filter(|there| sections.iter().any(|(new, _)| new == there)) {
            return Err(PlanError::Twice(section));
        }
    }
    sections.sort_by_key(|(section, _)| Section::IN_FILE.iter().position(|other| other == section));
    Ok((kept, sections))
}

fn bytes_of(sections: &Sections, wanted: Section) -> Option<&[u8]> {
    sections.iter().find_map(|(section, data)| match data {
        SectionData::Bytes(bytes) if *section == wanted => Some(bytes.as_slice()),
        _ => None,
    })
}

fn kernel_of(sections: &Sections) -> Option<&SectionData> {
    sections.iter().find(|(section, _)| *section == Section::Linux).map(|(_, data)| data)
}

fn check_kernel(stub: &Image<'_>, sections: &Sections) -> Result<(), PlanError> {
    let kernel = match kernel_of(sections) {
        Some(SectionData::Bytes(kernel)) => Image::parse(kernel).map_err(PlanError::Kernel)?.headers.machine,
        Some(SectionData::Kernel(kernel)) => kernel.machine,
        Some(SectionData::External { .. }) => return Ok(()),
        None => return Err(PlanError::Missing(Section::Linux)),
    };
    let stub = stub.headers.machine;
    if kernel == stub { Ok(()) } else { Err(PlanError::OtherMachine { kernel, stub }) }
}

/// The one table of all parts; nothing when none has one, or ours is external.
fn merged_sbat(stub: &Image<'_>, sections: &Sections) -> Option<Vec<u8>> {
    let kernel = match kernel_of(sections) {
        Some(SectionData::Bytes(kernel)) => {
            Image::parse(kernel).ok().and_then(|kernel| kernel.section_data(Section::Sbat))
        }
        Some(SectionData::Kernel(kernel)) => kernel.sbat.as_deref(),
        _ => None,
    };
    let tables = [stub.section_data(Section::Sbat), kernel, bytes_of(sections, Section::Sbat)];
    let external = sections.iter().any(|(section, _)| *section == Section::Sbat) && tables[2].is_none();
    let any = tables.iter().any(Option::is_some);
    (any && !external).then(|| sbat::merge(tables.into_iter().flatten()))
}
