//! Programs of this machine that hoopy runs.

use std::path::{Path, PathBuf};

/// Where programs are looked for besides the directories that are given: `mkfs` is often outside an ordinary
/// user's path, and Homebrew and NixOS have places of their own.
const PROGRAM_DIRS: &[&str] = &[
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/opt/homebrew/bin",
    "/opt/homebrew/sbin",
    "/opt/homebrew/opt/e2fsprogs/sbin",
    "/run/current-system/sw/bin",
];

/// Finds programs by their names.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// Directories to look in first: the user's `PATH`.
    pub path: Vec<PathBuf>,
}

impl Programs {
    /// The file of the program `name`.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let dirs = self.path.iter().map(PathBuf::as_path).chain(PROGRAM_DIRS.iter().map(Path::new));
        dirs.map(|dir| dir.join(name)).find(|path| path.is_file())
    }
}
