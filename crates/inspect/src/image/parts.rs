//! The parts of an EFI program: sections, texts in them, signatures, and what `.hoopy` says of the segments.

use std::io;

use hoopy_base::digest::{ContentId, of_reader};
use hoopy_uki::certificate::{self, Certificate, MAX_TABLE};
use hoopy_uki::manifest::{self, ManifestError, Piece};
use hoopy_uki::pe::SectionHeader;
use hoopy_uki::{Section, kernel};
use serde::Serialize;

use super::split::Segment;
use super::{Image, InspectError};

/// A command line or an os-release is some hundred bytes; the kernel takes 64 KiB at most of anything like it.
pub(super) const MAX_TEXT: u64 = 1 << 20;

/// The largest kernel that is read to find its version: ten times the largest that is built.
const MAX_KERNEL: u64 = 256 << 20;

/// A part of an EFI program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The section's name.
    pub name: String,
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes of data.
    pub size: u64,
    /// SHA-256 of its data.
    pub sha256: ContentId,
}

/// What the image says of its pieces; nothing where it does not.
///
/// # Errors
/// [`ManifestError`].
pub fn pieces(image: &Image) -> Result<Vec<Piece>, ManifestError> {
    let Some(range) = image.headers.as_ref().and_then(manifest::range) else { return Ok(Vec::new()) };
    manifest::parse(&image.bytes(range)?, image.size)
}

/// Where the segment comes from, as one of `pieces` says; and whether the piece's digest is the segment's.
pub fn origins<'p>(segment: &Segment, pieces: &'p [Piece]) -> Option<(&'p [String], bool)> {
    let end = segment.offset + segment.size;
    // Microcode is one piece and may be several archives.
    let around = |piece: &&Piece| piece.offset <= segment.offset && end <= piece.range().end;
    let piece = pieces.iter().rfind(around)?;
    let is_it = piece.size != segment.size || piece.sha256 == segment.sha256;
    Some((&piece.origins, is_it))
}

impl Image {
    /// The sections in the order of the section table, each read through for its digest.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn parts(&self) -> Result<Vec<Part>, InspectError> {
        let headers = self.headers.iter().flat_map(|headers| &headers.sections);
        let part = |section: &SectionHeader| {
            let range = section.data_range();
            let (sha256, size) = of_reader(&mut self.reader(range.clone())?)?;
            Ok(Part { name: section.name(), offset: range.start, size, sha256 })
        };
        headers.map(part).collect::<io::Result<_>>().map_err(|e| self.io(e))
    }

    /// The digest of the whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self) -> Result<ContentId, InspectError> {
        let mut reader = self.reader(0..self.size).map_err(|e| self.io(e))?;
        Ok(of_reader(&mut reader).map_err(|e| self.io(e))?.0)
    }

    /// The text in a section, without the NULs that some tools put behind it.
    pub fn text(&self, section: Section) -> Option<String> {
        let range = self.headers.as_ref()?.section(section)?.data_range();
        let bytes = self.bytes(range.start..range.end.min(range.start + MAX_TEXT)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    /// The kernel's release: what `.uname` says, or else the kernel itself.
    pub fn kernel_version(&self) -> Option<String> {
        let said = self.text(Section::Uname).map(|text| text.trim().to_owned());
        said.filter(|text| !text.is_empty()).or_else(|| {
            let range = self.headers.as_ref()?.section(Section::Linux)?.data_range();
            let fits = range.end - range.start <= MAX_KERNEL;
            fits.then(|| self.bytes(range).ok()).flatten().and_then(|bytes| kernel::version(&bytes))
        })
    }

    /// The signatures that firmware checks; none where the table is not in the file.
    pub fn certificates(&self) -> Vec<Certificate> {
        let table = || {
            let head = self.bytes(0..self.size.min(hoopy_uki::pe::HEADERS_WITHIN as u64)).ok()?;
            let range = certificate::table(self.headers.as_ref()?, &head, self.size).ok()??;
            self.bytes(range.start..range.end.min(range.start + MAX_TABLE)).ok()
        };
        certificate::certificates(&table().unwrap_or_default())
    }
}
