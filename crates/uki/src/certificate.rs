//! The signatures that firmware checks: the attribute certificate table behind the sections of a PE file.
//!
//! ```text
//! directory 4  where the table is in the file, and its length
//! table        (length u32 | revision u16 | type u16 | certificate | padding to 8)*
//! certificate  of type 2: a PKCS #7 SignedData in DER
//! ```
//!
//! Who signed is read for people to see. Nothing is verified here.
//!
//! Source of the formats: Microsoft, "PE Format" (The Attribute Certificate Table); RFC 2315; X.690.

use std::ops::Range;

use crate::pe::{Headers, PeError};

/// Which of the data directories leads to the table.
const DIRECTORY: usize = 4;

/// What stands before the directories in an optional header of PE32+.
const BEFORE_DIRECTORIES: usize = 112;

/// Length, revision and type.
const HEADER_LEN: usize = 8;

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const PKCS_SIGNED_DATA: u16 = 2;

/// More signatures than any file has.
const MAX_CERTIFICATES: usize = 16;

/// A table is a few kilobytes for each signature; one that claims more than this is not read.
pub const MAX_TABLE: u64 = 4 << 20;

/// A signature in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Bytes in the table.
    pub size: u64,
    /// `WIN_CERT_TYPE_*`; 2 is what firmware takes.
    pub kind: u16,
    /// Whom the signer's certificate is for (`CN=Example, O=Example`), where it could be read.
    pub signer: Option<String>,
}

/// Where the table is in a file of `file_len` bytes that starts with `head`; nothing where the file has none.
///
/// # Errors
/// When the table claims to be outside the file.
pub fn table(headers: &Headers, head: &[u8], file_len: u64) -> Result<Option<Range<u64>>, PeError> {
    if headers.directories <= DIRECTORY {
        return Ok(None);
    }
    let at = headers.optional_header + BEFORE_DIRECTORIES + DIRECTORY * 8;
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let Some((start, len)) = number(at).zip(number(at + 4)) else {
        return Err(PeError::Truncated { what: "data directories", offset: at as u64 });
    };
    let (start, end) = (u64::from(start), u64::from(start) + u64::from(len));
    match (start, len) {
        (0, _) | (_, 0) => Ok(None),
        _ if end > file_len => {
            Err(PeError::OutOfFile { name: "certificate table".to_owned(), start, end, len: file_len })
        }
        _ => Ok(Some(start..end)),
    }
}

/// The signatures in the bytes of a table. It ends at the first that does not fit.
pub fn certificates(table: &[u8]) -> Vec<Certificate> {
    let mut all = Vec::new();
    let mut rest = table;
    while let Some((header, _)) = rest.split_at_checked(HEADER_LEN) {
        let &[a, b, c, d, _, _, e, f] = header else { break };
        let size = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = u16::from_le_bytes([e, f]);
        let Some(body) = rest.get(HEADER_LEN..size) else { break };
        let signer = if kind == PKCS_SIGNED_DATA { signer(body) } else { None };
        all.push(Certificate { size: size as u64, kind, signer });
        if all.len() == MAX_CERTIFICATES {
            break;
        }
        rest = rest.get(size.next_multiple_of(8)..).unwrap_or_default();
    }
    all
}

/// The tags of DER that lead to a signer's name.
mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OBJECT: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const CONTEXT_0: u8 = 0xA0;
}

/// Whom the certificate of the first signer is for.
fn signer(pkcs7: &[u8]) -> Option<String> {
    let mut info = Der(Der(pkcs7).expect(tag::SEQUENCE)?);
    info.expect(tag::OBJECT)?;
    let mut signed = Der(Der(info.expect(tag::CONTEXT_0)?).expect(tag::SEQUENCE)?);
    signed.expect(tag::INTEGER)?;
    signed.expect(tag::SET)?;
    signed.expect(tag::SEQUENCE)?;
    let mut certificates = Der(signed.expect(tag::CONTEXT_0)?);
    // Perhaps revocation lists; then the signers.
    let signers = std::iter::from_fn(|| signed.next()).find(|(tag, _)| *tag == tag::SET)?.1;
    let mut signer = Der(Der(signers).expect(tag::SEQUENCE)?);
    signer.expect(tag::INTEGER)?;
    let mut wanted = Der(signer.expect(tag::SEQUENCE)?);
    let wanted = (wanted.expect(tag::SEQUENCE)?, wanted.expect(tag::INTEGER)?);
    while let Some(certificate) = certificates.expect(tag::SEQUENCE) {
        if let Some((issuer, serial, subject)) = names(certificate)
            && (issuer, serial) == wanted
        {
            return Some(name(subject));
        }
    }
    None
}

/// Issuer, serial number and subject of a certificate.
fn names(certificate: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut fields = Der(Der(certificate).expect(tag::SEQUENCE)?);
    let (mut tag, mut serial) = fields.next()?;
    if tag == tag::CONTEXT_0 {
        (tag, serial) = fields.next()?;
    }
    (tag == tag::INTEGER).then_some(())?;
    fields.expect(tag::SEQUENCE)?;
    let issuer = fields.expect(tag::SEQUENCE)?;
    fields.expect(tag::SEQUENCE)?;
    Some((issuer, serial, fields.expect(tag::SEQUENCE)?))
}

/// A distinguished name as text, with the attributes that people write.
fn name(sequence: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut sets = Der(sequence);
    while let Some(set) = sets.expect(tag::SET) {
        let mut pair = Der(Der(set).expect(tag::SEQUENCE).unwrap_or_default());
        let (Some(kind), Some((_, value))) = (pair.expect(tag::OBJECT), pair.next()) else { continue };
        let kind = match kind {
            [0x55, 4, 3] => "CN",
            [0x55, 4, 6] => "C",
            [0x55, 4, 7] => "L",
            [0x55, 4, 8] => "ST",
            [0x55, 4, 10] => "O",
            [0x55, 4, 11] => "OU",
            _ => continue,
        };
        parts.push(format!("{kind}={}", String::from_utf8_lossy(value)));
    }
    parts.join(", ")
}

/// Values in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, if it has this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next value: its tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            // A length of more than four bytes is no file's.
            let count = usize::from(first & 0x7F);
            let bytes = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
            let len = bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            (len, rest.get(count..)?)
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_lies_about_lengths_gives_what_fits() {
        assert_eq!(certificates(&[]), []);
        assert_eq!(certificates(&[0; 64]), []);
        assert_eq!(certificates(&[255; 64]), []);
        let mut table = vec![16, 0, 0, 0, 0, 2, 1, 0];
        table.extend([0x30; 8]);
        table.extend([9, 0, 0, 0, 0, 2, 2, 0, 0x30]);
        let found = certificates(&table);
        assert_eq!(found.iter().map(|c| (c.size, c.kind)).collect::<Vec<_>>(), [(16, 1), (9, 2)]);
        assert!(found.iter().all(|c| c.signer.is_none()));
    }

    #[test]
    fn lengths_that_run_over_the_end_are_no_values() {
        assert_eq!(Der(&[0x30, 3, 1, 2]).next(), None);
        assert_eq!(Der(&[0x30, 0x84, 255, 255, 255, 255, 0]).next(), None);
        assert_eq!(Der(&[0x30, 0x80]).next(), None);
        assert_eq!(Der(&[0x30, 0x81, 2, 7, 8]).next(), Some((0x30, &[7, 8][..])));
    }
}
