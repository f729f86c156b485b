//! Small JSON files: read up to a limit, and written whole or not at all.

use std::path::Path;

use hoopy_base::{atomic, input};
use serde_json::{from_slice, to_vec_pretty};

use crate::error::AgentError;

/// The largest file that is read: a line for each of thousands of directories or secrets fits.
const MAX: u64 = 4 << 20;

/// Reads a file.
///
/// # Errors
/// [`AgentError`].
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, AgentError> {
    let bytes = input::read_up_to(path, MAX).map_err(AgentError::io("read", path))?;
    from_slice(&bytes).map_err(|error| AgentError::Map { path: path.to_owned(), reason: error.to_string() })
}

/// Writes a file that everybody may read, and creates its directory.
///
/// # Errors
/// [`AgentError::Io`].
pub fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), AgentError> {
    let dir = path.parent().unwrap_or(path);
    std::fs::create_dir_all(dir).map_err(AgentError::io("make", dir))?;
    let text = to_vec_pretty(value).unwrap_or_default();
    atomic::replace_file(path, &text, atomic::Readers::Exactly(0o644)).map_err(AgentError::io("write", path))
}
