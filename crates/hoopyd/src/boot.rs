//! `hoopyd secrets`, what the service does: finds the identity, and opens everything with it.

use std::path::Path;

use hoopy_boot::secrets::{Map, Open, Outcome, State};

use crate::error::AgentError;
use crate::{map, outcome, secrets, tpm, unlock};

/// Opens the secrets. What fails is in the outcome.
///
/// # Errors
/// [`AgentError`] where the outcome could not be written either.
pub fn secrets(root: &Path) -> Result<Outcome, AgentError> {
    let map = map::read(root);
    // Unlocked by the owner already, and the service is started once more to say so. A TPM opens nothing a second time.
    if let Ok(before) = outcome::read(root)
        && (before.state == State::Open || map.as_ref().is_ok_and(|map| map.open == Open::Tpm))
    {
        return Ok(before);
    }
    let result = secrets::timed(|| {
        let outcome = map.and_then(|map| open(root, &map)).unwrap_or_else(failed);
        tpm::close(root);
        outcome
    });
    outcome::write(root, &result)?;
    Ok(result)
}

fn open(root: &Path, map: &Map) -> Result<Outcome, AgentError> {
    if map.open == Open::Tpm {
        return Ok(by_tpm(root, map));
    }
    Ok(match secrets::at_hand(root, map)? {
        Some(identities) => secrets::open(root, map, &identities),
        None => Outcome { state: State::Locked, failures: Vec::new(), micros: 0 },
    })
}

/// A machine whose TPM does not give the identity waits for its owner, and says why.
fn by_tpm(root: &Path, map: &Map) -> Outcome {
    let tpm::Opened { identities, not_raised } = match tpm::identities(root, map) {
        Ok(opened) => opened,
        Err(error) => return Outcome { state: State::Locked, ..failed(error) },
    };
    let mut outcome = secrets::open(root, map, &identities);
    if let Err(reasons) = unlock::keep_keys(root, map, &identities) {
        outcome.failures.extend(reasons);
        outcome.state = State::Failed;
    }
    // A new image is not well without that, and the machine falls back: its owner hears of it.
    outcome.failures.extend(not_raised.as_ref().map(tpm::not_shut_out));
    outcome
}

fn failed(error: AgentError) -> Outcome {
    Outcome { state: State::Failed, failures: vec![error.to_string()], micros: 0 }
}
