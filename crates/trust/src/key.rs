//! RSA keys: private ones, made here or read from PEM, and public ones.
//!
//! Signing is ring's, whose time does not tell of the key (RUSTSEC-2023-0071 is about the crate `rsa`, which makes the
//! keys and works with public ones).
//!
//! Source of the formats: RFC 8017 (RSASSA-PKCS1-v1_5), RFC 7468 (PEM), RFC 5958 (PKCS #8).

use std::fmt;

use data_encoding::HEXLOWER;
use der::Decode as _;
use ring::rand::SystemRandom;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};
use x509_cert::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

/// The bits of new keys: what all firmware takes.
const NEW_BITS: usize = 2048;

/// The bits of keys that are read. Below, firmware refuses; above, much of it cannot verify.
const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The longest PEM that is read: a key of 4096 bits has 3.3 kB.
const MAX_PEM: usize = 64 << 10;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not what was asked for.
    #[error("not a {what}: expected PEM with {expected}, found {found}")]
    Malformed {
        /// Which kind of key.
        what: &'static str,
        /// What its PEM begins with.
        expected: &'static str,
        /// What there is instead.
        found: String,
    },
    /// Of a size that firmware does not take.
    #[error("an RSA key of {bits} bits: expected 2048 to 4096; keys for Secure Boot have 2048")]
    Size {
        /// Of the modulus.
        bits: usize,
    },
    /// The system gave no randomness, or a key that fails its own checks.
    #[error("making an RSA key failed: {0}")]
    Make(String),
    /// Signing failed.
    #[error("signing failed: the key's numbers do not belong together")]
    Sign,
}

/// An RSA key pair.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: ring::rsa::KeyPair,
    public: PublicKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public)
    }
}

impl PrivateKey {
    /// A new one of 2048 bits.
    ///
    /// # Errors
    /// [`KeyError::Make`].
    pub fn generate() -> Result<Self, KeyError> {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, NEW_BITS);
        Self::from_rsa(&key.map_err(|e| KeyError::Make(e.to_string()))?)
    }

    /// Reads PEM, as OpenSSL and [`to_pem`](Self::to_pem) write it: PKCS #8 or PKCS #1, without a passphrase.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Size`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed {
            what: "private RSA key",
            expected: "BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY",
            found: label(pem),
        };
        let text =
            std::str::from_utf8(pem).ok().filter(|text| text.len() <= MAX_PEM).ok_or_else(malformed)?;
        let text = text.trim_start();
        let key =
            RsaPrivateKey::from_pkcs8_pem(text).ok().or_else(|| RsaPrivateKey::from_pkcs1_pem(text).ok());
        Self::from_rsa(&key.ok_or_else(malformed)?)
    }

    fn from_rsa(key: &RsaPrivateKey) -> Result<Self, KeyError> {
        let public = PublicKey::checked(key.to_public_key())?;
        let make = |e: &dyn fmt::Display| KeyError::Make(e.to_string());
        let pkcs8 = key.to_pkcs8_der().map_err(|e| make(&e))?.to_bytes();
        let pair = ring::rsa::KeyPair::from_pkcs8(&pkcs8).map_err(|e| make(&e))?;
        Ok(Self { pkcs8, pair, public })
    }

    /// The key as PEM (PKCS #8), for a file that is encrypted.
    ///
    /// # Errors
    /// [`KeyError::Make`], which a key that could be read does not give.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &self.pkcs8);
        pem.map(Zeroizing::new).map_err(|e| KeyError::Make(e.to_string()))
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the SHA-256 of `message`: the same bytes each time.
    ///
    /// # Errors
    /// [`KeyError::Sign`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        let signed = self.pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message, &mut signature);
        signed.map(|()| signature).map_err(|_| KeyError::Sign)
    }
}

/// The public half of an RSA key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(RsaPublicKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits, {})", self.0.n().bits(), self.fingerprint())
    }
}

impl PublicKey {
    fn checked(key: RsaPublicKey) -> Result<Self, KeyError> {
        let bits = key.n().bits();
        if BITS.contains(&bits) { Ok(Self(key)) } else { Err(KeyError::Size { bits }) }
    }

