//! Why a device was not written, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::size;

use super::usage::Use;
use crate::disk::DiskError;

/// A device that was not written, or not well.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// It is no block device.
    #[error("{} is not a block device", .0.display())]
    NotADevice(PathBuf),
    /// It is part of a disk.
    #[error("{name} is a partition of {disk}, not a whole disk")]
    Partition {
        /// The kernel's name for it.
        name: String,
        /// The disk that it is on.
        disk: String,
    },
    /// The running system needs it.
    #[error("{name} holds the running system and is not overwritten: {}", list(.uses))]
    System {
        /// The kernel's name for it.
        name: String,
        /// For what.
        uses: Vec<Use>,
    },
    /// Something of it is mounted, or part of another device.
    #[error("{name} is in use: {}", list(.uses))]
    Busy {
        /// The kernel's name for it.
        name: String,
        /// For what.
        uses: Vec<Use>,
    },
    /// It is built in.
    #[error("{name} ({model}, {}) is not a removable disk", size::show(*.size))]
    Fixed {
        /// The kernel's name for it.
        name: String,
        /// What it calls itself.
        model: String,
        /// Bytes.
        size: u64,
    },
    /// It takes no writes.
    #[error("{0} is write-protected")]
    ReadOnly(String),
    /// Its sectors are not those that tables are written for.
    #[error("{name} has sectors of {sector} bytes: expected 512")]
    Sectors {
        /// The kernel's name for it.
        name: String,
        /// As it has them.
        sector: u64,
    },
    /// There is no medium in it.
    #[error("{0} has no size: there is no medium in it")]
    Empty(String),
    /// The disk is larger than the device.
    #[error("the disk needs {}, and {name} has {}", size::show(*.wanted), size::show(*.size))]
    TooLarge {
        /// The kernel's name for it.
        name: String,
        /// As asked for.
        wanted: u64,
        /// As it is.
        size: u64,
    },
    /// The disk could not be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What was read back is not what was written.
    #[error(
        "{name} does not return what was written to it, from byte {at} on: it is broken, or smaller than it says"
    )]
    Differs {
        /// The kernel's name for it.
        name: String,
        /// The first byte that differs.
        at: u64,
    },
    /// The user said stop.
    #[error("stopped: {0} is incomplete and does not boot")]
    Stopped(String),
    /// The device failed.
    #[error("cannot {what} {name} at byte {at}: {source}")]
    Device {
        /// What was being done.
        what: &'static str,
        /// The kernel's name for it.
        name: String,
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A file.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FlashError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

fn list(uses: &[Use]) -> String {
    uses.iter().map(Use::to_string).collect::<Vec<_>>().join(", ")
}
