//! The identity that lies in the clear until the TPM has sealed it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hoopy_boot::secrets::IDENTITY;
use hoopy_secrets::MachineIdentity;

use super::Kept;
use crate::error::AgentError;
use crate::identity;

/// What lies in the clear.
pub(super) enum Plain {
    /// Nothing.
    None,
    /// What a power cut left while it was removed, or something else that is no identity: what is sealed counts.
    Damaged,
    /// Identities, the one in use first.
    Identities(Vec<MachineIdentity>),
}

impl Plain {
    /// What the filesystem at `mounted` has in the clear, and what it has sealed.
    ///
    /// # Errors
    /// [`AgentError`] where neither can be used.
    pub(super) fn and_sealed(mounted: &Path) -> Result<(Self, Kept), AgentError> {
        let is_there = fs::symlink_metadata(mounted.join(IDENTITY)).is_ok();
        if !is_there {
            return Ok((Self::None, Kept::read(mounted)?));
        }
        let kept = Kept::read(mounted).unwrap_or_default();
        match identity::on(mounted) {
            Ok(identities) => Ok((Self::Identities(identities), kept)),
            // One that its owner has put there with a mode that is too wide is not removed without a word.
            Err(error) if kept.sealed.is_empty() || identity::are_on(mounted) => Err(error),
            Err(_) => Ok((Self::Damaged, kept)),
        }
    }
}

/// Writes zeros over the identity that lies in the clear, and removes it. Where there is none, nothing happens. A link is
/// removed as it is: whoever had the disk may have made it, and what it leads to is something else's.
pub(super) fn remove(mounted: &Path) -> Result<(), AgentError> {
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
