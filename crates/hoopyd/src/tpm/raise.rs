//! Shuts images of earlier epochs out, once one of a later epoch has booted well.
//!
//! ```text
//! at boot      what the image opens is sealed anew, for its epoch and the counter's next value: kept in memory
//! good boot    written beside what is there ─▶ the counter goes up: what was sealed before is worthless ─▶ that is removed
//! ```
//!
//! Until the counter goes up the previous image opens what it always did, and the machine can fall back to it. Wherever the power
//! goes, one of the two opens at the next boot. Sealing needs no image in particular, so it does not matter that the TPM opens
//! nothing any more by then; what is in memory meanwhile is no secret.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use hoopy_boot::secrets::SEALED_NEXT;
use hoopy_secrets::MachineIdentity;
use hoopy_tpm::SignedPolicy;

use super::{Kept, Machine, SEAL_ANEW, chip, counter_fault, no_device, only_sealer, sealing};
use crate::error::AgentError;
use crate::identity::Mounted;
use crate::{map, outcome};

/// How the failures begin that tell of it.
pub(super) const NOT_SHUT_OUT: &str = "images of earlier epochs are not shut out";

/// Shuts images of earlier epochs out, if this boot has prepared that. Gives whether it had. Where that fails, the status of the
/// machine says so from then on.
///
/// # Errors
/// [`AgentError`].
pub fn raise(root: &Path) -> Result<bool, AgentError> {
    if !root.join(SEALED_NEXT).exists() {
        return Ok(false);
    }
    let raised = raise_at(root);
    // Why it failed matters more than that it could not be written down.
    let _ = match &raised {
        Ok(_) => outcome::remove_failures(root, NOT_SHUT_OUT),
        Err(reason) => outcome::add_failure(root, not_shut_out(reason)),
    };
    raised
}

fn raise_at(root: &Path) -> Result<bool, AgentError> {
    let map = map::read(root)?;
    let (sealing, device) = (sealing(&map)?, map.device.as_ref().ok_or_else(no_device)?);
    let _only = only_sealer(root)?;
    Machine { root, sealing, tpm: chip::open()? }.raise(|writable| Mounted::new(device, writable))
}

/// What the owner reads of it.
pub fn not_shut_out(reason: &AgentError) -> String {
    format!("{NOT_SHUT_OUT}: {reason}")
}

impl<S: Read + Write> Machine<'_, S> {
    /// Seals what this image opens anew, where any of it opens for images of earlier epochs, and keeps that in memory. The identity
    /// that the image is for is opened already.
    pub(super) fn prepare(
        &mut self,
        kept: Kept,
        signed: &[SignedPolicy],
        opened: &MachineIdentity,
    ) -> Result<(), AgentError> {
        let epoch = self.sealing.epoch;
        if !kept.opens_before(epoch) {
            return Ok(());
        }
        let counter = self.tpm.ready_counter().map_err(counter_fault)?;
        let live = kept.live(Some(counter));
        if !live.opens_before(epoch) {
            return Ok(());
        }
        if signed.iter().all(|one| one.epoch != epoch) {
            let reason =
                format!("the image is of epoch {epoch}, and has no signature for that: build it again");
            return Err(AgentError::Locked(reason));
        }
        let others = self.open_others(&live, signed, opened)?;
        let identities = std::iter::once(opened).chain(&others);
        let next = self.seal(identities, counter.saturating_add(1))?;
        let path = self.root.join(SEALED_NEXT);
        let dir = path.parent().unwrap_or(self.root);
        fs::create_dir_all(dir).map_err(AgentError::io("make", dir))?;
        next.write_file(&path)
    }

    /// The identities of other images. What this image may not open is of no use to it, and images that may are to be shut out.
    fn open_others(
        &mut self,
        live: &Kept,
        signed: &[SignedPolicy],
        opened: &MachineIdentity,
    ) -> Result<Vec<MachineIdentity>, AgentError> {
        let mut others: Vec<MachineIdentity> = Vec::new();
        for entry in &live.sealed {
            let is_known = |known: &MachineIdentity| known.recipient().as_str() == entry.recipient;
            if is_known(opened) || others.iter().any(is_known) {
                continue;
            }
            match entry.sealed().and_then(|sealed| self.open(&sealed, signed)) {
                Ok(other) => others.push(other),
                Err(AgentError::Tpm(error)) => return Err(AgentError::Tpm(error)),
                Err(_) => {}
            }
        }
        Ok(others)
    }

    /// [`raise`], of this TPM and the filesystem that `mount` mounts.
    ///
    /// # Errors
    /// [`AgentError`]. It can be tried again then.
    pub fn raise<P: AsRef<Path>>(
        &mut self,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<bool, AgentError> {
        let path = self.root.join(SEALED_NEXT);
        let Some(next) = Kept::read_file(&path)? else { return Ok(false) };
        let counter = self.tpm.counter().map_err(counter_fault)?;
        // If it is for another value, the owner has sealed the identity meanwhile.
        let before =
            next.counter().and_then(|value| value.checked_sub(1)).filter(|value| Some(*value) == counter);
        if let Some(before) = before {
            self.replace(&next, before, mount(true)?.as_ref())?;
        }
        fs::remove_file(&path).map_err(AgentError::io("remove", &path))?;
        Ok(before.is_some())
    }

    /// Keeps `next`, which is sealed for the value after `counter`, in place of all that is there, and raises the counter.
    pub(super) fn replace(&mut self, next: &Kept, counter: u64, mounted: &Path) -> Result<(), AgentError> {
        let old = Kept::read(mounted).unwrap_or_default().live(Some(counter));
        next.beside(&old).write(mounted)?;
        let raised = self.tpm.raise_counter().map_err(counter_fault)?;
        if Some(raised) != next.counter() {
            return Err(AgentError::Locked(format!(
                "the TPM's counter went from {counter} to {raised}, since something else raised it too: {SEAL_ANEW}"
            )));
        }
        next.write(mounted)
    }
}
