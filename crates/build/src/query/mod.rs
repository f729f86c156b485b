//! Questions about packages: what is locked and why, and what the repositories have. Nothing here changes anything
//! but the store, which keeps indexes that had to be fetched.
//!
//! ```text
//! hoopy.lock + its indexes ─▶ Set ─▶ Graph ─▶ why, tree
//! indexes of today ─▶ shelves ─▶ search, info
//! ```

mod graph;
mod info;
mod search;
mod set;
mod shelf;
mod tree;
mod why;

use std::path::PathBuf;

use crate::fetch::FetchError;
use crate::locking::MakeError;

pub use graph::{Edge, Graph, Reason, Root};
pub use info::{Info, Locked, info};
pub use search::{Hit, search};
pub use set::{Member, Set};
pub use shelf::{Shelf, shelves};
pub use tree::{DependencyData, Heading, Node, PackageData, RequestedLine, TreeData, dump, headings, nodes};
pub use why::{Chain, Found, Step, why};

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// An index could not be had, or there is no lock and none can be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The keys could not be read.
    #[error(transparent)]
    Keys(#[from] FetchError),
    /// The lock names a package that no index tells of any more.
    #[error(
        "{}: no index lists {package} any more: the one that the lock was made from is not in the store, and {repository} \
         has a newer one",
        .lock.display()
    )]
    Gone {
        /// The lock.
        lock: PathBuf,
        /// The package, as `name-version`.
        package: String,
        /// Its repository.
        repository: String,
    },
    /// Nothing locked has that name.
    #[error("{name} is not among the packages of {}{}", .lock.display(), nearest(.held.as_deref(), .similar))]
    NotLocked {
        /// What was asked about.
        name: String,
        /// The lock.
        lock: PathBuf,
        /// The repository that has it all the same.
        held: Option<String>,
        /// Locked names that are nearly the same.
        similar: Vec<Box<str>>,
    },
    /// No repository has anything of that name.
    #[error("no repository has {name}{}", nearest(None, .similar))]
    NotThere {
        /// What was asked about.
        name: String,
        /// Names that are nearly the same.
        similar: Vec<Box<str>>,
    },
}

/// The end of a message: which repository has it, or what is near it.
fn nearest(held: Option<&str>, similar: &[Box<str>]) -> String {
    match (held, similar) {
        (Some(repository), _) => format!("; {repository} has it"),
        (None, []) => String::new(),
        (None, [only]) => format!(" (did you mean {only}?)"),
        (None, [init @ .., last]) => format!(" (did you mean {} or {last}?)", init.join(", ")),
    }
}
