//! Writing PKCS #7 `SignedData`: version 1, one signer, SHA-256 and RSA, no date, so that the same content and key
//! give the same bytes.
//!
//! Source of the format: RFC 2315.

use crate::certificate::Certificate;
use crate::der as write;
use crate::der::oid;
use crate::signer::{Signer, SignerError, sign};
use sha2::{Digest as _, Sha256};

/// A signer with the certificate for its key.
#[derive(Clone, Copy)]
pub struct CertifiedSigner<'a> {
    certificate: &'a Certificate,
    signer: &'a dyn Signer,
}

impl std::fmt::Debug for CertifiedSigner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertifiedSigner({:?})", self.certificate)
    }
}

impl<'a> CertifiedSigner<'a> {
    /// The two, where they are of one key.
    ///
    /// # Errors
    /// [`SignerError::OtherKey`].
    pub fn new(certificate: &'a Certificate, signer: &'a dyn Signer) -> Result<Self, SignerError> {
        if certificate.key() == signer.public() {
            Ok(Self { certificate, signer })
        } else {
            Err(SignerError::OtherKey { certificate: certificate.subject() })
        }
    }

    /// The certificate.
    pub const fn certificate(&self) -> &'a Certificate {
        self.certificate
    }
}

/// `SignedData` that says of bytes elsewhere that they are signed.
pub fn detached(content: &[u8], by: CertifiedSigner<'_>) -> Result<Vec<u8>, SignerError> {
    let signature = sign(by.signer, content)?;
    let info = write::sequence(&[&write::identifier(oid::DATA)]);
    Ok(signed_data(&info, &[], &signature, by.certificate))
}

/// A `ContentInfo` with `SignedData` in it that holds `content`, a DER value of this type.
pub fn enveloping(
    content_type: &[u8],
    content: &[u8],
    by: CertifiedSigner<'_>,
) -> Result<Vec<u8>, SignerError> {
    let content_type = write::identifier(content_type);
    let attribute =
        |kind: &[u8], value: &[u8]| write::sequence(&[&write::identifier(kind), &write::set(&[value])]);
    let digest = write::octets(&Sha256::digest(inner(content)));
    let mut attributes =
        [attribute(oid::CONTENT_TYPE, &content_type), attribute(oid::MESSAGE_DIGEST, &digest)];
    attributes.sort_unstable();
    let [first, second] = &attributes;
    // What is signed is the set as such; in the structure the same bytes have another tag.
    let signature = sign(by.signer, &write::set(&[first, second]))?;
    let info = write::sequence(&[&content_type, &write::tagged(0, &[content])]);
    let signed = signed_data(&info, &write::tagged(0, &[first, second]), &signature, by.certificate);
    Ok(write::sequence(&[&write::identifier(oid::SIGNED_DATA), &write::tagged(0, &[&signed])]))
}

fn signed_data(content: &[u8], attributes: &[u8], signature: &[u8], certificate: &Certificate) -> Vec<u8> {
    let version = write::integer(&[1]);
    let sha256 = write::algorithm(oid::SHA256);
    let signer = write::sequence(&[
        &version,
        &certificate.identifier(),
        &sha256,
        attributes,
        &write::algorithm(oid::RSA),
        &write::octets(signature),
    ]);
    write::sequence(&[
        &version,
        &write::set(&[&sha256]),
        content,
        &write::tagged(0, &[certificate.der()]),
        &write::set(&[&signer]),
    ])
}

/// A DER value without its tag and length: what the digest of a content is of.
pub fn inner(value: &[u8]) -> &[u8] {
    let header = match value.get(1) {
        Some(&long @ 0x81..) => 2 + usize::from(long & 0x7F),
        _ => 2,
    };
    value.get(header..).unwrap_or_default()
}
