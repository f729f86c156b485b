//! The policy of a sealed secret: "the owner signed this PCR 11 for an epoch that is not over, the counter was not raised since,
//! and PCR 7 is as it was".
//!
//! ```text
//! PolicyAuthorize   the key signed "PCR 11 has this value" with the qualifier `hoopy:epoch:N`; for epoch 0 with none
//! PolicyOr          N is the secret's epoch, or one of the next seven
//! PolicyNV          the counter has the value that it had at sealing
//! PolicyPCR         PCR 7 has the value that it had at sealing
//! ```
//!
//! The epoch is in the qualifier, and so in the signature: an image says one, and opens what was sealed for it and for some before.
//! What is sealed for a later epoch has no branch for the signature of an older image. Secrets that were sealed before there were
//! epochs ([`crate::seal`]) have neither the second nor the third step.

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use crate::counter::nv_policy;
use crate::device::Command;
use crate::device::{PcrValue, pcr_selection};
use crate::error::TpmError;
use crate::object;

/// The PCR of Secure Boot: whether it is on, PK, KEK, db, dbx, and whose signature started what runs.
pub const SECURE_BOOT_PCR: u32 = 7;

/// The PCR of the image.
pub const IMAGE_PCR: u32 = 11;

pub(crate) const POLICY_AUTHORIZE: Command = Command(0x16A, "TPM2_PolicyAuthorize");
pub(crate) const POLICY_PCR: Command = Command(0x17F, "TPM2_PolicyPCR");
pub(crate) const POLICY_OR: Command = Command(0x171, "TPM2_PolicyOR");

/// How many epochs a secret opens for, its own among them: a `TPM2_PolicyOR` has as many branches.
pub const EPOCHS: u32 = 8;

/// What the signature of an image's policy is qualified by (`policyRef`).
pub fn qualifier(epoch: u32) -> Vec<u8> {
    if epoch == 0 { Vec::new() } else { format!("hoopy:epoch:{epoch}").into_bytes() }
}

/// What shuts older images out, and older copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The earliest epoch of images that the secret opens for.
    pub epoch: u32,
    /// The value of the counter.
    pub counter: u64,
}

impl Bound {
    /// The epochs that it opens for.
    pub fn epochs(&self) -> impl Iterator<Item = u32> + use<> {
        self.epoch..=self.last()
    }

    pub(crate) const fn last(self) -> u32 {
        self.epoch.saturating_add(EPOCHS - 1)
    }
}

/// A `SubjectPublicKeyInfo` of RSA-2048 up to its modulus. All keys of hoopy have this shape, so no parser of DER is needed.
const SPKI_HEAD: [u8; 33] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0F, 0x00, 0x30, 0x82, 0x01, 0x0A, 0x02, 0x82, 0x01, 0x01, 0x00,
];

/// The exponent 65537, behind the modulus.
const SPKI_TAIL: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// The public half of the key that signs policies, as in `.pcrpkey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyKey {
    modulus: Vec<u8>,
}

impl PolicyKey {
    /// Reads a key as PEM.
    ///
    /// # Errors
    /// [`TpmError::PolicyKey`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TpmError> {
        let parse = || {
            let text =
                std::str::from_utf8(pem).ok()?.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
            let body =
                text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
            let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let der = BASE64.decode(&body).ok()?;
            let modulus = der.strip_prefix(&SPKI_HEAD)?.strip_suffix(&SPKI_TAIL)?;
            (modulus.len() == 256).then(|| Self { modulus: modulus.to_vec() })
        };
        parse().ok_or(TpmError::PolicyKey)
    }

    /// What the TPM is given.
    pub(crate) fn public_area(&self) -> Vec<u8> {
        object::policy_key(&self.modulus)
    }

    /// The policy of a secret that opens for what this key signed while PCR 7 has this value, and, if it is bound, while the counter
    /// has its value, for images of its epoch and the next ones.
    pub fn policy(&self, bound: Option<&Bound>, secure_boot: &PcrValue) -> [u8; 32] {
        let authorized = bound.map_or_else(
            || self.authorized(0),
            |bound| {
                let mut any = Sha256::new();
                any.update([0; 32]);
                any.update(POLICY_OR.0.to_be_bytes());
                self.branches(bound).iter().for_each(|branch| any.update(branch));
                nv_policy(&any.finalize().into(), bound.counter)
            },
        );
        pcr_policy(&authorized, SECURE_BOOT_PCR, secure_boot)
    }

    /// What a session has after `TPM2_PolicyAuthorize`, for each epoch that a secret opens for.
    pub(crate) fn branches(&self, bound: &Bound) -> Vec<[u8; 32]> {
        bound.epochs().map(|epoch| self.authorized(epoch)).collect()
    }

    fn authorized(&self, epoch: u32) -> [u8; 32] {
        let mut authorize = Sha256::new();
        // It starts from nothing: what was asserted before is in the signature.
        authorize.update([0; 32]);
        authorize.update(POLICY_AUTHORIZE.0.to_be_bytes());
        authorize.update(object::name(&self.public_area()));
        Sha256::new().chain_update(authorize.finalize()).chain_update(qualifier(epoch)).finalize().into()
    }
}

/// A policy, and that a PCR has a value.
pub(crate) fn pcr_policy(before: &[u8; 32], pcr: u32, value: &PcrValue) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(POLICY_PCR.0.to_be_bytes());
    hasher.update(pcr_selection(pcr));
    hasher.update(Sha256::digest(value));
    hasher.finalize().into()
}

/// An entry of `.pcrsig`: a policy about PCR 11, and its signature. Neither is trusted: the TPM verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPolicy {
    /// The policy's digest.
    pub policy: [u8; 32],
    /// The epoch that it is signed for.
    pub epoch: u32,
    /// RSASSA with SHA-256.
    pub signature: Vec<u8>,
}

impl SignedPolicy {
    /// What is signed: the policy, and its qualifier.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::new().chain_update(self.policy).chain_update(qualifier(self.epoch)).finalize().into()
    }
}