    /// Reads a `SubjectPublicKeyInfo` as PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Size`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(pem).ok().filter(|text| text.len() <= MAX_PEM);
        let key = text.and_then(|text| RsaPublicKey::from_public_key_pem(text.trim_start()).ok());
        let expected = "BEGIN PUBLIC KEY";
        let malformed = || KeyError::Malformed { what: "public RSA key", expected, found: label(pem) };
        Self::checked(key.ok_or_else(malformed)?)
    }

    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Size`].
    pub fn from_der(spki: &[u8]) -> Result<Self, KeyError> {
        let key = RsaPublicKey::from_public_key_der(spki).map_err(|e| KeyError::Malformed {
            what: "public RSA key",
            expected: "an RSA key",
            found: other_kind(spki).unwrap_or_else(|| e.to_string()),
        })?;
        Self::checked(key)
    }

    /// As PEM.
    ///
    /// # Errors
    /// [`KeyError::Make`], which a key that could be read does not give.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|e| KeyError::Make(e.to_string()))
    }

    /// As `SubjectPublicKeyInfo` in DER; nothing is lost, so what came from it gives it back.
    ///
    /// # Errors
    /// [`KeyError::Make`], which a key that could be read does not give.
    pub fn to_der(&self) -> Result<Vec<u8>, KeyError> {
        let der = self.0.to_public_key_der().map_err(|e| KeyError::Make(e.to_string()))?;
        Ok(der.as_bytes().to_vec())
    }

    /// As PKCS #1 `RSAPublicKey` in DER, of which key identifiers are digests.
    pub(crate) fn to_pkcs1(&self) -> Vec<u8> {
        self.0.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }

    /// The SHA-256 of it (of its PKCS #1 form), in hexadecimal: by this `.pcrsig` names a key.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.to_pkcs1()))
    }

    /// Its modulus, big-endian, as a TPM takes it.
    pub fn modulus(&self) -> Vec<u8> {
        self.0.n().to_bytes_be()
    }

    /// Whether the agent takes it for the key of PCR policies: RSA-2048 with the exponent 65537, which every TPM has.
    pub fn is_for_policies(&self) -> bool {
        self.0.n().bits() == 2048 && *self.0.e() == rsa::BigUint::from(65_537_u32)
    }

    /// Whether `signature` is that of the SHA-256 of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let digest = Sha256::digest(message);
        self.0.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature).is_ok()
    }
}

/// What kind of key this is, where it is of another than RSA.
fn other_kind(spki: &[u8]) -> Option<String> {
    let oid = SubjectPublicKeyInfoRef::from_der(spki).ok()?.algorithm.oid.to_string();
    Some(match oid.as_str() {
        "1.2.840.113549.1.1.1" => return None,
        "1.2.840.113549.1.1.10" => "an RSA key for PSS alone".to_owned(),
        "1.2.840.10045.2.1" => "an elliptic curve key".to_owned(),
        "1.3.101.112" | "1.3.101.113" => "an Ed25519 or Ed448 key".to_owned(),
        _ => format!("a key of the algorithm {oid}"),
    })
}

/// What a PEM file says that it is, for a message about it. Nothing of its content.
fn label(pem: &[u8]) -> String {
    let text = String::from_utf8_lossy(pem.get(..MAX_PEM).unwrap_or(pem));
    let first = text.lines().find_map(|line| line.trim().strip_prefix("-----")?.strip_suffix("-----"));
    let plain = |label: &&str| label.len() < 64 && label.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    match first.filter(plain) {
        Some("BEGIN ENCRYPTED PRIVATE KEY") => "a key with a passphrase".to_owned(),
        Some(label) => label.to_owned(),
        None => format!("{} bytes that are not PEM", pem.len()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_signs_the_same_bytes() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(key.public(), again.public());
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature, again.sign(b"message").unwrap());
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        let public = PublicKey::from_pem(key.public().to_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(&public, key.public());
        assert_eq!(public.to_der().unwrap(), key.public().to_der().unwrap());
        assert!(!format!("{key:?}").contains("pkcs8"));
    }

    #[test]
    fn says_what_was_found_instead_of_a_key_and_nothing_of_its_content() {
        let said = |pem: &[u8]| PrivateKey::from_pem(pem).unwrap_err().to_string();
        assert!(said(b"secret").ends_with("found 6 bytes that are not PEM"), "{}", said(b"secret"));
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(said(encrypted).ends_with("found a key with a passphrase"));
        let public = PrivateKey::generate().unwrap().public().to_pem().unwrap();
        assert!(said(public.as_bytes()).ends_with("found BEGIN PUBLIC KEY"));
        assert!(PublicKey::from_pem(b"\xFF\xFE").is_err());
    }

    #[test]
    fn a_key_that_is_not_rsa_is_called_what_it_is() {
        // `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, its public half.
        let mut spki = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
        spki.extend([0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04]);
        spki.extend([7; 64]);
        let said = PublicKey::from_der(&spki).unwrap_err().to_string();
        assert!(said.ends_with("with an RSA key, found an elliptic curve key"), "{said}");
    }

    #[test]
    fn refuses_a_key_that_is_too_short_for_firmware() {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(PrivateKey::from_pem(pem.as_bytes()).unwrap_err(), KeyError::Size { bits: 1024 });
    }
}
