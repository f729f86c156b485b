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

/// Removes those that begin so: what failed was done since.
///
/// # Errors
/// [`AgentError`].
pub fn remove_failures(root: &Path, beginning: &str) -> Result<(), AgentError> {
    let mut outcome = read(root)?;
    let before = outcome.failures.len();
    outcome.failures.retain(|failure| !failure.starts_with(beginning));
    if outcome.failures.len() == before { Ok(()) } else { write(root, &outcome) }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_failed_later_is_told_once_and_taken_back_when_it_was_done() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("run/hoopy")).unwrap();
        write(root, &Outcome { state: State::Open, failures: Vec::new(), micros: 0 }).unwrap();
        for _ in 0..2 {
            add_failure(root, "not shut out: no room".to_owned()).unwrap();
        }
        assert_eq!(text(&read(root).unwrap()), "secrets are open\nnot shut out: no room");
        remove_failures(root, "not shut out").unwrap();
        assert_eq!(text(&read(root).unwrap()), "secrets are open");
    }
}
