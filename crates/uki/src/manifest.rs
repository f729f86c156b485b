//! What an image is made of, inside the image: the section `.hoopy`.
//!
//! One line of JSON for each piece of the file, in the order of the file:
//!
//! ```text
//! {"offset":12288,"size":181248,"sha256":"…","section":"stub","origins":["systemd-efistub-257.6-r0"]}
//! {"offset":193536,"size":189,"sha256":"…","section":".osrel","origins":["hoopy"]}
//! {"offset":194048,"size":665728,"sha256":"…","section":".initrd","origins":["musl-1.2.5-r21","zlib-1.3.1-r2"]}
//! ```
//!
//! It says where in an image that is at hand the pieces of the next one lie, and where its megabytes come from. The
//! headers, this section and padding are no pieces; the initramfs has one piece a segment, which small packages
//! share. The same inputs give the same bytes. Nobody trusts it: what is put together by it is checked as a whole.
//!
//! Before segments were shared the last field was `"origin":"musl-1.2.5-r21"`; that is read still, since machines run
//! such images.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::pe::Headers;
use crate::{ReplaceError, Section, read_section};
use hoopy_base::digest::ContentId;
use serde::{Deserialize, Deserializer, Serialize};

/// The most bytes of it that are read: an image of ten thousand pieces has less.
pub const MAX_SIZE: u64 = 4 << 20;

/// The most pieces that are read: packages and scripts together, tenfold.
const MAX_PIECES: usize = 1 << 16;

/// What [`Piece::section`] says of the EFI stub's own sections.
pub const STUB: &str = "stub";

/// What [`Piece::origins`] says of what no package or file of the system brings.
pub const OWN: &str = "hoopy";

/// A stretch of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
    /// The digest of these bytes.
    pub sha256: ContentId,
    /// The section that it is in, or is: `.initrd`; or [`STUB`].
    pub section: String,
    /// Where it comes from, as a build shows it: `musl-1.2.5-r21`, `root/`, `setup.sh`. Small packages share a piece.
    #[serde(alias = "origin", deserialize_with = "one_or_more")]
    pub origins: Vec<String>,
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Origins {
        More(Vec<String>),
        One(String),
    }
    Ok(match Origins::deserialize(deserializer)? {
        Origins::More(origins) => origins,
        Origins::One(origin) => vec![origin],
    })
}

/// Origins in a few words: `musl-1.2.5-r21 and 11 more`.
pub fn in_short(origins: &[String]) -> String {
    match origins {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    }
}

impl Piece {
    /// Its bytes in the file.
    pub const fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }
}

/// An image that does not say what it is made of, or says nonsense.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More than anybody writes.
    #[error(
        "its .hoopy section has {size} bytes or {pieces} pieces: at most {MAX_SIZE} and {MAX_PIECES} are read"
    )]
    TooLarge {
        /// In bytes.
        size: u64,
        /// Lines.
        pieces: usize,
    },
    /// A line that is none of ours.
    #[error("line {line} of its .hoopy section: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Pieces that overlap, are not in order, or are not in the file.
    #[error(
        "line {line} of its .hoopy section: bytes {start} to {end} are not behind the piece before, or not in the file of {size} bytes"
    )]
    Misplaced {
        /// Counted from 1.
        line: usize,
        /// First byte.
        start: u64,
        /// Behind the last byte.
        end: u64,
        /// Of the file.
        size: u64,
    },
    /// The file could not be read.
    #[error("its .hoopy section cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// The bytes of the section.
pub fn write(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        // Numbers and texts: nothing that JSON cannot hold, and a vector takes everything.
        let _ = serde_json::to_writer(&mut bytes, piece);
        bytes.push(b'\n');
    }
    bytes
}

/// Reads the section of a file of `file_size` bytes. Digests are not checked.
///
/// # Errors
/// [`ManifestError`], where pieces are not as an image has them.
pub fn parse(bytes: &[u8], file_size: u64) -> Result<Vec<Piece>, ManifestError> {
    let lines = || bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let (size, pieces) = (bytes.len() as u64, lines().take(MAX_PIECES + 1).count());
    if size > MAX_SIZE || pieces > MAX_PIECES {
        return Err(ManifestError::TooLarge { size, pieces });
    }
    let mut pieces: Vec<Piece> = Vec::with_capacity(pieces);
    for (n, line) in lines().enumerate() {
        let line_no = n + 1;
        let piece: Piece =
            serde_json::from_slice(line).map_err(|source| ManifestError::Line { line: line_no, source })?;
        let before = pieces.last().map_or(0, |last| last.range().end);
        let end = piece.offset.saturating_add(piece.size);
        if piece.offset < before || end > file_size {
            return Err(ManifestError::Misplaced {
                line: line_no,
                start: piece.offset,
                end,
                size: file_size,
            });
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Where the section is in the file with these headers; none where there is none of a size that is read.
pub fn range(headers: &Headers) -> Option<Range<u64>> {
    let range = headers.section(Section::Hoopy)?.data_range();
    (range.end - range.start <= MAX_SIZE).then_some(range)
}

/// What the image in this file says; nothing where it is no program for firmware, or does not say.
///
/// # Errors
/// [`ManifestError`].
pub fn of_image(image: &mut (impl Read + Seek)) -> Result<Option<Vec<Piece>>, ManifestError> {
    let size = image.seek(SeekFrom::End(0))?;
    match read_section(image, Section::Hoopy, MAX_SIZE) {
        Ok(bytes) => parse(&bytes, size).map(Some),
        Err(ReplaceError::Io(source)) => Err(source.into()),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn piece(offset: u64, size: u64) -> Piece {
        let sha256 = ContentId::of(&offset.to_le_bytes());
        Piece {
            offset,
            size,
            sha256,
            section: ".initrd".to_owned(),
            origins: vec!["musl-1.2.5-r21".to_owned()],
        }
    }

    #[test]
    fn is_read_as_it_is_written() {
        let pieces = [piece(512, 100), piece(612, 0), piece(612, 7), piece(1024, 3)];
        assert_eq!(parse(&write(&pieces), 1027).unwrap(), pieces);
        assert_eq!(parse(b"", 0).unwrap(), []);
    }

    #[test]
    fn is_read_as_it_was_written_before_segments_were_shared() {
        let text = String::from_utf8(write(&[piece(512, 100)])).unwrap();
        let old = text.replace("\"origins\":[\"musl-1.2.5-r21\"]", "\"origin\":\"musl-1.2.5-r21\"");
        assert_ne!(old, text);
        assert_eq!(parse(old.as_bytes(), 1027).unwrap(), [piece(512, 100)]);
    }

    #[test]
    fn refuses_pieces_that_overlap_or_lie_outside() {
        let refusal = |pieces: &[Piece], size| parse(&write(pieces), size).unwrap_err().to_string();
        let said = refusal(&[piece(0, 10), piece(9, 1)], 100);
        assert!(said.starts_with("line 2 of its .hoopy section: bytes 9 to 10 are not behind"), "{said}");
        assert!(refusal(&[piece(0, 10)], 9).contains("not in the file of 9 bytes"));
        assert!(refusal(&[piece(u64::MAX, 2)], 100).starts_with("line 1 "));
    }

    #[test]
    fn refuses_what_is_no_manifest() {
        let said = parse(b"\x7fELF\n", 10).unwrap_err().to_string();
        assert!(said.starts_with("line 1 of its .hoopy section: "), "{said}");
        let long = vec![b'\n'; MAX_SIZE as usize + 1];
        assert!(matches!(parse(&long, 10), Err(ManifestError::TooLarge { .. })));
    }
}
