//! The identity that a TPM opens: `open = "tpm"`.
//!
//! ```text
//! at boot     hoopy/identity.tpm ─▶ TPM (PCR 7, signed PCR 11) ─▶ identity ─▶ PCR 11 is extended: it opens nothing more
//! first boot  hoopy/identity, put there by `hoopy disk` ─▶ sealed ─▶ opened, to be sure ─▶ hoopy/identity is removed
//! enroll      an identity on standard input ─▶ sealed
//! ```
//!
//! Nothing is sealed unless the firmware enforces Secure Boot with the owner's certificate: otherwise whoever starts the
//! machine decides what is measured. Whatever fails leaves the machine locked, with the reason and what to type.

mod chip;
mod firmware;
mod kept;
mod signatures;

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hoopy_boot::secrets::{AFTER_SECRETS, IDENTITY, Map, Sealing};
use hoopy_secrets::{MachineIdentity, Plaintext};
use hoopy_tpm::policy::IMAGE_PCR;
use hoopy_tpm::{PolicyKey, SignedPolicy, Tpm, TpmError};
use ring::digest::{SHA256, digest};

pub use self::kept::{Kept, SEAL_ANEW};
use crate::error::AgentError;
use crate::identity::{self, Mounted};

/// A TPM, and what it seals under.
pub struct Machine<'a, S> {
    /// The root of the running system.
    pub root: &'a Path,
    /// The owner's keys.
    pub sealing: &'a Sealing,
    /// The TPM.
    pub tpm: Tpm<S>,
}

/// A virtual machine that is tried out gets its identity from outside. Where it has Secure Boot and a TPM too, it does what
/// the real one would do at its first boot: that is what is tried out.
///
/// # Errors
/// [`AgentError`]: why the machine comes up locked.
pub fn identities(root: &Path, map: &Map) -> Result<Vec<MachineIdentity>, AgentError> {
    let sealing = sealing(map)?;
    let handed = if root == Path::new("/") { identity::handed_over() } else { None };
    let chip = chip::open();
    let handed = match (handed, &chip) {
        (Some(handed), Err(_)) => return Ok(handed),
        (Some(handed), Ok(_)) if firmware::check(root, sealing).is_err() => return Ok(handed),
        (handed, _) => handed,
    };
    let device = map.device.as_ref().ok_or_else(no_device)?;
    Machine { root, sealing, tpm: chip? }.at_boot(map, handed, |writable| Mounted::new(device, writable))
}

fn sealing(map: &Map) -> Result<&Sealing, AgentError> {
    map.sealing
        .as_ref()
        .ok_or_else(|| AgentError::Identity("the image names no keys to seal it under".to_owned()))
}

fn no_device() -> AgentError {
    AgentError::Identity("the image names no filesystem for it".to_owned())
}

/// Seals identities on this machine. Those that were sealed stay, since images to fall back to need them, unless they are to
/// be forgotten.
///
/// # Errors
/// [`AgentError`].
pub fn enroll(
    root: &Path,
    map: &Map,
    identities: &[MachineIdentity],
    forget: bool,
) -> Result<(), AgentError> {
    let (sealing, device) = (sealing(map)?, map.device.as_ref().ok_or_else(no_device)?);
    let mut machine = Machine { root, sealing, tpm: chip::open()? };
    machine.enroll(identities, forget, |writable| Mounted::new(device, writable))
}

