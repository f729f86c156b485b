//! An image with other data in one of its sections, described without reading it.
//!
//! ```text
//! before  headers | sections ...   .cmdline   ...
//! after   headers'| the very same bytes ......... | padding, the new .cmdline
//! ```
//!
//! The new data goes behind everything else, in the file and in memory, and the section's line becomes the last of
//! the table, which is so still in the order of addresses. All other bytes stay where they are, so whoever writes
//! the image copies them without a look; the old data lies unused among them. A signature of the old image is no
//! longer named, as it would be wrong, and the checksum is 0: not computed.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use object::LittleEndian as LE;
use object::pe;
use object::pod;

use crate::Section;
use crate::layout::{CERTIFICATES, PAGE, patch, table_line};
use crate::pe::{HEADERS_WITHIN, Headers, PeError, SectionHeader};

/// Why a section is not read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The image cannot be read.
    #[error(transparent)]
    Pe(#[from] PeError),
    /// There is no such section.
    #[error("no {0} section: a unified kernel image has one")]
    Missing(Section),
    /// The section is larger than any that was asked for.
    #[error("a {section} section of {size} bytes: expected {most} or less")]
    TooLong {
        /// Which.
        section: Section,
        /// In bytes.
        size: u64,
        /// In bytes.
        most: u64,
    },
    /// The image would end beyond what the format can address.
    #[error("an image of {size} bytes; the format ends at {max}", max = u32::MAX)]
    TooLarge {
        /// In bytes.
        size: u64,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the headers of an image that lies in a file.
///
/// # Errors
/// [`ReplaceError::Pe`], [`ReplaceError::Io`].
pub fn read_headers(file: &mut (impl Read + Seek)) -> Result<(Headers, Vec<u8>, u64), ReplaceError> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.by_ref().take(HEADERS_WITHIN as u64).read_to_end(&mut head)?;
    Ok((Headers::parse(&head, len)?, head, len))
}

/// Reads the data of one section of an image that lies in a file, of `most` bytes at most.
///
/// # Errors
/// [`ReplaceError`]: also where there is no such section.
pub fn read_section(
    file: &mut (impl Read + Seek),
    section: Section,
    most: u64,
) -> Result<Vec<u8>, ReplaceError> {
    let (headers, ..) = read_headers(file)?;
    let range = headers.section(section).ok_or(ReplaceError::Missing(section))?.data_range();
    let size = range.end - range.start;
    if size > most {
        return Err(ReplaceError::TooLong { section, size, most });
    }
    file.seek(SeekFrom::Start(range.start))?;
    let mut data = Vec::new();
    file.by_ref().take(size).read_to_end(&mut data)?;
    Ok(data)
}

/// An image with other data in one section: [`head`](Self::head), [`kept`](Self::kept) of the old file, then
/// [`tail`](Self::tail).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    head: Vec<u8>,
    kept: Range<u64>,
    tail: Vec<u8>,
}

impl Replaced {
    /// Puts `data` into `section` of the image that lies in `file`.
    ///
    /// # Errors
    /// [`ReplaceError`]: also where the image has no such section.
    pub fn new(file: &mut (impl Read + Seek), section: Section, data: &[u8]) -> Result<Self, ReplaceError> {
        let (headers, bytes, len) = read_headers(file)?;
        let at = headers.sections.iter().position(|header| header.section() == Some(section));
        let at = at.ok_or(ReplaceError::Missing(section))?;
        let mut sections = headers.sections.clone();
        let old = sections.remove(at);
        let new = place(&headers, &old, len, data)?;
        let mut tail = vec![0; (u64::from(new.offset) - len) as usize];
        tail.extend_from_slice(data);
        tail.resize(tail.len() + (new.raw_size - new.virtual_size) as usize, 0);
        let end = new.end_address();
        sections.push(new);
        let head = head(&headers, &bytes, &sections, end)?;
        Ok(Self { kept: head.len() as u64..len, head, tail })
    }

    /// The first bytes, in the place of as many of the old file.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// What of the old file follows them.
    pub const fn kept(&self) -> &Range<u64> {
        &self.kept
    }

    /// What follows that.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// How many bytes that are.
    pub fn size(&self) -> u64 {
        self.kept.end + self.tail.len() as u64
    }

    /// The image as a stream. `file` is the one that it was described from.
    ///
    /// # Errors
    /// What the file fails with.
    pub fn stream<'a, F: Read + Seek>(&'a self, file: &'a mut F) -> io::Result<impl Read + 'a> {
        file.seek(SeekFrom::Start(self.kept.start))?;
        let kept = file.take(self.kept.end - self.kept.start);
        Ok(self.head.as_slice().chain(kept).chain(self.tail.as_slice()))
    }
}

