//! Whether the signatures of an image are valid, and what a TPM will measure of it.

use hoopy_boot::os_release::OsRelease;
use hoopy_trust::authenticode::{Scan, verify};
use hoopy_trust::key::PublicKey;
use hoopy_trust::measure::{PcrValue, predict};
use hoopy_trust::policy::{MAX_SIZE, PolicySignatures};
use hoopy_uki::Section;
use serde::Serialize;

use super::Image;

/// A signature that firmware checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// In bytes.
    pub size: u64,
    /// Whom the signer's certificate is for.
    pub signer: Option<String>,
    /// Why it does not count; absent where it is of this program, and made with the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a TPM will have measured into PCR 11 when the image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// The value, in hexadecimal; absent where it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcr_11: Option<String>,
    /// Why it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The signed policy for it, where the image has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A signed policy of PCR 11.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// The SHA-256 of the key in `.pcrpkey`, in hexadecimal, as `.pcrsig` names keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The image's epoch; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Why it does not let this image open what is sealed under that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Image {
    /// Its signatures, each checked.
    pub(super) fn signatures(&self) -> Vec<Signature> {
        let certificates = self.certificates();
        if certificates.is_empty() {
            return Vec::new();
        }
        let found = Scan::of(&mut &self.file).map(|scan| verify(&scan));
        let problem = |index: usize| match &found {
            Err(error) => Some(error.to_string()),
            Ok(found) => match found.get(index) {
                None => Some("it cannot be read".to_owned()),
                Some(Ok(_)) => None,
                Some(Err(refusal)) => Some(refusal.to_string()),
            },
        };
        let all = certificates.into_iter().enumerate();
        all.map(|(index, c)| Signature { size: c.size, signer: c.signer, problem: problem(index) }).collect()
    }

    /// What will be measured of it; nothing where it is no unified kernel image.
    pub(super) fn measured(&self) -> Option<Measured> {
        self.headers.as_ref()?.section(Section::Linux)?;
        let (value, problem) = match predict(&mut &self.file) {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let policy = value.as_ref().and_then(|value| self.policy(value));
        Some(Measured { pcr_11: value.map(|value| value.to_string()), problem, policy })
    }

    fn policy(&self, value: &PcrValue) -> Option<Policy> {
        let section = |section| {
            let range = self.headers.as_ref()?.section(section)?.data_range();
            self.bytes(range.start..range.end.min(range.start + MAX_SIZE as u64)).ok()
        };
        let (key, signatures) = (section(Section::Pcrpkey), section(Section::Pcrsig));
        if key.is_none() && signatures.is_none() {
            return None;
        }
        let refused = |problem: String| Policy { key: None, epoch: None, problem: Some(problem) };
        let key = match key.map(|pem| PublicKey::from_pem(&pem)) {
            None => return Some(refused("no .pcrpkey section beside .pcrsig".to_owned())),
            Some(Err(error)) => return Some(refused(format!(".pcrpkey: {error}"))),
            Some(Ok(key)) => key,
        };
        let release = section(Section::Osrel).unwrap_or_default();
        let epoch = OsRelease::parse(&String::from_utf8_lossy(&release)).epoch;
        let problem = match signatures.map(|data| PolicySignatures::parse(&data)) {
            None => Some("no .pcrsig section beside .pcrpkey".to_owned()),
            Some(Err(error)) => Some(error.to_string()),
            Some(Ok(signatures)) if signatures.allows(value, epoch, &key) => None,
            Some(Ok(_)) if epoch == 0 => Some("the signature in .pcrsig is not of this PCR 11".to_owned()),
            Some(Ok(_)) => {
                Some(format!("the signatures in .pcrsig are not of this PCR 11 and epoch {epoch}"))
            }
        };
        Some(Policy { key: Some(key.fingerprint()), epoch: (epoch != 0).then_some(epoch), problem })
    }
}
