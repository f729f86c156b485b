//! Where secrets go: nowhere, unless an option says so.

use std::io;

use hoopy_inspect::drift;

/// A secret of the source.
#[derive(Debug, Clone, Copy)]
pub struct Secret<'a> {
    /// Its path on the machine.
    pub path: &'a str,
    /// What it is.
    pub what: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub content: &'a [u8],
}

/// Takes secrets, to keep them encrypted.
pub trait KeepSecrets {
    /// Keeps one below the system directory `dir`; gives where it is.
    ///
    /// # Errors
    /// What writing fails with.
    fn keep(&mut self, dir: &std::path::Path, secret: &Secret<'_>) -> io::Result<String>;
}

/// What becomes of secrets.
#[derive(Default)]
pub enum Policy<'a> {
    /// They are named, and not taken.
    #[default]
    Refuse,
    /// They lie in the directory as they are, where git ignores them.
    Plain,
    /// They are given to somebody who encrypts them.
    Keep(&'a mut dyn KeepSecrets),
}

/// Why a file looks secret; nothing where it does not.
pub fn of(path: &str, content: &[u8]) -> Option<&'static str> {
    drift::secret(path.as_bytes(), content)
}
