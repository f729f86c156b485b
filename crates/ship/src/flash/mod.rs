//! Writing a disk to a device, and reading it back.
//!
//! ```text
//! look, refuse ──▶ open alone ──▶ old tables gone ──▶ data, zeros ──▶ read back ──▶ new tables ──▶ read back
//! ```
//!
//! The disk is made as large as the device, so that the table's copy lies at its end. Only what is data is written,
//! and zeros where something old would do harm: outside of partitions (tables, labels of RAID and ZFS), and in the
//! first and last MiB of each (another filesystem's signature beside the new one's). The tables come last: a device
//! that was not finished has none, and neither boots nor looks as if it could.

mod copy;
mod device;
mod error;
mod usage;

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rustix::fs::{OFlags, major, minor};

use super::disk::{self, Disk, DiskConfig};
use copy::Copy;
pub use device::{Device, Kernel};
pub use error::FlashError;
use hoopy_disk::sparse;
pub use usage::{Purpose, Use};

/// In how much of the start and the end of disks and partitions others leave their signatures: btrfs at 64 KiB, RAID
/// and ZFS within the last MiB.
const SIGNATURES: u64 = 1 << 20;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Writing.
    Writing,
    /// Reading back.
    Verifying,
}

/// What a flash depends on besides the disk.
pub struct Flash<'a> {
    /// Whether a disk that is not removable is meant.
    pub fixed_disk: bool,
    /// Set when it is to stop.
    pub stop: &'a AtomicBool,
    /// Is told how far it is: bytes done, bytes in all.
    pub progress: &'a dyn Fn(Phase, u64, u64),
}

/// Looks at the device `path`.
///
/// # Errors
/// [`FlashError`] where it is no whole device.
pub fn look(path: &Path, kernel: &Kernel) -> Result<Device, FlashError> {
    let meta = fs::metadata(path).map_err(FlashError::io("look at", path))?;
    if !meta.file_type().is_block_device() {
        return Err(FlashError::NotADevice(path.to_owned()));
    }
    Device::look((major(meta.rdev()), minor(meta.rdev())), kernel)
}

/// Whether `device` may be written to.
///
/// # Errors
/// [`FlashError`] with the reason why not.
pub fn admit(device: &Device, fixed_disk: bool) -> Result<(), FlashError> {
    let name = device.name.clone();
    let uses = device.uses.clone();
    if uses.iter().any(Use::is_system) {
        return Err(FlashError::System { name, uses });
    }
    if !uses.is_empty() {
        return Err(FlashError::Busy { name, uses });
    }
    if device.size == 0 {
        return Err(FlashError::Empty(name));
    }
    if device.read_only {
        return Err(FlashError::ReadOnly(name));
    }
    if device.sector != hoopy_disk::gpt::SECTOR {
        return Err(FlashError::Sectors { name, sector: device.sector });
    }
    if !device.removable && !fixed_disk {
        return Err(FlashError::Fixed { name, model: device.model.clone(), size: device.size });
    }
    Ok(())
}

/// Makes the disk of `config` in a file in `temp`, as large as the device unless a size is given, and writes it to
/// `path`, which was looked at as `device`.
///
/// # Errors
/// [`FlashError`]. Where writing had begun, the device has no partition table.
pub fn flash(
    path: &Path,
    device: &Device,
    config: DiskConfig,
    temp: &Path,
    how: &Flash<'_>,
) -> Result<Disk, FlashError> {
    admit(device, how.fixed_disk)?;
    let wanted = config.size.unwrap_or(device.size);
    if wanted > device.size {
        return Err(FlashError::TooLarge { name: device.name.clone(), wanted, size: device.size });
    }
    // Alone: fails where something of it is mounted after all, and keeps others from mounting it
    let flags = OFlags::EXCL.bits().cast_signed();
    let out = File::options().read(true).write(true).custom_flags(flags).open(path);
    let out = out.map_err(FlashError::io("open", path))?;
    let file = tempfile::tempfile_in(temp).map_err(FlashError::io("make a file in", temp))?;
    let disk = disk::write_to(&file, &DiskConfig { size: Some(wanted), ..config }, temp)?;
    let plan = Plan::of(&file, &disk, device.size).map_err(FlashError::io("read", temp))?;
    let copy = Copy::new(&file, &out, &device.name, how, plan.totals());
    // A size of its own: whatever lay behind is no table's copy any more
    copy.zero(&plan.tables)?;
    copy.zero(&plan.zeros)?;
    copy.data(&plan.data)?;
    copy.verify(&plan.zeros)?;
    copy.verify(&plan.data)?;
    copy.data(&plan.tables)?;
    copy.verify(&plan.tables)?;
    Ok(disk)
}

/// What goes where.
struct Plan {
    /// The first MiB and what is behind the last partition: tables, and zeros around them.
    tables: Vec<Range<u64>>,
    /// Data of partitions.
    data: Vec<Range<u64>>,
    /// What must not stay as it is, and is no data.
    zeros: Vec<Range<u64>>,
}

impl Plan {
    fn of(file: &File, disk: &Disk, device: u64) -> std::io::Result<Self> {
        let all = sparse::data(file)?;
        let (mut data, mut zeros) = (Vec::new(), disk.zeros.clone());
        let mut end = 0;
        for part in &disk.partitions {
            let range = part.start..part.start + part.size;
            let within = |r: &Range<u64>| r.start.max(range.start)..r.end.min(range.end);
            let own: Vec<Range<u64>> = all.iter().map(within).filter(|r| r.start < r.end).collect();
            let head = range.start..range.end.min(range.start + SIGNATURES);
            let tail = range.start.max(range.end.saturating_sub(SIGNATURES))..range.end;
            zeros.extend([head, tail].into_iter().flat_map(|r| sparse::without(r, &own)));
            data.extend(own);
            end = range.end;
        }
        let start = disk.partitions.first().map_or(0, |part| part.start);
        // The disk's own end, and the device's, where the copy of an older table is
        let behind = device.saturating_sub(SIGNATURES).max(disk.size);
        let tables = [0..start, end..disk.size, behind..device];
        Ok(Self { tables: tables.into_iter().filter(|r| r.start < r.end).collect(), data, zeros })
    }

    /// Bytes that are written, tables twice, and that are read back.
    fn totals(&self) -> (u64, u64) {
        let sum = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        let once = sum(&self.tables) + sum(&self.data) + sum(&self.zeros);
        (once + sum(&self.tables), once)
    }
}

#[cfg(test)]
mod tests;