impl<S: Read + Write> Machine<'_, S> {
    /// The identities at boot. Whether that succeeds or not, the TPM gives them to nobody after it.
    ///
    /// # Errors
    /// [`AgentError`]: why the machine comes up locked.
    pub fn at_boot<P: AsRef<Path>>(
        &mut self,
        map: &Map,
        handed: Option<Vec<MachineIdentity>>,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<Vec<MachineIdentity>, AgentError> {
        let signed = signatures::take(self.root);
        let found = signed.and_then(|signed| self.find(map, &signed, handed, mount));
        let word: [u8; 32] =
            digest(&SHA256, AFTER_SECRETS.as_bytes()).as_ref().try_into().unwrap_or_default();
        self.tpm.extend(IMAGE_PCR, &word).map_err(AgentError::Tpm)?;
        found
    }

    fn find<P: AsRef<Path>>(
        &mut self,
        map: &Map,
        signed: &[SignedPolicy],
        handed: Option<Vec<MachineIdentity>>,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<Vec<MachineIdentity>, AgentError> {
        let mounted = mount(false)?;
        let plain = mounted.as_ref().join(IDENTITY);
        let (plain, kept) = match plain.try_exists().unwrap_or(true) {
            true => (Some(identity::on(mounted.as_ref())?), Kept::read(mounted.as_ref()).unwrap_or_default()),
            false => (None, Kept::read(mounted.as_ref())?),
        };
        drop(mounted);
        match (plain, kept.sealed.is_empty()) {
            (Some(identities), _) => self.seal_first(identities, &kept, signed, mount),
            (None, false) => match (self.unseal(map, &kept, signed), handed) {
                // `hoopy run --fresh`
                (Err(AgentError::OtherTpm), Some(identities)) => {
                    self.seal_first(identities, &kept, signed, mount)
                }
                (opened, _) => opened.map(|identity| vec![identity]),
            },
            (None, true) => match handed {
                Some(identities) => self.seal_first(identities, &kept, signed, mount),
                None => Err(AgentError::Locked(format!(
                    "expected the machine's sealed identity, found none: {SEAL_ANEW}"
                ))),
            },
        }
    }

    /// Seals what lies in the clear, makes sure that it opens, and removes it there.
    fn seal_first<P: AsRef<Path>>(
        &mut self,
        identities: Vec<MachineIdentity>,
        kept: &Kept,
        signed: &[SignedPolicy],
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<Vec<MachineIdentity>, AgentError> {
        let new = self.seal(&identities)?;
        for (identity, entry) in identities.iter().zip(&new.sealed) {
            let opened = self.open(&entry.sealed()?, signed)?;
            if opened.recipient() != identity.recipient() {
                return Err(AgentError::Locked(
                    "the TPM opened something else than it had sealed".to_owned(),
                ));
            }
        }
        let mounted = mount(true)?;
        new.before(kept).write(mounted.as_ref())?;
        remove_plain(mounted.as_ref())?;
        Ok(identities)
    }

    /// Seals an identity that the owner brings, and removes one that lies in the clear.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn enroll<P: AsRef<Path>>(
        &mut self,
        identities: &[MachineIdentity],
        forget: bool,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<(), AgentError> {
        let new = self.seal(identities)?;
        let mounted = mount(true)?;
        // One that cannot be read is of no use to any image.
        let old = if forget { Kept::default() } else { Kept::read(mounted.as_ref()).unwrap_or_default() };
        new.before(&old).write(mounted.as_ref())?;
        remove_plain(mounted.as_ref())
    }

    fn seal(&mut self, identities: &[MachineIdentity]) -> Result<Kept, AgentError> {
        firmware::check(self.root, self.sealing)?;
        let key = self.policy_key()?;
        let mut kept = Kept::default();
        for identity in identities {
            let sealed = self.tpm.seal(identity.line().as_bytes(), &key).map_err(AgentError::Tpm)?;
            kept.push(identity, &sealed);
        }
        Ok(kept)
    }

    fn policy_key(&self) -> Result<PolicyKey, AgentError> {
        PolicyKey::from_pem(self.sealing.policy_key.as_bytes()).map_err(AgentError::Tpm)
    }

    /// Opens the identity that the image is for.
    fn unseal(
        &mut self,
        map: &Map,
        kept: &Kept,
        signed: &[SignedPolicy],
    ) -> Result<MachineIdentity, AgentError> {
        let entry = kept.sealed.iter().find(|entry| entry.recipient == map.recipient).ok_or_else(|| {
            let found: Vec<&str> = kept.sealed.iter().map(|entry| &*entry.recipient).collect();
            AgentError::Locked(format!(
                "expected the sealed identity of {}, found that of {}: {SEAL_ANEW}",
                map.recipient,
                found.join(", ")
            ))
        })?;
        self.open(&entry.sealed()?, signed)
    }

    fn open(
        &mut self,
        sealed: &hoopy_tpm::Sealed,
        signed: &[SignedPolicy],
    ) -> Result<MachineIdentity, AgentError> {
        let key = self.policy_key()?;
        let mut opened =
            self.tpm.unseal(sealed, &key, signed).map_err(|error| self.explain(error, signed))?;
        let text = Plaintext::new(std::mem::take(&mut *opened));
        let mut found =
            MachineIdentity::parse(&text).map_err(|error| AgentError::Identity(error.to_string()))?;
        Ok(found.swap_remove(0))
    }

    /// What the owner has to know about it.
    fn explain(&self, error: TpmError, signed: &[SignedPolicy]) -> AgentError {
        match error {
            // Why PCR 7 is another, where that is seen.
            TpmError::SecureBootChanged { .. } => firmware::check(self.root, self.sealing)
                .err()
                .unwrap_or_else(|| AgentError::Locked(format!("{error}: {SEAL_ANEW}"))),
            TpmError::OtherTpm => AgentError::OtherTpm,
            TpmError::OtherPolicyKey => AgentError::Locked(format!("{error}: {SEAL_ANEW}")),
            TpmError::NotSigned(value) if signed.is_empty() => AgentError::Locked(format!(
                "the image has no signature for PCR 11 ({value}): deploy one that was built with the private key of \
                 trust/pcr.pub at hand"
            )),
            error => AgentError::Tpm(error),
        }
    }
}

/// Writes zeros over the identity that lies in the clear, and removes it. Where there is none, nothing happens. A link is
/// removed as it is: whoever had the disk may have made it, and what it leads to is something else's.
fn remove_plain(mounted: &Path) -> Result<(), AgentError> {
    let path = mounted.join(IDENTITY);
    let remove = || {
        let is_file = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?.is_file(),
        };
        if is_file {
            let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
            let mut file = OpenOptions::new().write(true).custom_flags(flags).open(&path)?;
            let size = usize::try_from(file.metadata()?.len().min(1 << 20)).unwrap_or(0);
            file.write_all(&vec![0; size])?;
            file.sync_all()?;
        }
        fs::remove_file(&path)?;
        hoopy_base::atomic::sync_dir(hoopy_base::atomic::directory_of(&path))
    };
    remove().map_err(AgentError::io("remove", &path))
}
