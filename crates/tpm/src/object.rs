//! The three public areas that are used (`TPMT_PUBLIC`), and names of objects.
//!
//! What sealed secrets depend on may not change: another storage key, or other attributes of the policy key, and none opens
//! any more.

use sha2::{Digest as _, Sha256};

use crate::device::{ALG_NULL, ALG_SHA256};
use crate::error::TpmError;
use crate::wire::{Put as _, Take};

const TYPE_RSA: u16 = 0x0001;
const TYPE_KEYED_HASH: u16 = 0x0008;
const TYPE_ECC: u16 = 0x0023;
const ALG_AES: u16 = 0x0006;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, decrypt.
const STORAGE_ATTRIBUTES: u32 = 0x0003_0472;

/// fixedTPM, fixedParent, adminWithPolicy, noDA: opened by its policy, never by a password.
const SEALED_ATTRIBUTES: u32 = 0x0000_0492;

/// userWithAuth, sign: what a key that verifies must have.
const POLICY_KEY_ATTRIBUTES: u32 = 0x0004_0040;

/// Written out: zero means the same exponent, and makes another name.
const EXPONENT: u32 = 65_537;

/// The most bytes of a public area that is taken.
pub const MAX_PUBLIC: usize = 512;

/// AES-128 in CFB mode (`TPMT_SYM_DEF`).
pub fn put_aes(to: &mut Vec<u8>) {
    to.u16(ALG_AES);
    to.u16(128);
    to.u16(ALG_CFB);
}

/// The template of the storage key: the TPM makes the same key of it until it is cleared.
pub fn storage_key() -> Vec<u8> {
    let mut area = head(TYPE_ECC, STORAGE_ATTRIBUTES, &[]);
    put_aes(&mut area);
    area.u16(ALG_NULL);
    area.u16(CURVE_P256);
    area.u16(ALG_NULL);
    area.sized(&[]);
    area.sized(&[]);
    area
}

/// The coordinates of a storage key that the TPM made of the template.
pub fn storage_point(area: &[u8]) -> Result<([u8; 32], [u8; 32]), TpmError> {
    let template = storage_key();
    let mut take = Take::new(area);
    // All but the two empty coordinates.
    let fixed = template.get(..template.len() - 4).unwrap_or_default();
    if take.bytes(fixed.len())? != fixed {
        return Err(TpmError::Malformed("the storage key is not as it was asked for"));
    }
    let mut coordinate = || {
        let bytes = take.sized(32)?;
        let mut padded = [0; 32];
        padded.get_mut(32 - bytes.len()..).unwrap_or_default().copy_from_slice(bytes);
        Ok::<_, TpmError>(padded)
    };
    let point = (coordinate()?, coordinate()?);
    take.end()?;
    Ok(point)
}

/// The template of a sealed secret.
pub fn sealed(policy: &[u8; 32]) -> Vec<u8> {
    let mut area = head(TYPE_KEYED_HASH, SEALED_ATTRIBUTES, policy);
    area.u16(ALG_NULL);
    area.sized(&[]);
    area
}

/// The public area of a policy key.
pub fn policy_key(modulus: &[u8]) -> Vec<u8> {
    let mut area = head(TYPE_RSA, POLICY_KEY_ATTRIBUTES, &[]);
    area.u16(ALG_NULL);
    area.u16(ALG_NULL);
    area.u16(2048);
    area.u32(EXPONENT);
    area.sized(modulus);
    area
}

fn head(kind: u16, attributes: u32, policy: &[u8]) -> Vec<u8> {
    let mut area = Vec::with_capacity(MAX_PUBLIC);
    area.u16(kind);
    area.u16(ALG_SHA256);
    area.u32(attributes);
    area.sized(policy);
    area
}

/// The name of an object: what commands and policies mean it by.
pub fn name(area: &[u8]) -> Vec<u8> {
    let mut name = ALG_SHA256.to_be_bytes().to_vec();
    name.extend(Sha256::digest(area));
    name
}
