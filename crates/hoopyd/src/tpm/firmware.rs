//! Whether the firmware enforces Secure Boot with the owner's certificate, as its variables say.
//!
//! Who can lie about that here runs on the machine already. What counts is PCR 7, which the TPM compares.
//!
//! Source: UEFI 2.10, 3.3 (global variables); Linux `efivarfs` (four bytes of attributes in front).

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use hoopy_base::input;
use hoopy_boot::secrets::Sealing;
use hoopy_boot::signature_lists::{List, X509};
use ring::digest::{SHA256, digest};

use crate::error::AgentError;

/// Where the kernel shows variables, below the root.
const VARIABLES: &str = "sys/firmware/efi/efivars";

const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SECURITY_DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";

/// What systemd's loader and stub name their variables by.
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The most bytes of a variable that are read: db with all of Microsoft's certificates has 10 kB.
const MAX: u64 = 256 << 10;

/// Attributes, as `efivarfs` has them in front.
const ATTRIBUTES: usize = 4;

/// Refuses firmware that does not enforce Secure Boot, or not with the owner's certificate.
///
/// # Errors
/// [`AgentError::SecureBoot`], with what to do about it.
pub fn check(root: &Path, sealing: &Sealing) -> Result<(), AgentError> {
    let refused = |reason: &str| Err(AgentError::SecureBoot(reason.to_owned()));
    show_variables(root);
    match byte(root, "SetupMode")? {
        Some(0) => {}
        _ => {
            return refused(
                "the firmware is in setup mode, so it starts anything: enroll the keys of trust/ (docs/trust.md), and boot again",
            );
        }
    }
    if byte(root, "SecureBoot")? != Some(1) {
        return refused("Secure Boot is off: switch it on in the firmware's menu, and boot again");
    }
    let db = variable(root, "db", SECURITY_DATABASE)?.unwrap_or_default();
    if has_certificate(&db, &sealing.certificate) {
        return Ok(());
    }
    refused(
        "the firmware's db does not have the certificate trust/db.crt: enroll the keys of trust/ (docs/trust.md), and boot again",
    )
}

/// Whether systemd's stub says that it has measured the image into a TPM.
///
/// Source: systemd-stub(7), `StubPcrKernelImage`.
pub fn stub_has_measured(root: &Path) -> bool {
    show_variables(root);
    variable(root, "StubPcrKernelImage", LOADER).is_ok_and(|value| value.is_some())
}

/// Mounts the filesystem of variables where nobody has yet. A failure shows when they are read.
fn show_variables(root: &Path) {
    let dir = root.join(VARIABLES);
    let is_empty = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
    if root == Path::new("/") && is_empty {
        let mut mount = Command::new("mount");
        mount.args(["-t", "efivarfs", "-o", "ro,nosuid,nodev,noexec", "efivarfs"]).arg(&dir);
        let _ = mount.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A variable of one byte.
fn byte(root: &Path, name: &str) -> Result<Option<u8>, AgentError> {
    let value = variable(root, name, GLOBAL)?;
    let value = value.ok_or_else(|| {
        let reason =
            format!("the firmware has no variable {name}: Secure Boot needs UEFI firmware that knows it");
        AgentError::SecureBoot(reason)
    })?;
    Ok(<[u8; 1]>::try_from(value).ok().map(|[byte]| byte))
}

/// What a variable holds, if it exists.
fn variable(root: &Path, name: &str, vendor: &str) -> Result<Option<Vec<u8>>, AgentError> {
    let path = root.join(VARIABLES).join(format!("{name}-{vendor}"));
    match input::read_up_to(&path, MAX) {
        Ok(bytes) => Ok(bytes.get(ATTRIBUTES..).map(<[u8]>::to_vec)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::io("read", path)(error)),
    }
}

/// Whether signature lists have the certificate with this digest. What is not a list ends them.
fn has_certificate(mut lists: &[u8], expected: &str) -> bool {
    while let Ok((list, rest)) = List::first(lists) {
        let is_it = |der: &[u8]| HEXLOWER.encode(digest(&SHA256, der).as_ref()) == expected;
        if list.kind == X509 && list.entries().any(|(_, der)| is_it(der)) {
            return true;
        }
        lists = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(kind: [u8; 16], data: &[u8]) -> Vec<u8> {
        let each = 16 + data.len() as u32;
        let mut list = kind.to_vec();
        [28 + each, 0, each].iter().for_each(|number| list.extend(number.to_le_bytes()));
        list.extend([0; 16]);
        list.extend(data);
        list
    }

    fn hex(data: &[u8]) -> String {
        HEXLOWER.encode(digest(&SHA256, data).as_ref())
    }

    #[test]
    fn a_certificate_is_found_in_whichever_list_it_is() {
        let lists = [list_of([7; 16], b"hash"), list_of(X509, b"theirs"), list_of(X509, b"ours")].concat();
        assert!(has_certificate(&lists, &hex(b"ours")) && has_certificate(&lists, &hex(b"theirs")));
        assert!(!has_certificate(&lists, &hex(b"hash")) && !has_certificate(&lists, &hex(b"other")));
    }

    #[test]
    fn lists_that_are_cut_or_lie_about_their_sizes_have_an_end() {
        let whole = [list_of(X509, b"theirs"), list_of(X509, b"ours")].concat();
        for end in 0..whole.len() {
            assert!(!has_certificate(&whole[..end], &hex(b"ours")), "{end}");
        }
        for at in 16..28 {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut changed = whole.clone();
                changed[at] = value;
                has_certificate(&changed, &hex(b"ours"));
            }
        }
    }
}
