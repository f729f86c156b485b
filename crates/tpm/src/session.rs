//! A session that only the TPM and this program know the key of: what it carries is encrypted, and its answers authenticate.
//!
//! ```text
//! salt        ECDH of a key made for this session with the storage key
//! key         KDFa(salt, "ATH", nonces)
//! a command   first parameter: AES-128-CFB with KDFa(key, "CFB", nonces); all of it: HMAC(key, ...)
//! ```
//!
//! Source: TCG, "TPM 2.0 Library", Part 1, 11.4.10 (key derivation), 19.6 (salted sessions), 21 (parameter encryption).

use std::io::{Read, Write};

use aes::Aes128;
use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use p256::elliptic_curve::sec1::{FromEncodedPoint as _, ToEncodedPoint as _};
use p256::{EncodedPoint, PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::device::{ALG_SHA256, Command, Tpm};
use crate::error::TpmError;
use crate::object;
use crate::wire::{Put as _, Take};

const START_AUTH_SESSION: Command = Command(0x176, "TPM2_StartAuthSession");
const HANDLE_NULL: u32 = 0x4000_0007;

/// Attribute of a session: the command's first parameter is encrypted.
const DECRYPT: u8 = 0x20;

/// The answer's first parameter is encrypted.
const ENCRYPT: u8 = 0x40;

type Key = Zeroizing<[u8; 32]>;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Authorizes with the empty password of an object, and encrypts what goes to the TPM.
    Send = 0,
    /// Authorizes by a policy, and encrypts what comes from the TPM.
    PolicyReceive = 1,
}

/// A session. It ends with the one command that it authorizes.
pub struct Session {
    pub handle: u32,
    kind: Kind,
    key: Key,
    nonce_tpm: [u8; 32],
}

impl Session {
    /// Starts one that is salted to the storage key with this handle and public area.
    pub fn start<S: Read + Write>(
        tpm: &mut Tpm<S>,
        kind: Kind,
        parent: u32,
        area: &[u8],
    ) -> Result<Self, TpmError> {
        let (salt, point) = salt(area)?;
        let nonce: [u8; 32] = *random()?;
        let mut body = Vec::new();
        body.u32(parent);
        body.u32(HANDLE_NULL);
        body.sized(&nonce);
        body.sized(&point);
        body.u8(kind as u8);
        object::put_aes(&mut body);
        body.u16(ALG_SHA256);
        let answer = tpm.plain(START_AUTH_SESSION, &body)?;
        let mut take = Take::new(&answer);
        let handle = take.u32()?;
        let nonce_tpm = nonce_of(&mut take)?;
        take.end()?;
        let key = kdf_a(&*salt, "ATH", &nonce_tpm, &nonce);
        Ok(Self { handle, kind, key, nonce_tpm })
    }

    /// Runs the command on an object, named as its public area says, with the session as its authorization. The first
    /// parameter, or the answer's, is a sized buffer, and is encrypted on its way.
    pub fn run<S: Read + Write>(
        self,
        tpm: &mut Tpm<S>,
        command: Command,
        (on, name): (u32, &[u8]),
        mut parameters: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let nonce: [u8; 32] = *random()?;
        let attributes = if self.kind == Kind::Send { DECRYPT } else { ENCRYPT };
        if self.kind == Kind::Send {
            self.crypt(&mut parameters, &nonce, &self.nonce_tpm, cfb_encrypt)?;
        }
        let command_code = command.0.to_be_bytes();
        let digest =
            Sha256::new().chain_update(command_code).chain_update(name).chain_update(&*parameters).finalize();
        let tag = self.hmac(&digest, &nonce, &self.nonce_tpm, attributes).finalize().into_bytes();
        let mut authorization = Vec::new();
        authorization.u32(self.handle);
        authorization.sized(&nonce);
        authorization.u8(attributes);
        authorization.sized(&tag);
        let (_, mut answer, proof) = tpm.authorized(command, &[on], &authorization, &parameters, 0)?;
        let nonce_tpm = self.verify(command_code, &answer, &proof, &nonce)?;
        if self.kind == Kind::PolicyReceive {
            self.crypt(&mut answer, &nonce_tpm, &nonce, cfb_decrypt)?;
        }
        Ok(answer)
    }