/// Writes the image that lies in `from` with other data in these sections, without the old data and without a signature.
/// Other than a [`Replaced`] image, in which the old data lies unused, it can be signed.
///
/// # Errors
/// [`ReplaceError`]: also where the image has no such section.
pub fn rewrite(
    from: &mut (impl Read + Seek),
    to: &mut impl Write,
    sections: &[(Section, &[u8])],
) -> Result<(), ReplaceError> {
    let (mut headers, bytes, _) = read_headers(from)?;
    let mut replaced = Vec::new();
    for &(section, data) in sections {
        let at = headers.sections.iter().position(|header| header.section() == Some(section));
        replaced.push((headers.sections.remove(at.ok_or(ReplaceError::Missing(section))?), data));
    }
    let mut offset = u64::from(headers.size_of_headers);
    let kept = close_ranks(&mut headers, &mut offset)?;
    for (old, data) in &replaced {
        let new = place(&headers, old, offset, data)?;
        offset = new.raw_range().end;
        headers.sections.push(new);
    }
    let end = headers.sections.iter().map(SectionHeader::end_address).max().unwrap_or_default();
    let mut start = head(&headers, &bytes, &headers.sections, end)?;
    let size = headers.size_of_headers as usize;
    start.extend_from_slice(bytes.get(start.len()..size).unwrap_or_default());
    to.write_all(&start)?;
    for range in kept {
        from.seek(SeekFrom::Start(range.start))?;
        io::copy(&mut from.by_ref().take(range.end - range.start), to)?;
    }
    let new = headers.sections.iter().rev().take(replaced.len()).rev();
    for (header, (_, data)) in new.zip(&replaced) {
        let mut padded = data.to_vec();
        padded.resize(header.raw_size as usize, 0);
        to.write_all(&padded)?;
    }
    Ok(())
}

/// Moves the sections so that each follows the one before in the file, from `offset` on. Gives where they were, in that order.
fn close_ranks(headers: &mut Headers, offset: &mut u64) -> Result<Vec<Range<u64>>, ReplaceError> {
    let mut sections: Vec<&mut SectionHeader> =
        headers.sections.iter_mut().filter(|header| header.raw_size != 0).collect();
    sections.sort_by_key(|header| header.offset);
    let mut kept = Vec::new();
    for header in sections {
        kept.push(header.raw_range());
        header.offset = u32::try_from(*offset).map_err(|_| ReplaceError::TooLarge { size: *offset })?;
        *offset += u64::from(header.raw_size);
    }
    Ok(kept)
}

/// The new line of the table.
fn place(
    headers: &Headers,
    old: &SectionHeader,
    len: u64,
    data: &[u8],
) -> Result<SectionHeader, ReplaceError> {
    let alignment = u64::from(headers.file_alignment);
    let offset = len.next_multiple_of(alignment);
    let raw_size = (data.len() as u64).next_multiple_of(alignment);
    let ends = headers.sections.iter().map(SectionHeader::end_address);
    let end = ends.max().unwrap_or_default().max(headers.size_of_image.into());
    let address = end.next_multiple_of(PAGE.max(headers.section_alignment.into()));
    let size = (offset + raw_size).max(address + raw_size);
    let small = |value: u64| u32::try_from(value).map_err(|_| ReplaceError::TooLarge { size });
    small(size)?;
    Ok(SectionHeader {
        address: small(address)?,
        virtual_size: small(data.len() as u64)?,
        offset: small(offset)?,
        raw_size: small(raw_size)?,
        ..old.clone()
    })
}

/// The headers up to the end of the table, for an image that ends at this address.
fn head(
    headers: &Headers,
    bytes: &[u8],
    sections: &[SectionHeader],
    end: u64,
) -> Result<Vec<u8>, ReplaceError> {
    let size_of_image = end.next_multiple_of(headers.section_alignment.into());
    let small = u32::try_from(size_of_image).map_err(|_| ReplaceError::TooLarge { size: size_of_image })?;
    let mut head = bytes.get(..headers.section_table).unwrap_or_default().to_vec();
    patch(&mut head, headers.optional_header, |optional: &mut pe::ImageOptionalHeader64| {
        optional.size_of_image.set(LE, small);
        optional.check_sum.set(LE, 0);
    });
    if CERTIFICATES < headers.directories {
        let directories = headers.optional_header + size_of::<pe::ImageOptionalHeader64>();
        let at = directories + CERTIFICATES * size_of::<pe::ImageDataDirectory>();
        patch(&mut head, at, |directory: &mut pe::ImageDataDirectory| {
            directory.virtual_address.set(LE, 0);
            directory.size.set(LE, 0);
        });
    }
    for header in sections {
        head.extend_from_slice(pod::bytes_of(&table_line(header)));
    }
    Ok(head)
}
