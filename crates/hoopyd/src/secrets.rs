//! Opens what the image brings encrypted.

use std::path::Path;
use std::time::Instant;

use hoopy_boot::secrets::{Map, Open, Outcome, State};
use hoopy_secrets::cipher::decrypt;
use hoopy_secrets::{Identities, MachineIdentity};

use crate::error::AgentError;
use crate::identity::{self, Mounted};
use crate::{map, place};

/// The outcome of `work`, and how long it took.
pub fn timed(work: impl FnOnce() -> Outcome) -> Outcome {
    let begun = Instant::now();
    let outcome = work();
    Outcome { micros: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), ..outcome }
}

/// The identities that the machine has without anybody's help: those that a virtual machine was given to be tried out
/// with, or those on the disk that the map names. None where the owner has to bring it.
///
/// # Errors
/// [`AgentError::Identity`].
pub fn at_hand(root: &Path, map: &Map) -> Result<Option<Vec<MachineIdentity>>, AgentError> {
    if root == Path::new("/")
        && let Some(identities) = identity::handed_over()
    {
        return Ok(Some(identities));
    }
    match (map.open, &map.device) {
        (Open::Disk, Some(device)) => Ok(Some(identity::on(Mounted::new(device, false)?.as_ref())?)),
        (Open::Disk, None) => Err(AgentError::Identity("the image names no filesystem for it".to_owned())),
        // An image whose secrets were opened at build has no agent. A TPM gives the identity once, when the machine starts.
        (Open::Tpm | Open::Owner | Open::Build, _) => Ok(None),
    }
}

/// Opens every secret that becomes a file. One that fails does not keep the others from being opened. Whoever calls it
/// takes the time ([`timed`]): there may be more to it than this.
pub fn open(root: &Path, map: &Map, identities: &[MachineIdentity]) -> Outcome {
    let with = Identities::of_machine(identities);
    let mut failures = Vec::new();
    let expected = identities.iter().any(|identity| identity.recipient().as_str() == map.recipient);
    for file in &map.files {
        let opened = map::ciphertext(root, &file.secret).map_err(|error| error.to_string());
        let opened = opened.and_then(|bytes| decrypt(&bytes, &with).map_err(|error| error.to_string()));
        let put =
            opened.and_then(|secret| place::put(root, file, &secret).map_err(|error| error.to_string()));
        if let Err(reason) = put {
            failures.push(format!("/{}: {reason}", file.path));
        }
    }
    if !failures.is_empty() && !expected {
        let found: Vec<String> =
            identities.iter().map(|identity| identity.recipient().as_str().to_owned()).collect();
        let message = format!(
            "the machine's identity: expected that of {}, found {}: hoopy secret enroll HOST puts the right one there",
            map.recipient,
            found.join(", ")
        );
        failures.insert(0, message);
    }
    let state = if failures.is_empty() { State::Open } else { State::Failed };
    Outcome { state, failures, micros: 0 }
}
