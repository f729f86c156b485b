//! `openssl enc -CIPHER -salt`, as lbu writes overlays with `ENCRYPTION` set and as the diskless init reads them:
//! `Salted__`, eight bytes of salt, then CBC. Key and vector are made of the passphrase by OpenSSL's EVP_BytesToKey with
//! one round: of SHA-256 since OpenSSL 1.1.0, of MD5 before; with `-pbkdf2` by PBKDF2 with 10,000 rounds of SHA-256. Nothing authenticates the content: whether the passphrase was
//! right is known by what comes out being gzip.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut as _, KeyIvInit as _};
use md5::Md5;
use pbkdf2::pbkdf2_hmac_array;
use sha2::Sha256;

/// What `openssl enc` puts in front of the salt.
pub const MAGIC: &[u8; 8] = b"Salted__";

/// What lbu uses where it is not told otherwise.
pub const DEFAULT_CIPHER: &str = "aes-256-cbc";

/// How gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// AES has blocks of 16 bytes, and so its vectors.
const BLOCK: usize = 16;

/// An overlay that could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// A cipher that is not read here.
    #[error("it is encrypted with {0}, expected aes-128-cbc, aes-192-cbc or aes-256-cbc")]
    Cipher(String),
    /// Another passphrase, or a damaged file.
    #[error(
        "wrong passphrase, a damaged file, or one that was encrypted with other options than lbu's (`-iter`, `-md`)"
    )]
    Passphrase,
    /// Shorter than what comes before the content.
    #[error("it ends before its content begins")]
    Short,
}

/// A supported cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    fn of(name: &str) -> Result<Self, CryptError> {
        match name {
            "aes-128-cbc" | "aes128" => Ok(Self::Aes128),
            "aes-192-cbc" | "aes192" => Ok(Self::Aes192),
            "aes-256-cbc" | "aes256" => Ok(Self::Aes256),
            other => Err(CryptError::Cipher(other.to_owned())),
        }
    }

    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], vector: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        macro_rules! with {
            ($aes:ty) => {
                cbc::Decryptor::<$aes>::new_from_slices(key, vector)
                    .ok()?
                    .decrypt_padded_vec_mut::<Pkcs7>(bytes)
                    .ok()
            };
        }
        match self {
            Self::Aes128 => with!(Aes128),
            Self::Aes192 => with!(Aes192),
            Self::Aes256 => with!(Aes256),
        }
    }
}

/// Finds out whether overlays with this cipher can be read, before anybody is asked for a passphrase.
///
/// # Errors
/// [`CryptError::Cipher`].
pub fn check(cipher: &str) -> Result<(), CryptError> {
    Cipher::of(cipher).map(drop)
}

/// The gzip file that `bytes` are the encryption of.
///
/// # Errors
/// [`CryptError`].
pub fn decrypt(bytes: &[u8], cipher: &str, passphrase: &[u8]) -> Result<Vec<u8>, CryptError> {
    let cipher = Cipher::of(cipher)?;
    let salted = bytes.strip_prefix(MAGIC).ok_or(CryptError::Short)?;
    let (salt, content) = salted.split_at_checked(8).ok_or(CryptError::Short)?;
    let length = cipher.key_length();
    // The cheapest first.
    let derivations: [Derive; 3] = [derive::<Sha256>, derive::<Md5>, derive_slowly];
    for derive in derivations {
        let material = derive(passphrase, salt);
        let (key, rest) = material.split_at(length.min(material.len()));
        let vector = rest.get(..BLOCK).unwrap_or_default();
        let plain = cipher.decrypt(key, vector, content);
        if let Some(plain) = plain.filter(|plain| plain.starts_with(&GZIP)) {
            return Ok(plain);
        }
    }
    Err(CryptError::Passphrase)
}

/// Makes key and vector of a passphrase and a salt.
type Derive = fn(&[u8], &[u8]) -> Vec<u8>;

/// What `openssl enc -pbkdf2` uses where no `-iter` says otherwise.
const ROUNDS: u32 = 10_000;

/// The longest key and a vector.
const MATERIAL: usize = 32 + BLOCK;

fn derive_slowly(passphrase: &[u8], salt: &[u8]) -> Vec<u8> {
    pbkdf2_hmac_array::<Sha256, MATERIAL>(passphrase, salt, ROUNDS).to_vec()
}

/// EVP_BytesToKey with one round: enough for the longest key and a vector.
fn derive<D: md5::Digest>(passphrase: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut material: Vec<u8> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while material.len() < 32 + BLOCK {
        last = D::new().chain_update(&last).chain_update(passphrase).chain_update(salt).finalize().to_vec();
        material.extend(&last);
    }
    material
}
