//! Whether the secrets were opened at this boot, for the health check and for programs that ask.

use std::path::Path;

use hoopy_base::{atomic, input};
use hoopy_boot::secrets::{OUTCOME, Outcome, State};

use crate::error::AgentError;

/// The largest outcome that is read: a failure for each of thousands of secrets fits.
const MAX: u64 = 4 << 20;

fn file(root: &Path) -> std::path::PathBuf {
    root.join(OUTCOME.trim_start_matches('/'))
}

/// Writes it down.
///
/// # Errors
/// [`AgentError::Io`].
pub fn write(root: &Path, outcome: &Outcome) -> Result<(), AgentError> {
    let path = file(root);
    let dir = path.parent().unwrap_or(root);
    std::fs::create_dir_all(dir).map_err(AgentError::io("make", dir))?;
    let text = serde_json::to_vec_pretty(outcome).unwrap_or_default();
    atomic::replace_file(&path, &text, atomic::Readers::Exactly(0o644))
        .map_err(AgentError::io("write", &path))
}

/// Reads it.
///
/// # Errors
/// [`AgentError`]; also where nothing was written at this boot.
pub fn read(root: &Path) -> Result<Outcome, AgentError> {
    let path = file(root);
    let bytes = input::read_up_to(&path, MAX).map_err(AgentError::io("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|error| AgentError::Map { path, reason: error.to_string() })
}

/// The outcome as text for people.
pub fn text(outcome: &Outcome) -> String {
    match outcome.state {
        State::Open => "secrets are open".to_owned(),
        State::Locked => "secrets are locked until the owner unlocks this machine".to_owned(),
        State::Failed => format!("not every secret could be opened\n{}", outcome.failures.join("\n")),
    }
}
