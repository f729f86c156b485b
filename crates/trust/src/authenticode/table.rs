//! Making signatures, and putting them behind a program.

use std::io::{self, Read, Seek, SeekFrom, Write};

use hoopy_uki::Checksum;
use hoopy_uki::certificate::{MAX_TABLE, bodies};

use super::scan::Scan;
use super::verify::{Refusal, check};
use super::{ProgramDigest, indirect_data};
use crate::der::oid;
use crate::pkcs7::{CertifiedSigner, enveloping};
use crate::signer::SignerError;

/// `WIN_CERT_REVISION_2_0`
const REVISION: u16 = 0x0200;

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const PKCS_SIGNED_DATA: u16 = 2;

/// The most signatures of a signed program: each is one more that firmware has to look at.
const MAX_SIGNATURES: usize = 16;

/// Why a program is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is no signature.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The format ends here.
    #[error("a signed program of {size} bytes: the format ends at {max}", max = u32::MAX)]
    TooLarge {
        /// In bytes.
        size: u64,
    },
    /// More than any program needs.
    #[error(
        "{found} signatures: expected at most {MAX_SIGNATURES}; remove some, with `sbattach --remove` for example"
    )]
    TooMany {
        /// How many there would be.
        found: usize,
    },
    /// More signatures than are read.
    #[error("signatures of {size} bytes: at most {MAX_TABLE} are read; remove some")]
    TableTooLarge {
        /// In bytes.
        size: u64,
    },
}

/// The signature of a program: a PKCS #7 `ContentInfo` in DER.
///
/// # Errors
/// [`SignerError`].
pub fn sign(digest: &ProgramDigest, by: CertifiedSigner<'_>) -> Result<Vec<u8>, SignerError> {
    enveloping(oid::SPC_INDIRECT_DATA, &indirect_data(digest), by)
}

/// What changes of a program that is signed; all else stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Bytes that go over those at this place.
    pub patches: [(u64, Vec<u8>); 2],
    /// Where the file is cut and [`tail`](Self::tail) goes.
    pub end: u64,
    /// Padding and the table.
    pub tail: Vec<u8>,
}

/// Adds signatures to those that the program has, in this order. Those by the same certificates are replaced, and so are those
/// that are of other bytes than these: firmware would refuse them.
///
/// # Errors
/// [`SignError`].
pub fn attach(scan: &Scan, by: &[CertifiedSigner<'_>]) -> Result<Attachment, SignError> {
    let is_kept = |kind, body: &[u8]| match check(&scan.digest, body) {
        _ if kind != PKCS_SIGNED_DATA => true,
        Ok(found) => by.iter().all(|by| found.signer() != by.certificate()),
        Err(Refusal::OtherProgram { .. }) => false,
        // One of ours that was damaged is replaced, too: with it there, some tools take no other.
        Err(Refusal::Forged { signer }) => by.iter().all(|by| by.certificate().subject() != signer),
        Err(Refusal::Malformed(_) | Refusal::Unsupported(_)) => true,
    };
    let mut table = Vec::new();
    let kept: Vec<_> = bodies(&scan.table).filter(|(kind, body)| is_kept(*kind, body)).collect();
    let found = kept.len() + by.len();
    if found > MAX_SIGNATURES {
        return Err(SignError::TooMany { found });
    }
    for (kind, body) in kept {
        entry(&mut table, kind, body);
    }
    for by in by {
        entry(&mut table, PKCS_SIGNED_DATA, &sign(&scan.digest, *by)?);
    }
    finish(scan, &table)
}

/// One signature of the table, with the padding.
fn entry(table: &mut Vec<u8>, kind: u16, body: &[u8]) {
    // A body is far smaller than 4 GiB: it came out of a table that is, or is a signature of ours.
    table.extend(((8 + body.len()) as u32).to_le_bytes());
    table.extend(REVISION.to_le_bytes());
    table.extend(kind.to_le_bytes());
    table.extend_from_slice(body);
    table.resize(table.len().next_multiple_of(8), 0);
}

fn finish(scan: &Scan, table: &[u8]) -> Result<Attachment, SignError> {
    let padding = scan.layout.padding();
    let start = scan.layout.end + padding as u64;
    let size = start + table.len() as u64;
    if table.len() as u64 > MAX_TABLE {
        return Err(SignError::TableTooLarge { size: table.len() as u64 });
    }
    let (Ok(place), Ok(_)) = (u32::try_from(start), u32::try_from(size)) else {
        return Err(SignError::TooLarge { size });
    };
    let directory = [place.to_le_bytes(), (table.len() as u32).to_le_bytes()].concat();
    let [mut sum, behind] = scan.sums;
    sum.update(&directory);
    sum.append(behind);
    sum.append(Checksum::of(table));
    let checksum = sum.value().to_le_bytes().to_vec();
    let tail = [&[0; 8][..padding.min(8)], table].concat();
    let patches = [(scan.layout.checksum, checksum), (scan.layout.directory, directory)];
    Ok(Attachment { patches, end: scan.layout.end, tail })
}

impl Attachment {
    /// Writes the signed program. `program` is the file that was scanned.
    ///
    /// # Errors
    /// What reading or writing fails with.
    pub fn write(&self, program: &mut (impl Read + Seek), to: &mut impl Write) -> io::Result<()> {
        program.seek(SeekFrom::Start(0))?;
        let mut at = 0;
        for (place, bytes) in &self.patches {
            copy(program, place - at, to)?;
            to.write_all(bytes)?;
            at = place + bytes.len() as u64;
            program.seek(SeekFrom::Start(at))?;
        }
        copy(program, self.end - at, to)?;
        to.write_all(&self.tail)
    }
}

/// Copies so many bytes, and no fewer.
fn copy(from: &mut impl Read, len: u64, to: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut from.take(len), to)?;
    if copied == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
