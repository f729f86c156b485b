//! `/etc/hoopy-release`: which image a machine runs.

/// Where it is, from the root.
pub const FILE: &str = "etc/hoopy-release";

/// What `/etc/hoopy-release` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// The image: `nas-2026112101`.
    pub image: String,
    /// The git commit of the system directory, where it is in a repository.
    pub commit: Option<String>,
    /// Whether the directory had changes that the commit has not.
    pub dirty: bool,
}
