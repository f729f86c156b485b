//! The identity that a TPM opens: `open = "tpm"`.
//!
//! ```text
//! at boot     hoopy/identity.tpm ─▶ TPM (PCR 7, signed PCR 11) ─▶ identity ─▶ PCR 11 is extended: it opens nothing more
//! first boot  hoopy/identity, put there by `hoopy disk` ─▶ sealed ─▶ opened, to be sure ─▶ hoopy/identity is removed
//! enroll      an identity on standard input ─▶ sealed
//! raise       at boot of an image of a later epoch: sealed anew, in memory ─▶ the boot is good ─▶ kept; the counter goes up
//! ```
//!
//! Nothing is sealed unless the firmware enforces Secure Boot with the owner's certificate: otherwise whoever starts the
//! machine decides what is measured. Whatever fails leaves the machine locked, with the reason and what to type.

mod chip;
mod firmware;
mod kept;
mod plain;
mod raise;
mod signatures;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hoopy_boot::secrets::{AFTER_SECRETS, Map, PCR_SIGNATURES, Sealing};
use hoopy_secrets::{MachineIdentity, Plaintext};
use hoopy_tpm::policy::IMAGE_PCR;
use hoopy_tpm::{Bound, PolicyKey, SignedPolicy, Tpm, TpmError};
use ring::digest::{SHA256, digest};

pub use self::kept::{Kept, SEAL_ANEW};
use self::plain::{Plain, remove as remove_plain};
use self::raise::NOT_SHUT_OUT;
pub use self::raise::{not_shut_out, raise};
use crate::error::AgentError;
use crate::identity::{self, Mounted};
use crate::outcome;

/// Whoever seals has this file locked.
const SEALER: &str = "run/hoopy/sealer.lock";

/// A TPM, and what it seals under.
pub struct Machine<'a, S> {
    /// The root of the running system.
    pub root: &'a Path,
    /// The owner's keys.
    pub sealing: &'a Sealing,
    /// The TPM.
    pub tpm: Tpm<S>,
}

/// What a boot found.
#[derive(Debug)]
pub struct Opened {
    /// The identities.
    pub identities: Vec<MachineIdentity>,
    /// Why images of earlier epochs cannot be shut out, where this image should do that.
    pub not_raised: Option<AgentError>,
}

impl From<Vec<MachineIdentity>> for Opened {
    fn from(identities: Vec<MachineIdentity>) -> Self {
        Self { identities, not_raised: None }
    }
}

