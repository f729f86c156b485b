//! X.509 certificates: self-signed ones for the keys of Secure Boot, and reading anybody's.
//!
//! ```text
//! Certificate  TBSCertificate | sha256WithRSAEncryption | signature
//! TBS          v3 | serial | issuer = subject: CN | validity | public key | extensions
//! ```
//!
//! The extensions are those of `openssl req -x509`, which firmware has met most: key identifiers and `CA:TRUE`. No
//! key usage: sbverify refuses certificates that name one and leave signing of code out. Firmware looks at no date, so
//! the end is only there because the format has one.
//!
//! Source of the format: RFC 5280.

use std::fmt;

use data_encoding::HEXLOWER;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rsa::pkcs8::LineEnding;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::der as write;
use crate::der::oid;
use crate::key::{KeyError, PublicKey};
use crate::signer::{Signer, SignerError, sign};

/// The longest certificate that is read; Microsoft's have 1.6 kB.
pub const MAX_SIZE: usize = 64 << 10;

/// How many years a certificate is for.
const YEARS: i16 = 20;

/// The most characters of a common name (RFC 5280, `ub-common-name`).
const MAX_NAME: usize = 64;

const LABEL: &str = "CERTIFICATE";

/// A certificate that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate.
    #[error("not an X.509 certificate: expected {expected}, found {found}")]
    Malformed {
        /// Which form.
        expected: &'static str,
        /// What there is instead.
        found: String,
    },
    /// Its key is of no use here.
    #[error("the certificate {subject}: {source}")]
    Key {
        /// Whom it is for.
        subject: String,
        /// What is wrong.
        source: KeyError,
    },
    /// A name that has no place in one.
    #[error(
        "a certificate for {0:?}: expected a name of 1 to {MAX_NAME} characters without control characters"
    )]
    Name(String),
    /// A date that has no place in one.
    #[error("a certificate from {0} on: expected a date from 1950 to {last}", last = 2049 - YEARS)]
    Date(Timestamp),
    /// It could not be signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// An X.509 certificate with an RSA key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
    key: PublicKey,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject(), self.fingerprint())
    }
}

impl Certificate {
    /// Makes one for the signer's own key, signed by itself: the same bytes for the same key, name and second.
    ///
    /// # Errors
    /// [`CertificateError::Name`], [`CertificateError::Date`], [`CertificateError::Signer`].
    pub fn self_signed(name: &str, from: Timestamp, signer: &dyn Signer) -> Result<Self, CertificateError> {
        let sane = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if !sane {
            return Err(CertificateError::Name(name.to_owned()));
        }
        let key = signer.public();
        let of_key = |source| CertificateError::Key { subject: format!("CN={name}"), source };
        let common_name = write::sequence(&[&write::identifier(oid::COMMON_NAME), &write::text(name)]);
        let subject = write::sequence(&[&write::set(&[&common_name])]);
        let algorithm = write::algorithm(oid::SHA256_WITH_RSA);
        let to_be_signed = write::sequence(&[
            &write::tagged(0, &[&write::integer(&[2])]),
            &write::integer(&serial(key, from)),
            &algorithm,
            &subject,
            &validity(from)?,
            &subject,
            &key.to_der().map_err(of_key)?,
            &write::tagged(3, &[&extensions(key)]),
        ]);
        let signature = sign(signer, &to_be_signed)?;
        Self::from_der(&write::sequence(&[&to_be_signed, &algorithm, &write::bits(&signature)]))
    }

