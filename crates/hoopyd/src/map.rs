//! The map of secrets that the image brings.

use std::path::Path;

use hoopy_base::input;
use hoopy_boot::secrets::{CIPHERTEXTS, MAP, Map, VERSION};
use hoopy_secrets::cipher::MAX_CIPHERTEXT;

use crate::error::AgentError;
use crate::files::read_json;

/// Reads the map.
///
/// # Errors
/// [`AgentError`].
pub fn read(root: &Path) -> Result<Map, AgentError> {
    let path = root.join(MAP);
    let map: Map = read_json(&path)?;
    if map.version != VERSION {
        let reason = format!("expected version {VERSION}, found {}", map.version);
        return Err(AgentError::Map { path, reason });
    }
    Ok(map)
}

/// The encrypted file of a secret.
///
/// # Errors
/// [`AgentError`].
pub fn ciphertext(root: &Path, secret: &str) -> Result<Vec<u8>, AgentError> {
    let path = root.join(CIPHERTEXTS).join(format!("{secret}.age"));
    input::read_up_to(&path, MAX_CIPHERTEXT).map_err(AgentError::io("read", &path))
}
