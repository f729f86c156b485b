//! The state of a machine as one archive.
//!
//! ```text
//! directories ─▶ tar (POSIX.1-2001, pax) ─▶ zstd, one frame with a checksum ─▶ age, for the owner ─▶ NAME.tar.zst.age
//! ```
//!
//! The first file in it is `hoopy-backup.json` ([`Manifest`]); what follows lies below the directories that it names. Other
//! programs read all three formats: `age -d -i KEY FILE | zstd -d | tar -t`.
//!
//! Invariants:
//! - Memory does not grow with what is archived: a file is copied through one buffer, and every header is bounded.
//! - An archive that is cut short, damaged or followed by anything is an error, never a shorter archive: the frame of zstd
//!   and the last chunk of age both say where the end is.
//! - Whoever knows the owner's public key can make a file that decrypts. So no entry is trusted: nothing is written outside
//!   the directories of the manifest, and no link is followed on the way.

mod error;
mod frame;
mod header;
mod manifest;
mod pax;
mod read;
mod sealed;
mod tree;
mod unpack;

pub use error::BackupError;
pub use frame::{check, unpack, write};
pub use manifest::{MANIFEST, Manifest, Source};
pub use read::Contents;
pub use sealed::seal;
pub use tree::copy;
