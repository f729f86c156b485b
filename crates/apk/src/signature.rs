//! Signatures of packages and indexes: RSA, PKCS#1 v1.5, or ECDSA, in a gzip member of its own at the front that holds
//! one file a signature, named `.SIGN.RSA.KEY` (over SHA-1), `.SIGN.RSA256.KEY` or `.SIGN.RSA512.KEY`.
//!
//! In files of apk 3 a signature is a block: a version (0), the digest's algorithm (4: SHA-512), the key's id (the
//! first 16 bytes of the SHA-512 of its PKCS#1 DER, or of a curve's point), then the signature over the SHA-512 of the schema, those 18 bytes and the
//! database's SHA-512 (apk-tools `src/adb.c`).
//!
//! A v2 key is known by its file's name. The first signature whose key is trusted is the one that counts
//! (apk-tools `src/extract_v2.c`).

use std::collections::BTreeMap;
use std::io::Read;

use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

use crate::adb::container::Seal;
use crate::gzip::{Digested, Digests};
use crate::key::{Hash, ID, PublicKey};
use crate::tar::{self, TarError};

/// A signature member holds a few signatures of at most 1 KiB each.
const MAX_SIGNATURES: usize = 16;
const MAX_SIGNATURE: u64 = 8 << 10;

/// What is wrong with a key or a signature.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A key that does not parse.
    #[error("key {name:?}: {reason}")]
    Key {
        /// Its file's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no signature at all.
    #[error("it is not signed")]
    Unsigned,
    /// None of the signatures is by a trusted key.
    #[error(
        "it is signed by {}, and none of that is trusted; trusted: {}{}",
        .signed_by.join(", "), list(.trusted), passed(.passed_over)
    )]
    Untrusted {
        /// The keys that signed it.
        signed_by: Vec<String>,
        /// The keys that are trusted.
        trusted: Vec<String>,
        /// Files beside them that are no keys.
        passed_over: Vec<String>,
    },
    /// A signature of a kind that is not read.
    #[error("its signature by {0} is DSA, which is not supported: ask its publisher for an RSA one")]
    Dsa(String),
    /// A trusted key did not sign these bytes.
    #[error("the signature by {0} does not fit: the file was changed after it was signed, or damaged")]
    Wrong(String),
    /// The signature member is not what it should be.
    #[error("its signature member: {0}")]
    Member(#[from] TarError),
    /// More signatures, or larger ones, than there are.
    #[error("its signature member holds too much")]
    TooMuch,
}

fn list(keys: &[String]) -> String {
    if keys.is_empty() { "no key".to_owned() } else { keys.join(", ") }
}

fn passed(files: &[String]) -> String {
    if files.is_empty() { String::new() } else { format!("; no keys: {}", files.join(", ")) }
}

/// Something whose signature was checked. There is no other way to make one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// What was verified.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// The trusted keys, by file name.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, PublicKey>,
    /// Files among the keys that are none, with what they are.
    passed_over: Vec<String>,
}

/// What a signature of apk 3 begins with: version 0, SHA-512.
const SEALED: [u8; 2] = [0, 4];

impl KeyRing {
    /// Trusts the public key `pem`, known as `name`.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when the name is a path, or there is no key of a usable kind and size in it.
    pub fn add(&mut self, name: &str, pem: &[u8]) -> Result<(), SignatureError> {
        let bad = |reason: String| SignatureError::Key { name: name.to_owned(), reason };
        if name.is_empty() || name.contains('/') {
            return Err(bad("a key is known by a file name, not a path".to_owned()));
        }
        self.keys.insert(name.to_owned(), PublicKey::from_pem(pem).map_err(bad)?);
        Ok(())
    }

    /// Notes a file among the keys that is none: it matters only where something is signed by it.
    pub fn pass_over(&mut self, name: &str, reason: &str) {
        self.passed_over.push(format!("{name} ({reason})"));
    }

    /// Whether no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks `signatures` against the digests of what they sign, and hands `value` out as verified.
    ///
    /// # Errors
    /// [`SignatureError`] when no trusted key made one, or the first trusted one does not fit.
    pub fn verify<T>(
        &self,
        signatures: &[Signature],
        over: &Digested,
        value: T,
    ) -> Result<Verified<T>, SignatureError> {
        let Some((signature, key)) = signatures.iter().find_map(|s| Some((s, self.keys.get(&s.key)?))) else {
            return Err(self.untrusted(signatures));
        };
        let digest: &[u8] = match signature.hash {
            Hash::Sha1 => &over.sha1,
            Hash::Sha256 => &over.sha256,
            Hash::Sha512 => &over.sha512,
            Hash::Dsa => return Err(SignatureError::Dsa(signature.key.clone())),
        };
        let fits = key.made(&signature.bytes, signature.hash, digest);
        if fits { Ok(Verified(value)) } else { Err(SignatureError::Wrong(signature.key.clone())) }
    }

