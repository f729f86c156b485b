//! The image's signatures of PCR 11, which systemd's stub took out of it. They are not trusted: the TPM verifies them.
//!
//! Source of the format: systemd `systemd-measure(1)`.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hoopy_base::input;
use hoopy_boot::secrets::PCR_SIGNATURES;
use hoopy_tpm::SignedPolicy;
use hoopy_tpm::policy::IMAGE_PCR;
use serde::Deserialize;

use crate::error::AgentError;

/// The most bytes that are read: one signature has 0.6 kB.
const MAX: u64 = 64 << 10;

/// What else systemd's stub leaves beside it, which nothing here needs: the image itself has the key.
const PUBLIC_KEY: &str = ".extra/tpm2-pcr-public-key.pem";

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    sha256: Vec<Entry>,
    /// Those for an epoch.
    #[serde(default)]
    hoopy: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    epoch: u32,
    pcrs: Vec<u32>,
    pol: String,
    sig: String,
}

/// Reads them, and removes the file. None where the image is not signed.
///
/// # Errors
/// [`AgentError::Locked`] where it is not as systemd has it.
pub fn take(root: &Path) -> Result<Vec<SignedPolicy>, AgentError> {
    let path = root.join(PCR_SIGNATURES);
    let read = input::read_up_to(&path, MAX);
    for file in [&path, &root.join(PUBLIC_KEY)] {
        let _ = fs::remove_file(file);
    }
    // Something else of the owner's may lie there.
    let _ = path.parent().map(fs::remove_dir);
    let fault = |reason: String| AgentError::Locked(format!("/{PCR_SIGNATURES}: {reason}"));
    match read {
        Ok(bytes) => parse(&bytes).map_err(|error| fault(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fault(error.to_string())),
    }
}

/// Those about PCR 11 alone, of the bank of SHA-256. Some tools end the file with NULs.
fn parse(bytes: &[u8]) -> serde_json::Result<Vec<SignedPolicy>> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let written: Written = serde_json::from_slice(bytes.get(..end).unwrap_or_default())?;
    let signed = |entry: &Entry| {
        let policy = HEXLOWER_PERMISSIVE.decode(entry.pol.as_bytes()).ok()?.try_into().ok()?;
        let epoch = entry.epoch;
        Some(SignedPolicy { policy, epoch, signature: BASE64.decode(entry.sig.as_bytes()).ok()? })
    };
    let all = written.sha256.iter().chain(&written.hoopy);
    Ok(all.filter(|entry| entry.pcrs == [IMAGE_PCR]).filter_map(signed).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_the_stub_left_is_taken_once_and_gone_then() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".extra")).unwrap();
        let text = format!(
            "{{\"sha1\":[],\"sha256\":[{{\"pcrs\":[11],\"pkfp\":\"x\",\"pol\":\"{}\",\"sig\":\"AAEC\"}},\
             {{\"pcrs\":[4,11],\"pkfp\":\"x\",\"pol\":\"{0}\",\"sig\":\"AAEC\"}}],\
             \"hoopy\":[{{\"epoch\":3,\"pcrs\":[11],\"pkfp\":\"x\",\"pol\":\"{0}\",\"sig\":\"AAED\"}}]}}\0\0",
            "11".repeat(32)
        );
        fs::write(root.path().join(PCR_SIGNATURES), text).unwrap();
        fs::write(root.path().join(PUBLIC_KEY), "key").unwrap();
        let expected = |epoch, signature: &[u8]| SignedPolicy {
            policy: [0x11; 32],
            epoch,
            signature: signature.to_vec(),
        };
        assert_eq!(take(root.path()).unwrap(), [expected(0, &[0, 1, 2]), expected(3, &[0, 1, 3])]);
        assert!(!root.path().join(".extra").exists());
        assert!(take(root.path()).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_too_large_or_no_json_is_refused_and_gone_too() {
        let root = tempfile::tempdir().unwrap();
        let write = |bytes: &[u8]| {
            fs::create_dir(root.path().join(".extra")).unwrap();
            fs::write(root.path().join(PCR_SIGNATURES), bytes).unwrap();
        };
        for bytes in [&b"{"[..], b"", b"\0\0", b"[1]", &vec![b' '; (64 << 10) + 1]] {
            write(bytes);
            let error = take(root.path()).unwrap_err().to_string();
            assert!(error.contains(".extra/tpm2-pcr-signature.json: "), "{error}");
            assert!(!root.path().join(".extra").exists());
        }
    }
}
