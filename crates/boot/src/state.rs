//! What an image says of the state that outlives a boot: hoopy writes it, the agent on the machine reads it.
//!
//! ```text
//! /usr/libexec/hoopy/state.json     this map
//! /run/hoopy/state.json             the outcome of this boot
//!
//! ON/hoopy/state/var-lib-app        what is bound over /var/lib/app
//! ON/hoopy/state.new/               a first copy that is not whole yet
//! ON/hoopy/restore.tar.zst          a backup to be restored at the next boot
//! ON/hoopy/state.restoring/         the same, while it is unpacked
//! ON/hoopy/restore.ready            the same, unpacked whole: the next thing to do is to rename directories
//! ON/hoopy/state.before/            the state that a restore has replaced
//! ```
//!
//! `ON` is the filesystem that keeps it.

use serde::{Deserialize, Serialize};

/// Where the map lies, below the root.
pub const MAP: &str = "usr/libexec/hoopy/state.json";

/// Where the agent writes the outcome of each boot.
pub const OUTCOME: &str = "/run/hoopy/state.json";

/// The version of [`Map`] that is written.
pub const VERSION: u32 = 1;

/// The directory of hoopy's own on the filesystem.
pub const HOME: &str = "hoopy";

/// Below [`HOME`]: the state.
pub const KEPT: &str = "state";

/// Below [`HOME`]: first copies that are not whole yet.
pub const NEW: &str = "state.new";

/// Below [`HOME`]: the state that a restore has replaced.
pub const BEFORE: &str = "state.before";

/// Below [`HOME`]: a backup while it is unpacked.
pub const RESTORING: &str = "state.restoring";

/// Below [`HOME`]: a backup that is to be restored at the next boot.
pub const RESTORE: &str = "restore.tar.zst";

/// Below [`HOME`]: the same once it is unpacked whole.
pub const READY: &str = "restore.ready";

/// A directory that outlives a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Its path on the machine, without the slash in front; no part of it is a symbolic link.
    pub path: String,
    /// Whether the machine is healthy without it.
    pub optional: bool,
}

/// Backups that the machine makes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The directory that they go to.
    pub to: String,
    /// How many are kept.
    pub keep: u32,
    /// For whom they are encrypted, one a line.
    pub recipients: String,
}

/// What an image says of its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// [`VERSION`].
    pub version: u32,
    /// The machine's name.
    pub name: String,
    /// Where the filesystem that keeps the state is mounted.
    pub on: String,
    /// What is kept; none is below another.
    pub directories: Vec<Directory>,
    /// Backups of the machine's own.
    pub backup: Option<Backup>,
}

/// What came of the state at this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is bound, by path without the slash in front.
    pub bound: Vec<String>,
    /// What was copied from the image just now, since the filesystem did not have it.
    pub copied: Vec<String>,
    /// Whether a backup was restored.
    pub restored: bool,
    /// What is not there, one directory an entry: its path and why.
    pub failures: Vec<String>,
    /// The same of optional ones, which the machine is well without.
    pub missing: Vec<String>,
}

/// What a directory is called on the filesystem that keeps it: one name, so that whether it is whole is whether it is there.
/// `/` becomes `-`; a `-` becomes `%2D` and a `%` becomes `%25`, so that no two directories share a name.
pub fn stored_name(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    for c in path.trim_matches('/').chars() {
        match c {
            '/' => name.push('-'),
            '-' => name += "%2D",
            '%' => name += "%25",
            other => name.push(other),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_directories_share_a_name() {
        let paths = ["a/b", "a-b", "a%2Db", "a/-b", "a-/b", "a%b", "a%25b", "/a//b"];
        let names: std::collections::BTreeSet<String> = paths.iter().map(|path| stored_name(path)).collect();
        assert_eq!(names.len(), paths.len());
        assert_eq!(stored_name("/var/lib/my-app"), "var-lib-my%2Dapp");
    }
}
