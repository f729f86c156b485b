//! The first file of a backup: whose state it is, and which directories.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::BackupError;

/// Its name in the archive.
pub const MANIFEST: &str = "hoopy-backup.json";

/// The version that is written.
pub const VERSION: u32 = 1;

/// The largest manifest that is read: thousands of directories fit.
pub const MAX: u64 = 1 << 20;

/// The description at the start of a backup: whose state it is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub version: u32,
    /// The machine's name.
    pub name: String,
    /// The image that it ran.
    pub image: String,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// The directories, by path without the slash in front.
    pub directories: Vec<String>,
    /// What is mounted within them, and is not in the backup; without the slash in front too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Manifest {
    /// The manifest of a machine that runs `image`.
    pub fn new(name: &str, image: &str, made: u64, directories: Vec<String>) -> Self {
        let (name, image, left_out) = (name.to_owned(), image.to_owned(), Vec::new());
        Self { version: VERSION, name, image, made, directories, left_out }
    }

    /// Reads a manifest, and refuses one that is not valid.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let wrong = |found: String| BackupError::NotABackup { expected: "a manifest of version 1", found };
        let manifest: Self = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        if manifest.version != VERSION {
            return Err(wrong(format!("version {}", manifest.version)));
        }
        match manifest.directories.iter().find(|path| !is_plain(path.as_bytes())) {
            Some(path) => Err(wrong(format!("the directory {path:?}"))),
            None => Ok(manifest),
        }
    }
}

/// A directory that is archived.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path on the machine, without the slash in front: what it is called in the archive.
    pub path: String,
    /// Where it lies.
    pub dir: PathBuf,
}

/// Whether a path leads down and nowhere else.
pub(crate) fn is_plain(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').all(|name| !matches!(name, b"" | b"." | b"..") && !name.contains(&0))
}