    /// Whether the answer is the TPM's. Gives its new nonce.
    fn verify(
        &self,
        command: [u8; 4],
        answer: &[u8],
        proof: &[u8],
        nonce: &[u8; 32],
    ) -> Result<[u8; 32], TpmError> {
        let mut take = Take::new(proof);
        let nonce_tpm = nonce_of(&mut take)?;
        let attributes = take.u8()?;
        let tag = take.sized(32)?;
        take.end()?;
        // The response code is zero: others come without an authorization.
        let digest = Sha256::new().chain_update([0; 4]).chain_update(command).chain_update(answer).finalize();
        self.hmac(&digest, &nonce_tpm, nonce, attributes).verify_slice(tag).map_err(|_| TpmError::Forged)?;
        Ok(nonce_tpm)
    }

    fn hmac(&self, digest: &[u8], newer: &[u8; 32], older: &[u8; 32], attributes: u8) -> Hmac<Sha256> {
        hmac(&*self.key)
            .chain_update(digest)
            .chain_update(newer)
            .chain_update(older)
            .chain_update([attributes])
    }

    /// Encrypts or decrypts the sized buffer at the beginning.
    fn crypt(
        &self,
        parameters: &mut [u8],
        newer: &[u8; 32],
        older: &[u8; 32],
        mode: fn(&Aes128, [u8; 16], &mut [u8]),
    ) -> Result<(), TpmError> {
        let size = usize::from(Take::new(parameters).u16()?);
        let buffer = parameters.get_mut(2..2 + size).ok_or(TpmError::Malformed("it ends too early"))?;
        let derived = kdf_a(&*self.key, "CFB", newer, older);
        let (key, first) = derived.split_at(16);
        let mut register = [0; 16];
        register.copy_from_slice(first);
        mode(&Aes128::new(key.into()), register, buffer);
        Ok(())
    }
}

/// A nonce of the TPM: as long as ours.
fn nonce_of(take: &mut Take<'_>) -> Result<[u8; 32], TpmError> {
    take.sized(32)?.try_into().map_err(|_| TpmError::Malformed("a nonce of the wrong size"))
}

/// A salt, and what tells it to the owner of the storage key (`TPMS_ECC_POINT`).
fn salt(area: &[u8]) -> Result<(Key, Vec<u8>), TpmError> {
    let (x, y) = object::storage_point(area)?;
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let theirs = Option::<PublicKey>::from(PublicKey::from_encoded_point(&point))
        .ok_or(TpmError::Malformed("the storage key is not on its curve"))?;
    let ours = secret_key()?;
    let shared = p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());
    let public = ours.public_key().to_encoded_point(false);
    let (Some(our_x), Some(our_y)) = (public.x(), public.y()) else {
        return Err(TpmError::Malformed("a key without a point"));
    };
    // KDFe: one block is as long as the salt.
    let hasher = Sha256::new().chain_update(1_u32.to_be_bytes()).chain_update(shared.raw_secret_bytes());
    let salt = hasher.chain_update(b"SECRET\0").chain_update(our_x).chain_update(x).finalize();
    let mut told = Vec::new();
    told.sized(our_x);
    told.sized(our_y);
    Ok((Zeroizing::new(salt.into()), told))
}

fn secret_key() -> Result<SecretKey, TpmError> {
    // One in 2^32 draws is not below the order of the curve.
    for _ in 0..8 {
        if let Ok(key) = SecretKey::from_slice(&*random()?) {
            return Ok(key);
        }
    }
    Err(TpmError::Random("none of them was a key".to_owned()))
}

fn random() -> Result<Key, TpmError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|e| TpmError::Random(e.to_string()))?;
    Ok(bytes)
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    match <Hmac<Sha256> as hmac::Mac>::new_from_slice(key) {
        Ok(hmac) => hmac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

/// 256 bits: one block of HMAC-SHA256.
fn kdf_a(key: &[u8], label: &str, u: &[u8; 32], v: &[u8; 32]) -> Key {
    let hmac = hmac(key).chain_update(1_u32.to_be_bytes()).chain_update(label).chain_update([0]);
    let block = hmac.chain_update(u).chain_update(v).chain_update(256_u32.to_be_bytes()).finalize();
    Zeroizing::new(block.into_bytes().into())
}

fn cfb_encrypt(cipher: &Aes128, mut register: [u8; 16], data: &mut [u8]) {
    for chunk in data.chunks_mut(16) {
        cipher.encrypt_block((&mut register).into());
        chunk.iter_mut().zip(&mut register).for_each(|(byte, key)| {
            *byte ^= *key;
            *key = *byte;
        });
    }
}

fn cfb_decrypt(cipher: &Aes128, mut register: [u8; 16], data: &mut [u8]) {
    for chunk in data.chunks_mut(16) {
        cipher.encrypt_block((&mut register).into());
        chunk.iter_mut().zip(&mut register).for_each(|(byte, key)| {
            let encrypted = *byte;
            *byte ^= *key;
            *key = encrypted;
        });
    }
}
