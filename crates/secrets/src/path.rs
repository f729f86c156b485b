//! Where a secret belongs: a file of the machine, the key of a volume, or a key that only the owner has.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the files of secrets end with.
pub const ENDING: &str = ".age";

/// Below `secrets/`: keys of volumes.
const UNLOCK: &str = "unlock/";

/// Below `secrets/`: keys that sign.
const TRUST: &str = "trust/";

/// Names that mean something else, directly below `secrets/` (without [`ENDING`]).
const RESERVED: [&str; 4] = ["recipients", "machine", "machine.pub", "recovery"];

/// Filesystems of the kernel: what lies there is gone once they are mounted, or is no file at all.
const KERNEL: [&str; 3] = ["proc", "sys", "dev"];

/// Linux' `NAME_MAX`.
const MAX_NAME: usize = 255;

/// Below Linux' `PATH_MAX`, with room for what stands before it.
const MAX_PATH: usize = 3072;

/// Who can open a secret, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A file of the machine.
    File,
    /// The key of a volume.
    Unlock,
    /// A key that never leaves the owner.
    Trust,
}

/// Where a secret belongs, as its file's path below `secrets/` says it, without `.age`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretPath(String);

/// A path that no secret can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret path {path:?}: {reason}")]
pub struct BadPath {
    /// The path as it was given.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl SecretPath {
    /// What the secret is for.
    pub fn purpose(&self) -> Use {
        match &self.0 {
            path if path.starts_with(UNLOCK) => Use::Unlock,
            path if path.starts_with(TRUST) => Use::Trust,
            _ => Use::File,
        }
    }

    /// The path below `secrets/`, without `.age`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file below the directory `secrets`.
    pub fn file(&self, secrets: &Path) -> PathBuf {
        secrets.join(format!("{}{ENDING}", self.0))
    }

    /// The path on the machine, without the slash in front; only a file has one.
    pub fn on_machine(&self) -> Option<&str> {
        (self.purpose() == Use::File).then_some(&self.0)
    }

    /// The volume whose key it is.
    pub fn volume(&self) -> Option<&str> {
        self.0.strip_prefix(UNLOCK)
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.purpose() {
            Use::File => write!(f, "/{}", self.0),
            Use::Unlock | Use::Trust => f.write_str(&self.0),
        }
    }
}

/// As users write it: `/etc/x`, `etc/x`, `unlock/tank` or, as a shell completes it, `secrets/etc/x.age`.
impl FromStr for SecretPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let path = text.strip_prefix("secrets/").unwrap_or(text).trim_start_matches('/');
        let path = path.strip_suffix(ENDING).unwrap_or(path);
        match fault(path) {
            Some(reason) => Err(BadPath { path: text.to_owned(), reason }),
            None => Ok(Self(path.to_owned())),
        }
    }
}

fn fault(path: &str) -> Option<&'static str> {
    let first = path.split('/').next().unwrap_or_default();
    let parts = || path.split('/');
    let single = |below: &str| path.strip_prefix(below).is_some_and(|name| name.contains('/'));
    Some(match () {
        () if path.is_empty() => "expected a path such as /etc/ssh/ssh_host_ed25519_key, found an empty one",
        () if path.len() > MAX_PATH => "it is longer than a path can be",
        () if parts().any(|part| matches!(part, "" | "." | "..")) => {
            "expected a path without `//`, `.` and `..`"
        }
        () if parts().any(|part| part.len() + ENDING.len() > MAX_NAME) => {
            "a name in it is longer than a name can be"
        }
        () if path.contains(|c: char| c.is_control() || !hoopy_base::terminal::is_harmless(c)) => {
            "expected a path without control characters"
        }
        () if RESERVED.contains(&path) => "hoopy uses this name itself",
        () if path == "unlock" || path == "trust" => "expected a name below it, such as unlock/tank-home",
        () if single(UNLOCK) || single(TRUST) => "expected one name below it, such as unlock/tank-home",
        () if KERNEL.contains(&first) => "a filesystem of the kernel is mounted there",
        () => return None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_on_the_machine_or_as_in_git() {
        for text in ["/etc/ssh/key", "etc/ssh/key", "secrets/etc/ssh/key.age", "etc/ssh/key.age"] {
            let path: SecretPath = text.parse().unwrap();
            assert_eq!(path.on_machine(), Some("etc/ssh/key"));
            assert_eq!(path.to_string(), "/etc/ssh/key");
            assert_eq!(path.file(Path::new("secrets")), Path::new("secrets/etc/ssh/key.age"));
        }
        let key: SecretPath = "unlock/tank-home".parse().unwrap();
        assert_eq!((key.volume(), key.on_machine()), (Some("tank-home"), None));
        assert_eq!("trust/db".parse::<SecretPath>().unwrap().purpose(), Use::Trust);
    }

    #[test]
    fn a_path_never_leads_elsewhere() {
        for text in [
            "",
            "/",
            "../x",
            "etc/../../x",
            "etc//x",
            "etc/./x",
            "etc/x/",
            "recipients",
            "machine",
            "machine.age",
            "recovery.age",
            "unlock",
            "unlock/a/b",
            "trust/",
            "proc/self/mem",
            "etc/a\nb",
            "etc/a\u{202e}b",
        ] {
            assert!(text.parse::<SecretPath>().is_err(), "{text:?}");
        }
        assert!("a".repeat(252).parse::<SecretPath>().is_err());
        assert!("a".repeat(251).parse::<SecretPath>().is_ok());
    }
}
