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

use super::{Kept, Machine, chip, counter_fault, no_device, sealing};
use crate::error::AgentError;
use crate::identity::Mounted;
use crate::map;

/// Shuts images of earlier epochs out, if this boot has prepared that. Gives whether it had.
///
/// # Errors
/// [`AgentError`].
pub fn raise(root: &Path) -> Result<bool, AgentError> {
    if !root.join(SEALED_NEXT).exists() {
        return Ok(false);
    }
    let map = map::read(root)?;
    let (sealing, device) = (sealing(&map)?, map.device.as_ref().ok_or_else(no_device)?);
    Machine { root, sealing, tpm: chip::open()? }.raise(|writable| Mounted::new(device, writable))
}

impl<S: Read + Write> Machine<'_, S> {
    /// Seals what this image opens anew, where any of it opens for images of earlier epochs, and keeps that in memory.
    pub(super) fn prepare(&mut self, kept: Kept, signed: &[SignedPolicy]) -> Result<(), AgentError> {
        let epoch = self.sealing.epoch;
        if !kept.opens_before(epoch) {
            return Ok(());
        }
        let counter = self.tpm.ready_counter().map_err(counter_fault)?;
        let live = kept.live(Some(counter));
        if !live.opens_before(epoch) {
            return Ok(());
        }
        // What this image cannot open is of no use to it, and images that could are to be shut out.
        let opened = live.sealed.iter().filter_map(|entry| self.open(&entry.sealed().ok()?, signed).ok());
        let identities: Vec<MachineIdentity> = opened.collect();
        let next = self.seal(&identities, counter.saturating_add(1))?;
        let path = self.root.join(SEALED_NEXT);
        let dir = path.parent().unwrap_or(self.root);
        fs::create_dir_all(dir).map_err(AgentError::io("make", dir))?;
        next.write_file(&path)
    }

    /// [`raise`], of this TPM and the filesystem that `mount` mounts.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn raise<P: AsRef<Path>>(
        &mut self,
        mount: impl Fn(bool) -> Result<P, AgentError>,
    ) -> Result<bool, AgentError> {
        let path = self.root.join(SEALED_NEXT);
        let Some(next) = Kept::read_file(&path)? else { return Ok(false) };
        // Whatever comes of it, the next boot prepares it anew.
        fs::remove_file(&path).map_err(AgentError::io("remove", &path))?;
        let expected = next.sealed.first().and_then(|entry| entry.sealed().ok()?.bound());
        let counter = self.tpm.counter().map_err(counter_fault)?;
        if expected.map(|bound| bound.counter) != counter.and_then(|value| value.checked_add(1)) {
            // The owner has sealed the identity meanwhile.
            return Ok(false);
        }
        self.replace(&next, mount(true)?.as_ref())?;
        Ok(true)
    }

    /// Keeps `next`, which is sealed for the counter's next value, in place of all that is there, and raises the counter.
    pub(super) fn replace(&mut self, next: &Kept, mounted: &Path) -> Result<(), AgentError> {
        let old = Kept::read(mounted).unwrap_or_default();
        next.beside(&old).write(mounted)?;
        self.tpm.raise_counter().map_err(counter_fault)?;
        next.write(mounted)
    }
}