    /// Reads DER.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], [`CertificateError::Key`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |found: String| CertificateError::Malformed { expected: "DER", found };
        if der.len() > MAX_SIZE {
            return Err(malformed(format!("{} bytes", der.len())));
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|e| malformed(e.to_string()))?;
        let subject = hoopy_uki::certificate::name(&parsed.tbs_certificate.subject);
        let key = parsed.tbs_certificate.subject_public_key_info.to_der();
        let key = PublicKey::from_der(&key.map_err(|e| malformed(e.to_string()))?);
        let key = key.map_err(|source| CertificateError::Key { subject, source })?;
        Ok(Self { der: der.to_vec(), parsed, key })
    }

    /// Reads PEM (`BEGIN CERTIFICATE`). What stands before it is passed over: some tools write there what it says.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], [`CertificateError::Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let expected = "PEM with BEGIN CERTIFICATE";
        let malformed = |found: String| CertificateError::Malformed { expected, found };
        let begin = pem.windows(11).position(|bytes| bytes == b"-----BEGIN ");
        let Some(pem) = begin.and_then(|at| pem.get(at..)).filter(|pem| pem.len() <= 2 * MAX_SIZE) else {
            return Err(malformed(match Self::from_der(pem) {
                Ok(_) => "DER, of which `openssl x509 -inform der` makes PEM".to_owned(),
                Err(_) => format!("{} bytes without it", pem.len()),
            }));
        };
        match der::pem::decode_vec(pem) {
            Ok((LABEL, der)) => Self::from_der(&der),
            Ok((label, _)) => Err(malformed(format!("BEGIN {label}"))),
            Err(e) => Err(malformed(e.to_string())),
        }
    }

    /// Reads all certificates of a file, each as PEM.
    ///
    /// # Errors
    /// As [`Self::from_pem`], also where there is none.
    pub fn all_from_pem(mut pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        const END: &[u8] = b"-----END CERTIFICATE-----";
        let mut all = Vec::new();
        while let Some(at) = pem.windows(END.len()).position(|bytes| bytes == END) {
            let (one, rest) = pem.split_at(at + END.len());
            all.push(Self::from_pem(one)?);
            pem = rest;
        }
        if all.is_empty() || pem.windows(11).any(|bytes| bytes == b"-----BEGIN ") {
            all.push(Self::from_pem(pem)?);
        }
        Ok(all)
    }

    /// As PEM.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], which one that could be read does not give.
    pub fn to_pem(&self) -> Result<String, CertificateError> {
        let malformed = |found| CertificateError::Malformed { expected: "DER", found };
        der::pem::encode_string(LABEL, LineEnding::LF, &self.der).map_err(|e| malformed(e.to_string()))
    }

    /// As DER, the bytes that it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whom it is for (`CN=Example`).
    pub fn subject(&self) -> String {
        hoopy_uki::certificate::name(&self.parsed.tbs_certificate.subject)
    }

    /// The last second that it is for. Firmware does not look at it.
    pub fn ends(&self) -> Option<Timestamp> {
        let end = self.parsed.tbs_certificate.validity.not_after.to_unix_duration();
        Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
    }

    /// Its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` has it but for the colons.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.der))
    }

    /// What its issuer signed, in DER: the `TBSCertificate`.
    fn to_be_signed(&self) -> Option<Vec<u8>> {
        self.parsed.tbs_certificate.to_der().ok()
    }

    /// Whether this is the digest of what its issuer signed, by which `dbx` names certificates: SHA-256, SHA-384 or SHA-512, as its
    /// length says.
    pub fn has_digest(&self, digest: &[u8]) -> bool {
        let Some(signed) = self.to_be_signed() else { return false };
        match digest.len() {
            32 => Sha256::digest(signed).as_slice() == digest,
            48 => Sha384::digest(signed).as_slice() == digest,
            64 => Sha512::digest(signed).as_slice() == digest,
            _ => false,
        }
    }

    /// Whether `issuer` signed it: the name is the issuer's, and the signature verifies with its key.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        let tbs = &self.parsed.tbs_certificate;
        let algorithm = der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
        let signature = self.parsed.signature.as_bytes().unwrap_or_default();
        tbs.issuer == issuer.parsed.tbs_certificate.subject
            && self.parsed.signature_algorithm.oid == algorithm
            && self.to_be_signed().is_some_and(|signed| issuer.key.verifies(&signed, signature))
    }

    /// The issuer's name and the serial number, by which a signature names it: `IssuerAndSerialNumber` in DER.
    pub(crate) fn identifier(&self) -> Vec<u8> {
        let tbs = &self.parsed.tbs_certificate;
        let issuer = tbs.issuer.to_der().unwrap_or_default();
        write::sequence(&[&issuer, &write::integer(tbs.serial_number.as_bytes())])
    }
}

/// A number that no other certificate has: a digest of the key and the second, so that it comes out the same again.
fn serial(key: &PublicKey, from: Timestamp) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update(b"hoopy certificate serial");
    hasher.update(key.to_pkcs1());
    hasher.update(from.as_second().to_be_bytes());
    // At most 20 bytes (RFC 5280); 16 are enough.
    hasher.finalize().into_iter().take(16).collect()
}

fn validity(from: Timestamp) -> Result<Vec<u8>, CertificateError> {
    let from_date = from.to_zoned(TimeZone::UTC).datetime();
    let years = from_date.year()..=from_date.year().saturating_add(YEARS);
    // Two digits of a year stand for 1950 to 2049; some firmware reads nothing else.
    if *years.start() < 1950 || *years.end() > 2049 {
        return Err(CertificateError::Date(from));
    }
    let rest = from_date.strftime("%m%d%H%M%SZ").to_string();
    // A day that the last year does not have: the day before it.
    let rest_of_end = if rest.starts_with("0229") { rest.replacen("0229", "0228", 1) } else { rest.clone() };
    let begin = write::utc_time(&format!("{:02}{rest}", years.start() % 100));
    let end = write::utc_time(&format!("{:02}{rest_of_end}", years.end() % 100));
    Ok(write::sequence(&[&begin, &end]))
}

