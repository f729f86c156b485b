//! Signed policies: which value of PCR 11 may open what is sealed under a public key.
//!
//! ```text
//! .pcrpkey  the public key, PEM
//! .pcrsig   JSON: for the PCR bank, a list of { pcrs, pkfp: key, pol: policy, sig: signature of the policy }
//! policy    SHA-256(0 | TPM2_PolicyPCR | selection of PCR 11 | SHA-256(value))
//! ```
//!
//! An image of an epoch has a second signature, in a list of its own where systemd's tools do not look: of the policy and the
//! epoch (`policyRef`). What a TPM has sealed for an epoch opens with nothing else.
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
    /// Those of an epoch, for the same bank.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hoopy: Vec<EpochSignature>,
}

/// A policy with its signature, for an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSignature {
    /// The epoch.
    pub epoch: u32,
    /// The rest.
    #[serde(flatten)]
    pub signature: PolicySignature,
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
    /// Signs the policy that PCR 11 has this value, for an image of an epoch; 0 is none.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn of(value: &PcrValue, epoch: u32, signer: &dyn Signer) -> Result<Self, SignerError> {
        let policy = pcr_policy(value);
        let signature = |epoch| {
            Ok::<_, SignerError>(PolicySignature {
                pcrs: vec![PCR],
                pkfp: signer.public().fingerprint(),
                pol: HEXLOWER.encode(&policy),
                sig: BASE64.encode(&sign(signer, &message(&policy, epoch))?),
            })
        };
        let hoopy = match epoch {
            0 => Vec::new(),
            _ => vec![EpochSignature { epoch, signature: signature(epoch)? }],
        };
        Ok(Self { sha256: vec![signature(0)?], hoopy })
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

    /// Whether `key` has signed the policy that PCR 11 has this value, for an image of an epoch; 0 is none.
    pub fn allows(&self, value: &PcrValue, epoch: u32, key: &PublicKey) -> bool {
        let policy = pcr_policy(value);
        let (pol, pkfp) = (HEXLOWER.encode(&policy), key.fingerprint());
        let verifies = |one: &PolicySignature, epoch| {
            let signature = BASE64.decode(one.sig.as_bytes());
            one.pcrs == [PCR]
                && one.pol == pol
                && one.pkfp == pkfp
                && signature.is_ok_and(|signature| key.verifies(&message(&policy, epoch), &signature))
        };
        let of_epoch = |one: &EpochSignature| one.epoch == epoch && verifies(&one.signature, epoch);
        self.sha256.iter().any(|one| verifies(one, 0)) && (epoch == 0 || self.hoopy.iter().any(of_epoch))
    }
}

/// What is signed: the policy, and what it is qualified by, as crate `tpm` has it.
fn message(policy: &PolicyDigest, epoch: u32) -> Vec<u8> {
    let mut message = policy.to_vec();
    if epoch != 0 {
        message.extend_from_slice(format!("hoopy:epoch:{epoch}").as_bytes());
    }
    message
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
        let signed = PolicySignatures::of(&value, 0, &key).unwrap();
        assert!(signed.allows(&value, 0, key.public()));
        assert!(!signed.allows(&value, 0, other.public()));
        assert!(!signed.allows(&value.measured(b"later"), 0, key.public()));
        let mut padded = signed.to_bytes();
        padded.extend([0; 7]);
        assert_eq!(PolicySignatures::parse(&padded).unwrap(), signed);
        let mut moved = signed.clone();
        moved.sha256[0].pcrs = vec![7];
        assert!(!moved.allows(&value, 0, key.public()));
        let mut renamed = signed;
        renamed.sha256[0].pkfp = other.public().fingerprint();
        assert!(!renamed.allows(&value, 0, other.public()));
    }

    #[test]
    fn an_epoch_is_signed_for_itself_alone_and_beside_what_others_read() {
        let key = PrivateKey::generate().unwrap();
        let value = PcrValue::ZERO.measured(b"image");
        let signed = PolicySignatures::of(&value, 2, &key).unwrap();
        let read = PolicySignatures::parse(&signed.to_bytes()).unwrap();
        assert_eq!(read, signed);
        assert!(read.allows(&value, 2, key.public()) && read.allows(&value, 0, key.public()));
        assert!(!read.allows(&value, 1, key.public()) && !read.allows(&value, 3, key.public()));
        let mut renumbered = read.clone();
        renumbered.hoopy[0].epoch = 3;
        assert!(!renumbered.allows(&value, 3, key.public()));
        assert_eq!(read.sha256, PolicySignatures::of(&value, 0, &key).unwrap().sha256);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert!(matches!(PolicySignatures::parse(b"{"), Err(PolicyError::Json(_))));
        assert!(matches!(PolicySignatures::parse(&[b' '; MAX_SIZE + 1]), Err(PolicyError::TooLarge(_))));
        assert_eq!(PolicySignatures::parse(b"{}").unwrap(), PolicySignatures::default());
    }
}
