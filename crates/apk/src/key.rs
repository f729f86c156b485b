//! Public keys as `/etc/apk/keys` holds them: RSA and elliptic curves, in PEM.
//!
//! What apk reads is read: text before and after the block, blank lines, either line end, RSA keys as PKCS#1
//! (`RSA PUBLIC KEY`) as well as in an envelope that says what they are (`PUBLIC KEY`, RFC 5280).

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rsa::RsaPublicKey;
use rsa::pkcs1::{DecodeRsaPublicKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// Keys under 1024 bits can be broken, those over 8192 only cost time.
const BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

/// Bytes of a key's id.
pub(crate) const ID: usize = 16;

/// What a signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// `.SIGN.RSA.`
    Sha1,
    /// `.SIGN.RSA256.`
    Sha256,
    /// `.SIGN.RSA512.`
    Sha512,
    /// `.SIGN.DSA.`, which is recognised and refused.
    Dsa,
}

/// A public key.
#[derive(Debug, Clone)]
pub(crate) struct PublicKey {
    key: Key,
    /// What signatures of apk 3 name it by.
    pub id: [u8; ID],
}

#[derive(Debug, Clone)]
enum Key {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::PublicKey),
}

impl PublicKey {
    /// The key in this file.
    ///
    /// # Errors
    /// What it is instead, in words.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let (label, der) = block(pem)?;
        let key = match label {
            PKCS1 => RsaPublicKey::from_pkcs1_der(&der).map(Key::Rsa).map_err(|e| e.to_string())?,
            _ => Key::from_envelope(&der)?,
        };
        let named_by = key.named_by()?;
        let digest: [u8; 64] = Sha512::digest(named_by).into();
        let mut id = [0; ID];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(Self { key, id })
    }

    /// Whether `signature` is this key's over what has this digest.
    pub fn made(&self, signature: &[u8], hash: Hash, digest: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(key) => key.verify(padding(hash), digest, signature).is_ok(),
            Key::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|s| key.verify_prehash(&widened::<32>(digest), &s).is_ok()),
            Key::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|s| key.verify_prehash(&widened::<48>(digest), &s).is_ok()),
            Key::P521(key) => {
                let key = p521::ecdsa::VerifyingKey::from_affine(*key.as_affine());
                let signature = p521::ecdsa::Signature::from_der(signature);
                key.is_ok_and(|key| {
                    signature.is_ok_and(|s| key.verify_prehash(&widened::<66>(digest), &s).is_ok())
                })
            }
        }
    }
}

impl Key {
    /// A key in an envelope that says its kind.
    fn from_envelope(der: &[u8]) -> Result<Self, String> {
        if let Ok(key) = RsaPublicKey::from_public_key_der(der) {
            return Ok(Self::Rsa(key));
        }
        let p256 = || p256::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::P256);
        let p384 = || p384::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::P384);
        let p521 = || p521::PublicKey::from_public_key_der(der).ok().map(Self::P521);
        p256()
            .or_else(p384)
            .or_else(p521)
            .ok_or_else(|| "neither an RSA key nor one on the curves P-256, P-384 or P-521".to_owned())
    }

    /// What a key's id is the digest of: PKCS#1, or the point of a curve.
    fn named_by(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Rsa(key) => {
                let bits = key.n().bits();
                if !BITS.contains(&bits) {
                    return Err(format!("{bits} bits: keys of 1024 to 8192 bits are taken"));
                }
                Ok(key.to_pkcs1_der().map_err(|e| e.to_string())?.as_bytes().to_vec())
            }
            Self::P256(key) => Ok(key.to_encoded_point(false).as_bytes().to_vec()),
            Self::P384(key) => Ok(key.to_encoded_point(false).as_bytes().to_vec()),
            Self::P521(key) => Ok(key.to_encoded_point(false).as_bytes().to_vec()),
        }
    }
}

fn padding(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        Hash::Sha1 | Hash::Dsa => Pkcs1v15Sign::new::<Sha1>(),
    }
}

/// A digest that is shorter than the curve's numbers, as the same number in their width (SEC 1, 4.1.3).
fn widened<const WIDTH: usize>(digest: &[u8]) -> Vec<u8> {
    let mut wide = vec![0; WIDTH.saturating_sub(digest.len())];
    wide.extend(digest);
    wide
}

/// The labels of blocks with a key.
const PKCS1: &str = "RSA PUBLIC KEY";
const ENVELOPE: &str = "PUBLIC KEY";

/// The first block with a public key: its label, and what it holds.
fn block(pem: &[u8]) -> Result<(&'static str, Vec<u8>), String> {
    let text = String::from_utf8_lossy(pem);
    let found = [PKCS1, ENVELOPE].into_iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (inside, _) = rest.split_once(&format!("-----END {label}-----"))?;
        Some((label, inside))
    });
    let Some((label, inside)) = found else {
        let private = text.contains("PRIVATE KEY-----");
        return Err(if private { "a private key" } else { "no public key in PEM" }.to_owned());
    };
    let digits: Vec<u8> = inside.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = data_encoding::BASE64.decode(&digits).map_err(|e| format!("not base64: {e}"))?;
    Ok((label, der))
}
