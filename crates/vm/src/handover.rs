//! The identity that opens a system's secrets, for a virtual machine: a small read-only disk in memory.
//!
//! It has no name in any directory, and is gone with this process. The machine knows it by its serial number.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use super::error::VmError;

/// The size of the disk is a multiple of this: whole sectors.
const SIZE: usize = 4096;

/// A disk with an identity.
#[derive(Debug, Clone)]
pub struct Handover(Arc<File>);

impl Handover {
    /// A disk with these bytes, and empty lines behind them.
    ///
    /// # Errors
    /// [`VmError::Io`].
    pub fn new(bytes: &[u8]) -> Result<Self, VmError> {
        let failed = || VmError::io("make a disk in", "memory");
        let disk = memfd_create("hoopy-identity", MemfdFlags::CLOEXEC);
        let mut disk = File::from(disk.map_err(|e| failed()(e.into()))?);
        let padding = vec![b'\n'; bytes.len().next_multiple_of(SIZE) - bytes.len()];
        disk.write_all(bytes).and_then(|()| disk.write_all(&padding)).map_err(failed())?;
        Ok(Self(Arc::new(disk)))
    }

    /// Where QEMU, which is this process's child, finds it.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}