    /// Checks the signatures of a file of apk 3, and hands `value` out as verified. One good signature is enough.
    ///
    /// # Errors
    /// [`SignatureError`] when no trusted key made one.
    pub(crate) fn verify_seal<T>(&self, seal: &Seal, value: T) -> Result<Verified<T>, SignatureError> {
        let mut wrong = None;
        let mut signed_by = Vec::new();
        for signature in &seal.signatures {
            let Some((head, bytes)) = signature.split_at_checked(SEALED.len() + ID) else { continue };
            let Some(id) = head.strip_prefix(&SEALED) else { continue };
            let Some((name, trusted)) = self.keys.iter().find(|(_, k)| k.id == *id) else {
                signed_by.push(data_encoding::HEXLOWER.encode(id));
                continue;
            };
            let over = Sha512::new().chain_update(seal.schema).chain_update(head).chain_update(seal.sha512);
            if trusted.made(bytes, Hash::Sha512, &over.finalize()) {
                return Ok(Verified(value));
            }
            wrong = Some(SignatureError::Wrong(name.clone()));
        }
        if seal.signatures.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        if signed_by.is_empty() {
            signed_by.push("a signature of an unknown kind".to_owned());
        }
        Err(wrong.unwrap_or_else(|| self.by_others(signed_by)))
    }

    fn untrusted(&self, signatures: &[Signature]) -> SignatureError {
        if signatures.is_empty() {
            return SignatureError::Unsigned;
        }
        self.by_others(signatures.iter().map(|s| s.key.clone()).collect())
    }

    fn by_others(&self, signed_by: Vec<String>) -> SignatureError {
        let trusted = self.keys.keys().cloned().collect();
        SignatureError::Untrusted { signed_by, trusted, passed_over: self.passed_over.clone() }
    }
}

/// One signature: not yet checked.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The file name of the key.
    pub key: String,
    /// What it is over.
    pub hash: Hash,
    bytes: Vec<u8>,
}

/// The digests that these signatures are over, and no others.
pub(crate) fn digests(signatures: &[Signature]) -> Digests {
    let has = |hash| signatures.iter().any(|signature| signature.hash == hash);
    Digests::of(has(Hash::Sha1), has(Hash::Sha256), has(Hash::Sha512))
}

/// Whether a member that begins with this file is a signature member.
pub fn is_signature(path: &[u8]) -> bool {
    path.starts_with(b".SIGN.")
}

/// Reads the signatures of a member whose first entry has been read.
pub(crate) fn read<R: Read>(
    first: tar::Entry,
    reader: &mut tar::Reader<R>,
) -> Result<Vec<Signature>, SignatureError> {
    let mut signatures = Vec::new();
    let mut next = Some(first);
    while let Some(entry) = next {
        if signatures.len() >= MAX_SIGNATURES {
            return Err(SignatureError::TooMuch);
        }
        signatures.extend(one(&entry, reader)?);
        next = reader.next()?;
    }
    Ok(signatures)
}

/// A signature of a kind nobody knows yet is passed over, as apk does.
fn one<R: Read>(
    entry: &tar::Entry,
    reader: &mut tar::Reader<R>,
) -> Result<Option<Signature>, SignatureError> {
    let tar::Kind::File(size) = entry.kind else { return Ok(None) };
    let name = String::from_utf8_lossy(&entry.path);
    let kinds = [
        (".SIGN.RSA.", Hash::Sha1),
        (".SIGN.RSA256.", Hash::Sha256),
        (".SIGN.RSA512.", Hash::Sha512),
        (".SIGN.DSA.", Hash::Dsa),
    ];
    let Some((key, hash)) = kinds.iter().find_map(|(prefix, hash)| Some((name.strip_prefix(prefix)?, *hash)))
    else {
        return Ok(None);
    };
    if size > MAX_SIGNATURE {
        return Err(SignatureError::TooMuch);
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(TarError::from)?;
    Ok(Some(Signature { key: key.to_owned(), hash, bytes }))
}

/// A private key to sign with.
#[derive(Debug, Clone)]
pub struct SigningKey {
    name: String,
    key: RsaPrivateKey,
}

impl SigningKey {
    /// Takes the private key `pem` (PKCS#1 or PKCS#8); `name` is the file name of its public key.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, SignatureError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem).or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem));
        let key = key.map_err(|e| SignatureError::Key { name: name.to_owned(), reason: e.to_string() })?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Makes a new key of this many bits.
    ///
    /// # Errors
    /// [`SignatureError::Key`] for sizes that cannot be.
    pub fn generate(name: &str, bits: usize) -> Result<Self, SignatureError> {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits);
        let key = key.map_err(|e| SignatureError::Key { name: name.to_owned(), reason: e.to_string() })?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The public key's file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The private key, PKCS#1 in PEM.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when it cannot be encoded.
    pub fn private_pem(&self) -> Result<String, SignatureError> {
        let pem = self.key.to_pkcs1_pem(LineEnding::LF).map_err(|e| self.bad(&e))?;
        Ok(pem.to_string())
    }

    /// The public key in PEM, as `/etc/apk/keys` holds it.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when it cannot be encoded.
    pub fn public_pem(&self) -> Result<String, SignatureError> {
        self.key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|e| self.bad(&e))
    }

    /// The signature member over what has these digests: `.SIGN.RSA.`, which every apk reads.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when the key cannot sign.
    pub fn member(&self, over: &Digested) -> Result<Vec<u8>, SignatureError> {
        let bytes = self.key.sign(Pkcs1v15Sign::new::<Sha1>(), &over.sha1).map_err(|e| self.bad(&e))?;
        let entry = tar::Entry::file(format!(".SIGN.RSA.{}", self.name).as_bytes(), bytes.len() as u64);
        crate::package::member::control_member(&[(entry, &bytes)]).map_err(|e| self.bad(&e))
    }

    fn bad(&self, e: &dyn std::fmt::Display) -> SignatureError {
        SignatureError::Key { name: self.name.clone(), reason: e.to_string() }
    }
}
