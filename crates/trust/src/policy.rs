//! Signed policies: which value of PCR 11 may open what is sealed under a public key.
//!
//! ```text
//! .pcrpkey  the public key, PEM
//! .pcrsig   JSON: for the PCR bank, a list of { pcrs, pkfp: key, pol: policy, sig: signature of the policy }
//! policy    SHA-256(0 | TPM2_PolicyPCR | selection of PCR 11 | SHA-256(value))
//! ```
//!
//! The TPM seals under the key and not under a value, so the next image opens it as well, if the key's owner has signed
//! for its value. The stub puts both sections where the machine finds them; neither has to be trusted.
//!
//! Source of the formats: systemd `systemd-measure(1)`, `tpm2-util.c`; TCG, "TPM 2.0 Library", Part 3 (`TPM2_PolicyPCR`,
//! `TPM2_PolicyAuthorize`).

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::key::PublicKey;
use crate::measure::{PCR, PcrValue};
use crate::signer::{Signer, SignerError, sign};

/// `TPM2_CC_PolicyPCR`
const POLICY_PCR: u32 = 0x17F;

/// `TPM2_ALG_SHA256`
const SHA256: u16 = 0x000B;

/// The most bytes of a `.pcrsig` that are read: one signature has 0.6 kB.
pub const MAX_SIZE: usize = 64 << 10;

/// The digest of a policy, as a TPM computes it.
pub type PolicyDigest = [u8; 32];

/// The policy "PCR 11 has this value".
pub fn pcr_policy(value: &PcrValue) -> PolicyDigest {
    let mut hasher = Sha256::new();
    hasher.update([0; 32]);
    hasher.update(POLICY_PCR.to_be_bytes());
    // One selection: the bank, and three bytes of bits.
    hasher.update(1_u32.to_be_bytes());
    hasher.update(SHA256.to_be_bytes());
    hasher.update([3]);
    hasher.update((1_u32 << PCR).to_le_bytes().get(..3).unwrap_or_default());
    hasher.update(Sha256::digest(value.as_bytes()));
    hasher.finalize().into()
}

/// The section `.pcrsig`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySignatures {
    /// Those for the bank of SHA-256, the only one that is used.
    #[serde(default)]
    pub sha256: Vec<PolicySignature>,
}

/// A policy with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySignature {
    /// The PCRs that it is about.
    pub pcrs: Vec<u32>,
    /// [`PublicKey::fingerprint`] of the key.
    pub pkfp: String,
    /// The policy, in hexadecimal.
    pub pol: String,
    /// The signature, in Base64.
    pub sig: String,
}

/// A `.pcrsig` that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Too much.
    #[error("a .pcrsig section of {0} bytes: at most {MAX_SIZE} are read")]
    TooLarge(usize),
    /// Not what it should be.
    #[error("the .pcrsig section is not JSON as systemd has it: {0}")]
    Json(#[from] serde_json::Error),
}

impl PolicySignatures {
    /// Signs the policy that PCR 11 has this value.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn of(value: &PcrValue, signer: &dyn Signer) -> Result<Self, SignerError> {
        let policy = pcr_policy(value);
        let signature = PolicySignature {
            pcrs: vec![PCR],
            pkfp: signer.public().fingerprint(),
            pol: HEXLOWER.encode(&policy),
            sig: BASE64.encode(&sign(signer, &policy)?),
        };
        Ok(Self { sha256: vec![signature] })
    }

    /// Reads the section. Some tools end it with NULs.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(data: &[u8]) -> Result<Self, PolicyError> {
        if data.len() > MAX_SIZE {
            return Err(PolicyError::TooLarge(data.len()));
        }
        let end = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Ok(serde_json::from_slice(data.get(..end).unwrap_or_default())?)
    }

    /// The section's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Lists of texts and numbers: nothing that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether `key` has signed the policy that PCR 11 has this value.
    pub fn allows(&self, value: &PcrValue, key: &PublicKey) -> bool {
        let policy = pcr_policy(value);
        let (pol, pkfp) = (HEXLOWER.encode(&policy), key.fingerprint());
        self.sha256.iter().any(|one| {
            let signature = BASE64.decode(one.sig.as_bytes());
            one.pcrs == [PCR]
                && one.pol == pol
                && one.pkfp == pkfp
                && signature.is_ok_and(|signature| key.verifies(&policy, &signature))
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::key::PrivateKey;

    #[test]
    fn a_signed_value_is_allowed_under_its_key_and_no_other() {
        let [key, other] = [PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap()];
        let value = PcrValue::ZERO.measured(b"image");
        let signed = PolicySignatures::of(&value, &key).unwrap();
        assert!(signed.allows(&value, key.public()));
        assert!(!signed.allows(&value, other.public()));
        assert!(!signed.allows(&value.measured(b"later"), key.public()));
        let mut padded = signed.to_bytes();
        padded.extend([0; 7]);
        assert_eq!(PolicySignatures::parse(&padded).unwrap(), signed);
        let mut moved = signed.clone();
        moved.sha256[0].pcrs = vec![7];
        assert!(!moved.allows(&value, key.public()));
        let mut renamed = signed;
        renamed.sha256[0].pkfp = other.public().fingerprint();
        assert!(!renamed.allows(&value, other.public()));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert!(matches!(PolicySignatures::parse(b"{"), Err(PolicyError::Json(_))));
        assert!(matches!(PolicySignatures::parse(&[b' '; MAX_SIZE + 1]), Err(PolicyError::TooLarge(_))));
        assert_eq!(PolicySignatures::parse(b"{}").unwrap(), PolicySignatures::default());
    }
}
