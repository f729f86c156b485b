//! Drift: how the root filesystem of a machine differs from the image that it booted, which is what its next reboot
//! erases; and the way back, from the machine into `root/`.
//!
//! ```text
//! image ──inspect──▶ Side ─┐
//! machine ──list.sh──▶ Side ┴─ diff ──▶ Difference ──pull──▶ root/, [modes]
//! ```
//!
//! The machine needs BusyBox and nothing of hoopy's. How scripts get there is the caller's affair ([`RunRemote`]), so that
//! nothing here knows ssh.

mod installed;
mod listing;
mod names;
mod pull;
mod secret;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use hoopy_boot::drift::Ignored;
use hoopy_boot::secrets::{MAP, Map};

use crate::diff::{self, DiffError, Difference, Side};

pub use installed::{AddedPackages, DATABASES, WORLD};
pub use listing::{Listing, contents, list};
pub use names::reserved;
pub use pull::{Allowed, PullOutcome, Pulled, pull};
pub use secret::secret;

/// Runs a script with `sh` on the machine; gives what it printed, of which so many bytes are read at most.
pub type RunRemote<'a> = dyn FnMut(&str, u64) -> io::Result<Vec<u8>> + 'a;

/// Drift that cannot be told, or not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The machine could not be asked.
    #[error("{source}")]
    Ask {
        /// The machine.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// It says something else than what it was asked.
    #[error("unexpected response from {host}: {found}")]
    Answer {
        /// The machine.
        host: String,
        /// The end of it.
        found: String,
    },
    /// More than any machine has: it is not read.
    #[error("{host}: its listing has more than {what}, and is not read")]
    TooMuch {
        /// The machine.
        host: String,
        /// Of what.
        what: &'static str,
    },
    /// It runs no image of hoopy's.
    #[error("{host} does not say which image it runs: it has no IMAGE in /etc/hoopy-release")]
    NoImage {
        /// The machine.
        host: String,
    },
    /// What it says is no name of an image.
    #[error(
        "{host} does not say which image it runs: expected a name in IMAGE of /etc/hoopy-release, found {found:?}"
    )]
    ImageName {
        /// The machine.
        host: String,
        /// What it says.
        found: String,
    },
    /// What is asked for has not changed.
    #[error("{path} on {host} has not changed, or does not exist")]
    NotChanged {
        /// The machine.
        host: String,
        /// The path.
        path: String,
    },
    /// What is asked for lies on a filesystem of its own.
    #[error(
        "{path} on {host} is not part of its image: it lies on {at}, a mount of its own, which a reboot does not erase"
    )]
    Mounted {
        /// The machine.
        host: String,
        /// The path.
        path: String,
        /// The mount point.
        at: String,
    },
    /// A file of the system directory could not be written.
    #[error("{}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `hoopy.toml` is no TOML.
    #[error("{}: {message}", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The two could not be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
}

/// How the machine that was listed differs from the image, with what is ignored left out.
///
/// # Errors
/// [`DriftError`] when the image cannot be read.
pub fn drift(
    image: &Side,
    listing: &Listing,
    ignored: &Ignored,
    patches: bool,
) -> Result<Difference, DriftError> {
    let machine = Side::known("the machine", listing.files.clone());
    let mut difference = diff::compare(image, &machine, patches)?;
    difference.facts.clear();
    let mounts: HashSet<&[u8]> = listing.mounts.iter().map(Vec::as_slice).collect();
    let secrets = secrets(image)?;
    let is_mounted = |path: &[u8]| mount_of(&mounts, path).is_some();
    difference.files.retain(|file| {
        let path = file.path.as_bytes();
        !ignored.matches(path) && !is_mounted(path) && !secrets.contains(path)
    });
    Ok(difference)
}

/// The mount point of the machine, other than its root, that `path` lies on.
pub fn mounted_at(listing: &Listing, path: &str) -> Option<String> {
    let mounts: HashSet<&[u8]> = listing.mounts.iter().map(Vec::as_slice).collect();
    let at = mount_of(&mounts, path.trim_matches('/').as_bytes())?;
    Some(format!("/{}", String::from_utf8_lossy(at)))
}

fn mount_of<'p>(mounts: &HashSet<&[u8]>, path: &'p [u8]) -> Option<&'p [u8]> {
    let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let ends = above.chain([path.len()]).filter(|end| *end > 0);
    ends.filter_map(|end| path.get(..end)).find(|at| mounts.contains(at))
}

/// The paths of the image's secrets: what they hold on the machine is neither compared, shown nor pulled.
fn secrets(image: &Side) -> Result<HashSet<Vec<u8>>, DriftError> {
    let texts = image.texts(&[MAP.as_bytes().to_vec()], MAX_MAP)?;
    let map = texts.values().find_map(|text| serde_json::from_slice::<Map>(text).ok());
    let files = map.into_iter().flat_map(|map| map.files);
    Ok(files.map(|file| file.path.into_bytes()).chain(image.in_the_clear()).collect())
}

/// The largest map that is read: thousands of secrets fit.
const MAX_MAP: u64 = 4 << 20;
