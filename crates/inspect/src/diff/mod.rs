//! What differs between two systems: images, locks, revisions of a system directory.
//!
//! ```text
//! image ─────┐
//! lock ──────┼──▶ Side ─┐
//! revision ──┘          ├─ compare ──▶ Difference: facts, packages, files
//!                Side ──┘
//! ```
//!
//! Each becomes a [`Side`], and only what both sides know is compared: a lock has packages and no files. What a
//! machine runs is an image too, so whoever can fetch it has the fourth kind.

mod compare;
mod patch;
mod revision;
mod side;

use std::io;
use std::path::PathBuf;

use hoopy_lock::LockError;
use serde::Serialize;

use crate::image::InspectError;

pub use compare::compare;
pub use revision::revision;
pub use side::{Entry, Held, Side};

/// Two sides that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// An image could not be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A lock could not be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file of one side could not be read.
    #[error("{label}: {source}")]
    Read {
        /// The side.
        label: String,
        /// Why.
        source: io::Error,
    },
    /// git did not run, or refused.
    #[error("git {args} in {}: {message}", .dir.display())]
    Git {
        /// What it was asked.
        args: String,
        /// Where.
        dir: PathBuf,
        /// What it said.
        message: String,
    },
    /// Neither a file nor a revision.
    #[error("{text:?} is neither a file nor a git revision of {}", .dir.display())]
    NoSide {
        /// What was said.
        text: String,
        /// The system directory.
        dir: PathBuf,
    },
}

/// All that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is said of the whole: kernel, command line, size.
    pub facts: Vec<Fact>,
    /// Packages, by name.
    pub packages: Vec<PackageChange>,
    /// Files, by path.
    pub files: Vec<FileChange>,
}

/// A fact that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Which.
    pub what: &'static str,
    /// On the one side.
    pub old: Option<String>,
    /// On the other.
    pub new: Option<String>,
}

/// What became of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Not there before.
    In,
    /// Not there any more.
    Out,
    /// Newer.
    Up,
    /// Older.
    Down,
    /// The same version with other bytes.
    Rebuilt,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub how: How,
    /// The version before.
    pub old: Option<String>,
    /// The version after.
    pub new: Option<String>,
    /// How many of the files that differ are its own.
    pub files: usize,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// Not there before.
    Added,
    /// Not there any more.
    Removed,
    /// Another.
    Changed,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileChange {
    /// Where. Bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What became of it.
    pub became: Became,
    /// In what it differs: `type`, `mode`, `owner`, `content`, `target`, `device`, with old and new where that is short.
    pub what: Vec<String>,
    /// Bytes before.
    pub old_size: Option<u64>,
    /// Bytes after.
    pub new_size: Option<u64>,
    /// The changed package that it is of: its difference is what that change is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// How its lines differ, where that was asked for and it is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
