//! Whether the secrets were opened at this boot, for the health check and for programs that ask.

use std::path::Path;

use hoopy_boot::secrets::{OUTCOME, Outcome, State};

use crate::error::AgentError;
use crate::files::{read_json, write_json};

fn file(root: &Path) -> std::path::PathBuf {
    root.join(OUTCOME.trim_start_matches('/'))
}

/// Writes it down.
///
/// # Errors
/// [`AgentError::Io`].
pub fn write(root: &Path, outcome: &Outcome) -> Result<(), AgentError> {
    write_json(&file(root), outcome)
}

/// Reads it.
///
/// # Errors
/// [`AgentError`]; also where nothing was written at this boot.
pub fn read(root: &Path) -> Result<Outcome, AgentError> {
    read_json(&file(root))
}

/// Adds something that failed later.
///
/// # Errors
/// [`AgentError`].
pub fn add_failure(root: &Path, failure: String) -> Result<(), AgentError> {
    let mut outcome = read(root)?;
    if !outcome.failures.contains(&failure) {
        outcome.failures.push(failure);
    }
    write(root, &outcome)
}

/// The outcome as text for people.
pub fn text(outcome: &Outcome) -> String {
    match outcome.state {
        State::Open if outcome.failures.is_empty() => "secrets are open".to_owned(),
        State::Open => format!("secrets are open\n{}", outcome.failures.join("\n")),
        State::Locked if !outcome.failures.is_empty() => {
            format!("secrets are locked\n{}", outcome.failures.join("\n"))
        }
        State::Locked => "secrets are locked until the owner unlocks this machine".to_owned(),
        State::Failed => format!("not every secret could be opened\n{}", outcome.failures.join("\n")),
    }
}
