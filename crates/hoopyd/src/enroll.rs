//! `hoopyd enroll`: keeps a new identity of the machine on the filesystem that the image names.

use std::io;
use std::path::Path;

use hoopy_boot::secrets::{Map, Open, State};
use hoopy_secrets::MachineIdentity;
use hoopy_secrets::machine::MAX_IDENTITIES;

use crate::error::AgentError;
use crate::identity::{self, Mounted};
use crate::{map, outcome, tpm, unlock};

/// Keeps the identity that comes on standard input. Those that were there stay behind it, since images to fall back to
/// need them, unless they are to be forgotten.
///
/// # Errors
/// [`AgentError`].
pub fn enroll(root: &Path, input: impl io::Read, forget: bool) -> Result<(), AgentError> {
    let map = map::read(root)?;
    let device = match (map.open, &map.device) {
        (Open::Disk, Some(device)) => device,
        (Open::Tpm, _) => return by_tpm(root, &map, &identity::from_input(input)?, forget),
        (Open::Disk | Open::Owner | Open::Build, _) => {
            let reason = format!("with open = {:?} the machine keeps none", map.open.as_str());
            return Err(AgentError::Identity(reason));
        }
    };
    let new = identity::from_input(input)?;
    let mounted = Mounted::new(device, true)?;
    let old = identity::on(mounted.as_ref()).unwrap_or_default();
    identity::keep(mounted.as_ref(), &merge(new, old, forget))
}

/// The TPM gives the identity to nobody until the next boot, so a locked machine is opened with this one.
fn by_tpm(root: &Path, map: &Map, identities: &[MachineIdentity], forget: bool) -> Result<(), AgentError> {
    tpm::enroll(root, map, identities, forget)?;
    match outcome::read(root) {
        Ok(before) if before.state == State::Open => Ok(()),
        _ => unlock::with_identities(root, map, identities),
    }
}

/// The new ones first, each once.
pub fn merge(new: Vec<MachineIdentity>, old: Vec<MachineIdentity>, forget: bool) -> Vec<MachineIdentity> {
    let mut all: Vec<MachineIdentity> = Vec::new();
    for identity in new.into_iter().chain(old.into_iter().filter(|_| !forget)) {
        if !all.iter().any(|known| known.recipient() == identity.recipient()) {
            all.push(identity);
        }
    }
    all.truncate(MAX_IDENTITIES);
    all
}
