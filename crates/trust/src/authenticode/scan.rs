//! Reading a program once, for its digest and its checksum.

use std::io::{self, Read, Seek, SeekFrom};

use hoopy_uki::pe::Headers;
use hoopy_uki::{Checksum, ReplaceError, certificate, read_headers};
use sha2::{Digest as _, Sha256};

use super::ProgramDigest;

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// What stands before the directories in an optional header of PE32+; of the table of certificates it is the fifth.
const DIRECTORY_IN_OPTIONAL: usize = 112 + 4 * 8;

/// A program that is not signed, or whose signature says nothing.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReplaceError),
    /// It has no place for the table of certificates.
    #[error(
        "its headers have {directories} data directories: expected 5 or more, since the fifth is for signatures"
    )]
    NoDirectory {
        /// How many.
        directories: usize,
    },
    /// Bytes that firmware would leave out of the digest, or count twice.
    #[error(
        "sections that do not follow each other in the file: {name} starts at byte {start:#x}, expected {expected:#x}; firmware does not agree with tools on the digest of such a file"
    )]
    Gap {
        /// The section.
        name: String,
        /// Where it starts.
        start: u64,
        /// Where it should.
        expected: u64,
    },
    /// The table is not at the end.
    #[error(
        "its signatures are at bytes {start:#x} to {end:#x}: expected them behind the sections and at the end, {len:#x}"
    )]
    TableInside {
        /// First byte.
        start: u64,
        /// Behind the last byte.
        end: u64,
        /// Of the file.
        len: u64,
    },
}

impl From<io::Error> for LayoutError {
    fn from(source: io::Error) -> Self {
        Self::Read(source.into())
    }
}

/// Where in a program the bytes are that its digest leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Where the checksum is, 4 bytes.
    pub checksum: u64,
    /// Where the directory of the table of certificates is, 8 bytes.
    pub directory: u64,
    /// Where the program ends, without the table.
    pub end: u64,
}

impl Layout {
    /// Of a program with these headers that ends, without its table, at `end`.
    ///
    /// # Errors
    /// [`LayoutError::NoDirectory`], [`LayoutError::Gap`].
    pub fn new(headers: &Headers, end: u64) -> Result<Self, LayoutError> {
        if headers.directories < 5 {
            return Err(LayoutError::NoDirectory { directories: headers.directories });
        }
        let mut sections: Vec<_> = headers.sections.iter().filter(|section| section.raw_size != 0).collect();
        sections.sort_by_key(|section| section.offset);
        let mut expected = u64::from(headers.size_of_headers);
        for section in sections {
            let range = section.raw_range();
            if range.start != expected {
                return Err(LayoutError::Gap { name: section.name(), start: range.start, expected });
            }
            expected = range.end;
        }
        Ok(Self {
            checksum: headers.checksum_offset() as u64,
            directory: (headers.optional_header + DIRECTORY_IN_OPTIONAL) as u64,
            end,
        })
    }
}

/// A program that was read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where things are.
    pub layout: Layout,
    /// What is signed.
    pub digest: ProgramDigest,
    /// Of the bytes before the directory, and behind it to the end; the checksum's own field counts as zero.
    pub(super) sums: [Checksum; 2],
    /// The table that is there.
    pub table: Vec<u8>,
}

impl Scan {
    /// Reads a program to its end.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn of(file: &mut (impl Read + Seek)) -> Result<Self, LayoutError> {
        let (headers, head, len) = read_headers(file)?;
        let range = certificate::table(&headers, &head, len).map_err(ReplaceError::from)?;
        let end = range.as_ref().map_or(len, |range| range.start);
        let sections_end = headers.sections.iter().map(|section| section.raw_range().end).max();
        if let Some(range) = &range
            && (range.end != len || range.start < sections_end.unwrap_or_default())
        {
            return Err(LayoutError::TableInside { start: range.start, end: range.end, len });
        }
        let mut scanner = Scanner::new(Layout::new(&headers, end)?);
        file.seek(SeekFrom::Start(0))?;
        let mut chunk = vec![0; CHUNK];
        let mut left = end;
        while left != 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let room = chunk.get_mut(..most).unwrap_or_default();
            file.read_exact(room)?;
            scanner.update(room);
            left -= room.len() as u64;
        }
        let mut table = Vec::new();
        file.take(certificate::MAX_TABLE).read_to_end(&mut table)?;
        Ok(Self { table, ..scanner.finish() })
    }
}

/// Takes in the bytes of a program from the first to the last, while they are read or written.
#[derive(Debug, Clone)]
pub struct Scanner {
    layout: Layout,
    position: u64,
    digest: Sha256,
    sums: [Checksum; 2],
}

impl Scanner {
    /// One that has seen nothing yet.
    pub fn new(layout: Layout) -> Self {
        Self { layout, position: 0, digest: Sha256::new(), sums: [Checksum::new(); 2] }
    }

    /// Takes in the bytes that follow.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let Layout { checksum, directory, .. } = self.layout;
        // The headers are few bytes, cut at the fields; the rest goes through whole.
        while !bytes.is_empty() {
            let cuts = [checksum, checksum + 4, directory, directory + 8];
            let next = cuts.into_iter().find(|&cut| cut > self.position).unwrap_or(u64::MAX);
            let most = usize::try_from(next - self.position).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(most.min(bytes.len()));
            self.piece(piece);
            self.position += piece.len() as u64;
            bytes = rest;
        }
    }

    /// Bytes that are left out as a whole or not at all.
    fn piece(&mut self, piece: &[u8]) {
        let Layout { checksum, directory, .. } = self.layout;
        let [before, behind] = &mut self.sums;
        if (checksum..checksum + 4).contains(&self.position) {
            before.update(&[0; 4][..piece.len().min(4)]);
        } else if !(directory..directory + 8).contains(&self.position) {
            self.digest.update(piece);
            let sum = if self.position < directory { before } else { behind };
            sum.update(piece);
        }
    }

    /// What came of it.
    pub fn finish(mut self) -> Scan {
        let padding = self.layout.padding();
        self.piece(&[0; 8][..padding.min(8)]);
        Scan {
            layout: self.layout,
            digest: self.digest.finalize().into(),
            sums: self.sums,
            table: Vec::new(),
        }
    }
}

impl Layout {
    /// How many zeros stand between the program and its table, which starts at a multiple of 8.
    pub(super) fn padding(&self) -> usize {
        (self.end.next_multiple_of(8) - self.end) as usize
    }
}
