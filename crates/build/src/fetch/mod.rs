//! Getting packages and indexes from a mirror, over HTTP(S) or out of a directory, into the store.
//!
//! A download grows in `partial/`, so that an interrupted one goes on where it was; it becomes a blob only
//! when it is what the lock or the signed index says.

mod download;
mod keys;
pub mod registry;
mod source;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hoopy_base::pace::Stall;
use hoopy_base::size;

use hoopy_store::StoreError;

pub use download::{Download, Progress, Proof, package};
pub use keys::{Trusted, keyring};
pub use source::{Client, Limits, is_remote};

/// Downloads at a time: enough to hide a mirror's latency, few enough to be polite.
pub const DOWNLOADS: usize = 6;

/// Something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The mirror does not have it.
    #[error("{place}: not found{}", .status.map(|s| format!(" (HTTP status {s})")).unwrap_or_default())]
    Missing {
        /// The address or file.
        place: String,
        /// What the server answered.
        status: Option<u16>,
    },
    /// The mirror could not be reached, or stopped in the middle, several times over.
    #[error("{place}: {reason}")]
    Unreachable {
        /// The address or file.
        place: String,
        /// What happened last.
        reason: String,
    },
    /// The answer is not what was asked for, and would be the same again.
    #[error("{place}: {reason}")]
    Answer {
        /// The address.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The mirror was reached, and sent nothing, or next to nothing.
    #[error(
        "{place}: waited {} s {what}{}",
        .waited.as_secs_f64().round().max(1.0),
        if *.tries > 1 { format!(" ({tries} tries)") } else { String::new() }
    )]
    Stalled {
        /// The address.
        place: String,
        /// How long it was waited for, in the last try.
        waited: Duration,
        /// For what.
        what: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The mirror gives another size than the index or the lock says.
    #[error("{place}: expected {expected} bytes, found {found}")]
    WrongSize {
        /// The address or file.
        place: String,
        /// What was to come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// It is larger than such a file may be.
    #[error("{place}: over {limit} bytes, more than any such file has")]
    TooLarge {
        /// The address or file.
        place: String,
        /// The bound.
        limit: u64,
    },
    /// The package is not the one that the signed index describes.
    #[error("{place}: {source}")]
    Package {
        /// The address or file.
        place: String,
        /// What is wrong with it.
        source: hoopy_apk::package::PackageError,
    },
    /// A registry does not say which image a tag names.
    #[error("{image}: {reason}")]
    Image {
        /// The image, with its tag.
        image: String,
        /// Why.
        reason: String,
    },
    /// A registry could not be asked which image a tag names.
    #[error("{image}: {source}")]
    Registry {
        /// The image, with its tag.
        image: String,
        /// Why.
        source: Box<Self>,
    },
    /// A public key could not be read.
    #[error("{}: {reason}", .path.display())]
    Key {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file beside the store failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store failed, or what came has the wrong digest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FetchError {
    /// What became of an answer that broke off.
    fn broken(place: &str, error: &io::Error) -> Self {
        let stalled = error.get_ref().and_then(|inner| inner.downcast_ref::<source::Stalled>());
        let (waited, what) = match stalled {
            Some(source::Stalled(Stall::Silent(waited))) => (*waited, "for the next byte of it".to_owned()),
            Some(source::Stalled(Stall::Slow(bytes, waited))) => {
                (*waited, format!("for it, and {} came", size::show(*bytes)))
            }
            None => {
                return Self::Unreachable { place: place.to_owned(), reason: error.to_string() };
            }
        };
        Self::Stalled { place: place.to_owned(), waited, what, tries: 1 }
    }

    /// The same, after so many tries.
    fn after(self, tries: u32) -> Self {
        match self {
            Self::Stalled { place, waited, what, .. } => Self::Stalled { place, waited, what, tries },
            other => other,
        }
    }

    /// Whether it may go well when it is tried again.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { place, .. } | Self::Stalled { place, .. } if is_remote(place))
    }
}
