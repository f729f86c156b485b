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

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier};
use der::oid::db::rfc4519;
use der::{Decode as _, SliceReader};
use x509_cert::TbsCertificate;
use x509_cert::name::Name;

use crate::pe::{Headers, PeError};

/// Which of the data directories leads to the table.
const DIRECTORY: usize = 4;

/// What stands before the directories in an optional header of PE32+.
const BEFORE_DIRECTORIES: usize = 112;

/// Length, revision and type.
const HEADER_LEN: usize = 8;

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const PKCS_SIGNED_DATA: u16 = 2;

/// More signatures than any file has; hoopy makes no more than 16.
const MAX_CERTIFICATES: usize = 64;

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
    let certificate = |(kind, body): (u16, &[u8])| Certificate {
        size: (HEADER_LEN + body.len()) as u64,
        kind,
        signer: if kind == PKCS_SIGNED_DATA { signer(body) } else { None },
    };
    bodies(table).map(certificate).collect()
}

/// The signatures in the bytes of a table as they lie there: `WIN_CERT_TYPE_*`, and what follows the header. It ends
/// at the first that does not fit.
pub fn bodies(table: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = table;
    let next = move || {
        let &[a, b, c, d, _, _, e, f] = rest.first_chunk::<HEADER_LEN>()?;
        let size = u32::from_le_bytes([a, b, c, d]) as usize;
        let body = rest.get(HEADER_LEN..size)?;
        rest = rest.get(size.next_multiple_of(8)..).unwrap_or_default();
        Some((u16::from_le_bytes([e, f]), body))
    };
    std::iter::from_fn(next).take(MAX_CERTIFICATES)
}

/// Whom the certificate of the first signer is for.
fn signer(pkcs7: &[u8]) -> Option<String> {
    // Read, not `from_der`: some tools count the padding behind it as a part of the certificate.
    let info = ContentInfo::decode(&mut SliceReader::new(pkcs7).ok()?).ok()?;
    let signed: SignedData = info.content.decode_as().ok()?;
    let signer = signed.signer_infos.0.get(0)?;
    let SignerIdentifier::IssuerAndSerialNumber(id) = &signer.sid else { return None };
    let certificates = signed.certificates.as_ref()?.0.iter().filter_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => Some(&certificate.tbs_certificate),
        CertificateChoices::Other(_) => None,
    });
    let is_signer = |c: &&TbsCertificate| c.issuer == id.issuer && c.serial_number == id.serial_number;
    certificates.into_iter().find(is_signer).map(|certificate| name(&certificate.subject))
}

/// A distinguished name as text, in its own order, with the attributes that people write.
pub fn name(subject: &Name) -> String {
    let attributes = subject.0.iter().flat_map(|set| set.0.iter());
    let parts = attributes.filter_map(|attribute| {
        let kind = match attribute.oid {
            rfc4519::CN => "CN",
            rfc4519::C => "C",
            rfc4519::L => "L",
            rfc4519::ST => "ST",
            rfc4519::O => "O",
            rfc4519::OU => "OU",
            _ => return None,
        };
        Some(format!("{kind}={}", String::from_utf8_lossy(attribute.value.value())))
    });
    parts.collect::<Vec<_>>().join(", ")
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
}