/// A virtual machine that is tried out gets its identity from outside. Where it has Secure Boot and a TPM too, it does what
/// the real one would do at its first boot: that is what is tried out.
///
/// # Errors
/// [`AgentError`]: why the machine comes up locked.
pub fn identities(root: &Path, map: &Map) -> Result<Opened, AgentError> {
    let sealing = sealing(map)?;
    let handed = if root == Path::new("/") { identity::handed_over() } else { None };
    let chip = chip::open();
    let handed = match (handed, &chip) {
        (Some(handed), Err(_)) => return Ok(handed.into()),
        (Some(handed), Ok(_)) if firmware::check(root, sealing).is_err() => return Ok(handed.into()),
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
    let _only = only_sealer(root)?;
    let mut machine = Machine { root, sealing, tpm: chip::open()? };
    machine.enroll(identities, forget, |writable| Mounted::new(device, writable))?;
    // A machine without an outcome has nothing to take back.
    let _ = outcome::remove_failures(root, NOT_SHUT_OUT);
    Ok(())
}

/// Locks sealing and raising the counter for as long as the file is open. If two did that at once, the one that raises would make
/// worthless what the other seals.
fn only_sealer(root: &Path) -> Result<fs::File, AgentError> {
    let path = root.join(SEALER);
    let locked = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(AgentError::io("lock", &path))
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
    ) -> Result<Opened, AgentError> {
        let signed = signatures::take(self.root);
        let found = signed.and_then(|signed| self.find(map, &signed, handed, mount));
        end_phase(&mut self.tpm)?;
        found
    }

    fn find<P: AsRef<Path>>(
        &mut self,
        map: &Map,
        signed: &[SignedPolicy],
        handed: Option<Vec<MachineIdentity>>,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<Opened, AgentError> {
        let (plain, kept) = Plain::and_sealed(mount(false)?.as_ref())?;
        match (plain, kept.sealed.is_empty()) {
            (Plain::Identities(identities), _) => self.seal_first(identities, signed, mount),
            (plain, false) => match (self.unseal(map, &kept, signed), handed) {
                // `hoopy run --fresh`
                (Err(AgentError::OtherTpm), Some(identities)) => self.seal_first(identities, signed, mount),
                (opened, _) => {
                    let identity = opened?;
                    if matches!(plain, Plain::Damaged) {
                        // Where that fails, the next boot does it: this one has what it needs.
                        let _ = mount(true).and_then(|mounted| remove_plain(mounted.as_ref()));
                    }
                    let not_raised = self.prepare(kept, signed, &identity).err();
                    Ok(Opened { identities: vec![identity], not_raised })
                }
            },
            (_, true) => match handed {
                Some(identities) => self.seal_first(identities, signed, mount),
                None => Err(AgentError::Locked(format!(
                    "expected the machine's sealed identity, found none: {SEAL_ANEW}"
                ))),
            },
        }
    }

    /// Seals what lies in the clear, makes sure that it opens, and removes it there. What this TPM has sealed before it opens no
    /// more: nobody knows what became of it.
    fn seal_first<P: AsRef<Path>>(
        &mut self,
        identities: Vec<MachineIdentity>,
        signed: &[SignedPolicy],
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<Opened, AgentError> {
        firmware::check(self.root, self.sealing)?;
        // Before the counter goes up, which makes what is sealed already worthless.
        let key = self.policy_key()?;
        let opens = self.tpm.may_open(&key, signed, self.sealing.epoch);
        opens.map_err(|error| self.explain(error, signed))?;
        let counter = self.tpm.raise_counter().map_err(counter_fault)?;
        let new = self.seal(identities.iter(), counter)?;
        for (identity, entry) in identities.iter().zip(&new.sealed) {
            let opened = self.open(&entry.sealed()?, signed)?;
            if opened.recipient() != identity.recipient() {
                return Err(AgentError::Locked(
                    "the TPM opened something else than it had sealed".to_owned(),
                ));
            }
        }
        let mounted = mount(true)?;
        new.write(mounted.as_ref())?;
        remove_plain(mounted.as_ref())?;
        Ok(identities.into())
    }

    /// Seals an identity that the owner brings, and removes one that lies in the clear. Where others are to be forgotten, or open
    /// for images that this one shuts out, every copy of them is worthless afterwards.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn enroll<P: AsRef<Path>>(
        &mut self,
        identities: &[MachineIdentity],
        forget: bool,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<(), AgentError> {
        firmware::check(self.root, self.sealing)?;
        if !forget {
            // What the boot has prepared is for all identities, and this one is not among them.
            self.raise(&mount)?;
        }
        let mounted = mount(true)?;
        // One that cannot be read is of no use to any image.
        let old = if forget { Kept::default() } else { Kept::read(mounted.as_ref()).unwrap_or_default() };
        let counter = match self.tpm.ready_counter() {
            Err(TpmError::OtherIndex(_)) if forget => {
                self.tpm.remove_counter().and_then(|()| self.tpm.raise_counter())
            }
            other => other,
        };
        let counter = counter.map_err(counter_fault)?;
        let old = old.live(Some(counter));
        if forget {
            // Twice: there may be a copy that was sealed for the next value by a raise that the power ended.
            self.seal_for_next(identities, counter, mounted.as_ref())?;
            self.seal_for_next(identities, counter.saturating_add(1), mounted.as_ref())?;
        } else if old.opens_before(self.sealing.epoch) {
            self.seal_for_next(identities, counter, mounted.as_ref())?;
        } else {
            self.seal(identities.iter(), counter)?.before(&old).write(mounted.as_ref())?;
        }
        remove_plain(mounted.as_ref())
    }

    /// Seals identities for the value after this one of the counter, raises it, and removes all others.
    fn seal_for_next(
        &mut self,
        identities: &[MachineIdentity],
        counter: u64,
        mounted: &Path,
    ) -> Result<(), AgentError> {
        let next = self.seal(identities.iter(), counter.saturating_add(1))?;
        self.replace(&next, counter, mounted)
    }

    /// Seals identities for images of this one's epoch and the next ones, and for this value of the counter.
    fn seal<'i>(
        &mut self,
        identities: impl Iterator<Item = &'i MachineIdentity>,
        counter: u64,
    ) -> Result<Kept, AgentError> {
        firmware::check(self.root, self.sealing)?;
        let key = self.policy_key()?;
        let bound = Bound { epoch: self.sealing.epoch, counter };
        let mut kept = Kept::default();
        for identity in identities {
            let sealed = self.tpm.seal(identity.line().as_bytes(), &key, Some(bound)).map_err(fault)?;
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
        // Where the power went while images were shut out, there are two: one of them opens.
        let mut entries = kept.sealed.iter().filter(|entry| entry.recipient == map.recipient);
        let first = entries.next().ok_or_else(|| {
            // It is the disk's word, and goes to the console.
            let is_plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let found = kept.sealed.iter().map(|entry| &*entry.recipient).filter(is_plain);
            let found: Vec<&str> = found.collect();
            AgentError::Locked(format!(
                "expected the sealed identity of {}, found that of {}: {SEAL_ANEW}",
                map.recipient,
                found.join(", ")
            ))
        })?;
        let opened = self.open(&first.sealed()?, signed);
        opened.or_else(|reason| {
            let mut others = entries.filter_map(|entry| self.open(&entry.sealed().ok()?, signed).ok());
            others.next().ok_or(reason)
        })
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
            TpmError::OtherIndex(_) => counter_fault(error),
            TpmError::OtherPolicyKey | TpmError::EpochTooFar { .. } | TpmError::Superseded { .. } => {
                AgentError::Locked(format!("{error}: {SEAL_ANEW}"))
            }
            TpmError::OldEpoch { sealed, .. } => AgentError::Locked(format!(
                "{error}: start an image of epoch {sealed}; if you trust this one all the same, {SEAL_ANEW}"
            )),
            TpmError::NotSigned(value) if signed.is_empty() => AgentError::Locked(format!(
                "the image has no signature for PCR 11 ({value}): deploy one that was built with the private key of \
                 trust/pcr.pub at hand"
            )),
            error => fault(error),
        }
    }
}

/// Ends the phase in which the TPM opens anything, also for an image that opens its secrets in another way: its signature of
/// PCR 11 would open what is sealed for other images, as long as the machine runs.
pub fn close(root: &Path) {
    if !root.join(PCR_SIGNATURES).exists() {
        return;
    }
    let _ = signatures::take(root);
    // Where the stub has measured nothing, the signature fits nothing, and there may be no TPM to wait for.
    if firmware::stub_has_measured(root)
        && let Ok(mut tpm) = chip::open()
    {
        let _ = end_phase(&mut tpm);
    }
}

fn end_phase<S: Read + Write>(tpm: &mut Tpm<S>) -> Result<(), AgentError> {
    let word: [u8; 32] = digest(&SHA256, AFTER_SECRETS.as_bytes()).as_ref().try_into().unwrap_or_default();
    tpm.extend(IMAGE_PCR, &word).map_err(fault)
}

/// What the owner can do about a TPM that does not do what it is asked.
fn fault(error: TpmError) -> AgentError {
    match error {
        TpmError::Refused { code, .. } if code.is_wrong_password() => AgentError::Locked(format!(
            "{error}: another system has set a password for the TPM's owner. Clear the TPM in the firmware's menu, which ends \
             all that is sealed in it, and {SEAL_ANEW}"
        )),
        error => AgentError::Tpm(error),
    }
}

/// What the owner can do about a counter that cannot be used.
fn counter_fault(error: TpmError) -> AgentError {
    match error {
        TpmError::OtherIndex(_) => AgentError::Locked(format!(
            "{error}: hoopy secret enroll --forget HOST removes that and seals the identity again"
        )),
        TpmError::Refused { code, .. } if code.is_out_of_space() => AgentError::Locked(format!(
            "{error}: hoopy needs one, of 8 bytes: `tpm2_getcap handles-nv-index` lists those that there are, and \
             `tpm2_nvundefine INDEX` removes one that nothing uses"
        )),
        TpmError::Refused { code, .. } if code.passes() => {
            AgentError::Locked(format!("{error}: do it again in some minutes"))
        }
        error => fault(error),
    }
}
