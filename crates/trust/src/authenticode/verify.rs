//! Reading signatures and checking them, as firmware does: of SHA-256 and RSA alone, without dates and revocations.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use data_encoding::HEXLOWER;
use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, SliceReader};
use hoopy_uki::certificate::bodies;
use sha2::{Digest as _, Sha256};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{ProgramDigest, Scan};
use crate::certificate::Certificate;

const SPC_INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// The longest way from a signer to a certificate of the firmware that is followed.
const MAX_CHAIN: usize = 5;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("not a signature of an EFI program: {0}")]
    Malformed(String),
    /// An algorithm that is not known here.
    #[error("a signature with {0}: expected SHA-256 and RSA, which is all that is verified")]
    Unsupported(String),
    /// The program was changed after it was signed, or the signature is of another.
    #[error("a signature by {signer} of other bytes: expected the SHA-256 {expected}, found {found}")]
    OtherProgram {
        /// Who made it.
        signer: String,
        /// What the signature says.
        expected: String,
        /// What the program has.
        found: String,
    },
    /// The certificate's key did not make it.
    #[error("its signature claims to be by {signer}, but was not made with that key")]
    Forged {
        /// Who is said to have made it.
        signer: String,
    },
}

fn malformed(what: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(what.to_string())
}

/// A signature that is of the program and was made with the key of its signer's certificate. Whether the signer is
/// anybody to be trusted is another question: [`Signature::is_trusted_by`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    signer: Certificate,
    others: Vec<Certificate>,
}

impl Signature {
    /// The certificate of who signed.
    pub const fn signer(&self) -> &Certificate {
        &self.signer
    }

    /// Whether firmware that has this certificate in its `db` takes the signature: it is the signer's, or that of an
    /// authority from which certificates that came along lead to the signer.
    pub fn is_trusted_by(&self, trusted: &Certificate) -> bool {
        self.chain().iter().any(|current| *current == trusted || current.is_issued_by(trusted))
    }

    /// The signer, who issued its certificate, and so on, as far as their certificates came along.
    pub fn chain(&self) -> Vec<&Certificate> {
        let issuer = |current: &&Certificate| {
            let current = *current;
            self.others.iter().find(|other| *other != current && current.is_issued_by(other))
        };
        std::iter::successors(Some(&self.signer), issuer).take(MAX_CHAIN).collect()
    }
}

/// Checks all signatures of a program, in their order.
pub fn verify(scan: &Scan) -> Vec<Result<Signature, Refusal>> {
    bodies(&scan.table)
        .map(|(kind, body)| match kind {
            2 => check(&scan.digest, body),
            other => Err(Refusal::Unsupported(format!("certificate type {other}"))),
        })
        .collect()
}

/// The signatures in the table of a program that is elsewhere, each with the digest that it is of. That they are of that program is
/// not checked.
pub fn signatures_in(table: &[u8]) -> Vec<(Signature, ProgramDigest)> {
    bodies(table).filter(|(kind, _)| *kind == 2).filter_map(|(_, body)| read(body).ok()).collect()
}

/// Checks one: `body` is a PKCS #7 `ContentInfo`, maybe with padding behind it.
pub(super) fn check(digest: &ProgramDigest, body: &[u8]) -> Result<Signature, Refusal> {
    let (signature, expected) = read(body)?;
    if expected != *digest {
        return Err(Refusal::OtherProgram {
            signer: signature.signer.subject(),
            expected: HEXLOWER.encode(&expected),
            found: HEXLOWER.encode(digest),
        });
    }
    Ok(signature)
}

/// A signature that its signer made, and of which digest.
fn read(body: &[u8]) -> Result<(Signature, ProgramDigest), Refusal> {
    // Read, not `from_der`: some tools count the padding behind it as a part of it.
    let mut reader = SliceReader::new(body).map_err(malformed)?;
    let info = ContentInfo::decode(&mut reader).map_err(malformed)?;
    let signed: SignedData = info.content.decode_as().map_err(malformed)?;
    let [signer_info] = signed.signer_infos.0.as_slice() else {
        return Err(malformed(format!("{} signers: expected one", signed.signer_infos.0.len())));
    };
    let mut others = certificates(&signed);
    let at = others.iter().position(|certificate| is_named(certificate, &signer_info.sid));
    let signer = others.remove(at.ok_or_else(|| malformed("the certificate of the signer is not in it"))?);
    let content = content(&signed)?;
    check_signer(&content, signer_info, &signer)?;
    let expected = program_digest(content.value())?;
    Ok((Signature { signer, others }, expected))
}

fn certificates(signed: &SignedData) -> Vec<Certificate> {
    let choices = signed.certificates.iter().flat_map(|set| set.0.iter());
    let der = choices.filter_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => certificate.to_der().ok(),
        CertificateChoices::Other(_) => None,
    });
    // Those with keys that are not RSA verify nothing here.
    der.filter_map(|der| Certificate::from_der(&der).ok()).collect()
}

fn is_named(certificate: &Certificate, id: &SignerIdentifier) -> bool {
    match id {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.to_der().is_ok_and(|named| named == certificate.identifier())
        }
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn content(signed: &SignedData) -> Result<Any, Refusal> {
    let info = &signed.encap_content_info;
    if info.econtent_type != SPC_INDIRECT_DATA {
        return Err(malformed(format!("content of type {}", info.econtent_type)));
    }
    info.econtent.clone().ok_or_else(|| malformed("no content"))
}

/// That the signer's key signed the attributes, and these name the content.
fn check_signer(content: &Any, info: &SignerInfo, signer: &Certificate) -> Result<(), Refusal> {
    if info.digest_alg.oid != SHA256 {
        return Err(Refusal::Unsupported(format!("digest algorithm {}", info.digest_alg.oid)));
    }
    let attributes = info.signed_attrs.as_ref().ok_or_else(|| malformed("no signed attributes"))?;
    let digest = attributes.iter().find(|attribute| attribute.oid == MESSAGE_DIGEST);
    let digest = digest.and_then(|attribute| attribute.values.get(0)?.decode_as::<OctetString>().ok());
    let forged = || Refusal::Forged { signer: signer.subject() };
    let of_content = Sha256::digest(content.value());
    if digest.is_none_or(|digest| digest.as_bytes() != of_content.as_slice()) {
        return Err(forged());
    }
    let signed = attributes.to_der().map_err(malformed)?;
    if signer.key().verifies(&signed, info.signature.as_bytes()) { Ok(()) } else { Err(forged()) }
}

/// The digest in an `SpcIndirectDataContent` without its header.
fn program_digest(content: &[u8]) -> Result<ProgramDigest, Refusal> {
    let mut reader = SliceReader::new(content).map_err(malformed)?;
    let _kind = Any::decode(&mut reader).map_err(malformed)?;
    let info = Any::decode(&mut reader).map_err(malformed)?;
    let mut reader = SliceReader::new(info.value()).map_err(malformed)?;
    let algorithm = AlgorithmIdentifierOwned::decode(&mut reader).map_err(malformed)?;
    if algorithm.oid != SHA256 {
        return Err(Refusal::Unsupported(format!("a program digest of {}", algorithm.oid)));
    }
    let digest = OctetString::decode(&mut reader).map_err(malformed)?;
    digest.as_bytes().try_into().map_err(|_| malformed("a SHA-256 that has not 32 bytes"))
}