fn extensions(key: &PublicKey) -> Vec<u8> {
    // Any digest of the key will do (RFC 7093).
    let id: Vec<u8> = Sha256::digest(key.to_pkcs1()).into_iter().take(20).collect();
    let extension =
        |id: &[u8], value: &[u8]| write::sequence(&[&write::identifier(id), &write::octets(value)]);
    let authority = write::sequence(&[&write::tagged_string(0, &id)]);
    let is_authority = write::octets(&write::sequence(&[write::TRUE]));
    write::sequence(&[
        &extension(oid::SUBJECT_KEY, &write::octets(&id)),
        &extension(oid::AUTHORITY_KEY, &authority),
        &write::sequence(&[&write::identifier(oid::BASIC_CONSTRAINTS), write::TRUE, &is_authority]),
    ])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::process::Command;

    use super::*;
    use crate::key::PrivateKey;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn openssl_reads_what_is_written_and_verifies_it() {
        let key = PrivateKey::generate().unwrap();
        let made = Certificate::self_signed("Home KEK", at("2028-02-29T12:00:00Z"), &key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        std::fs::write(&path, made.to_pem().unwrap()).unwrap();
        let show = ["x509", "-noout", "-subject", "-dates", "-fingerprint", "-sha256", "-ext"];
        let out =
            Command::new("openssl").args(show).args(["basicConstraints", "-in"]).arg(&path).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(said.contains("subject=CN = Home KEK\n"), "{said}");
        assert!(
            said.contains("notBefore=Feb 29 12:00:00 2028 GMT\nnotAfter=Feb 28 12:00:00 2048 GMT\n"),
            "{said}"
        );
        assert!(said.contains("X509v3 Basic Constraints: critical\n    CA:TRUE\n"), "{said}");
        assert!(said.to_lowercase().replace(':', "").contains(&made.fingerprint()), "{said}");
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-check_ss_sig", "-x509_strict", "-CAfile"]);
        let out = verify.arg(&path).arg(&path).output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() || errors.contains("not yet valid"), "{errors}");
    }

    #[test]
    fn the_same_key_name_and_second_give_the_same_bytes() {
        let key = PrivateKey::generate().unwrap();
        let make = |name, time| Certificate::self_signed(name, at(time), &key).unwrap();
        let one = make("db", "2026-01-01T00:00:00Z");
        assert_eq!(one, make("db", "2026-01-01T00:00:00Z"));
        assert_ne!(one.der(), make("db", "2026-01-01T00:00:01Z").der());
        assert_eq!(one, Certificate::from_pem(one.to_pem().unwrap().as_bytes()).unwrap());
        assert_eq!(one, Certificate::from_der(one.der()).unwrap());
        assert_eq!(one.subject(), "CN=db");
        assert_eq!(one.ends(), Some(at("2046-01-01T00:00:00Z")));
    }

    #[test]
    fn is_issued_by_whoever_signed_it_and_by_no_other_of_that_name() {
        let [key, other] = [PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap()];
        let time = at("2026-01-01T00:00:00Z");
        let one = Certificate::self_signed("db", time, &key).unwrap();
        assert!(one.is_issued_by(&one));
        assert!(!one.is_issued_by(&Certificate::self_signed("db", time, &other).unwrap()));
        assert!(!one.is_issued_by(&Certificate::self_signed("PK", time, &key).unwrap()));
    }

    #[test]
    fn refuses_names_and_dates_that_have_no_place_in_one() {
        let key = PrivateKey::generate().unwrap();
        let refusal =
            |name: &str, time| Certificate::self_signed(name, at(time), &key).unwrap_err().to_string();
        assert!(refusal("", "2026-01-01T00:00:00Z").contains("1 to 64 characters"));
        assert!(refusal("a\nb", "2026-01-01T00:00:00Z").contains("without control characters"));
        assert!(refusal("db", "2040-01-01T00:00:00Z").contains("expected a date from 1950 to 2029"));
    }

    #[test]
    fn says_what_was_found_instead_of_a_certificate() {
        let said = |pem: &[u8]| Certificate::from_pem(pem).unwrap_err().to_string();
        assert!(said(b"hello").ends_with("found 5 bytes without it"));
        let key = PrivateKey::generate().unwrap();
        let certificate = Certificate::self_signed("db", at("2026-01-01T00:00:00Z"), &key).unwrap();
        assert!(
            said(certificate.der()).ends_with("found DER, of which `openssl x509 -inform der` makes PEM")
        );
        let key = PrivateKey::generate().unwrap().public().to_pem().unwrap();
        assert!(said(key.as_bytes()).ends_with("found BEGIN PUBLIC KEY"));
        assert!(Certificate::from_der(&[0x30; 40]).is_err());
    }
}
