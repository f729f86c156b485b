//! Disks for the filesystems that an `fstab` mounts: made once, kept, with the very UUID or label that it names,
//! so that persistence can be tried without the real machine. And blank ones, of which the machine makes what it likes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hoopy_disk::fstab::{Mount, Spec};
use hoopy_disk::mkfs::Maker;

use super::error::VmError;
use super::tools::Places;

/// Longest serial number: what a virtio disk has room for (include/uapi/linux/virtio_blk.h, `VIRTIO_BLK_ID_BYTES`).
pub const MAX_SERIAL: usize = 20;

/// How large a disk is unless something else is asked for: sparse, and enough for any filesystem here.
pub const DEFAULT_SIZE: u64 = 1 << 30;

/// A disk for a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchDisk {
    /// The image: raw, without partitions; with one filesystem, or blank.
    pub path: PathBuf,
    /// What `fstab` calls it.
    pub spec: Spec,
    /// The serial number that the machine reads of it; without one, QEMU gives none.
    pub serial: Option<String>,
    /// Whether it was made just now.
    pub made: bool,
}

/// A disk that is blank when it is new: the machine puts on it what it likes, as an array over several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlankDisk {
    /// In bytes.
    pub size: u64,
    /// The serial number: what `/dev/disk/by-id` is made of.
    pub serial: String,
}

impl BlankDisk {
    /// What Linux calls it where something makes links of serial numbers (udev, Alpine's mdev).
    fn spec(&self) -> Spec {
        Spec::Other(format!("/dev/disk/by-id/virtio-{}", self.serial))
    }
}

/// Makes sure that each blank disk is in `dir`. One that is there already is kept; it grows, and never shrinks.
///
/// # Errors
/// [`VmError::Io`].
pub fn blank(dir: &Path, disks: &[BlankDisk]) -> Result<Vec<ScratchDisk>, VmError> {
    fs::create_dir_all(dir).map_err(VmError::io("create", dir))?;
    let make = |disk: &BlankDisk| {
        let path = dir.join(format!("serial-{}.img", disk.serial));
        let made = !path.exists();
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(VmError::io("open", &path))?;
        let now = file.metadata().map_err(VmError::io("read", &path))?.len();
        // A hole: room is taken only as the machine writes
        file.set_len(now.max(disk.size)).map_err(VmError::io("enlarge", &path))?;
        Ok(ScratchDisk { path, spec: disk.spec(), serial: Some(disk.serial.clone()), made })
    };
    disks.iter().map(make).collect()
}

/// The disks that an `fstab` asks for, and the lines that got none.
#[derive(Debug, Default)]
pub struct Scratch {
    /// In the order of the lines.
    pub disks: Vec<ScratchDisk>,
    /// Lines that mount a disk and got none, and why.
    pub skipped: Vec<(Mount, &'static str)>,
}

/// Makes sure that there is a disk in `dir` for each device that `mounts` names by UUID or label, but for `esp`, which the
/// machine boots from. Lines that name the same device share one. `size` is that of new ones, in bytes.
///
/// # Errors
/// [`VmError::Mkfs`], [`VmError::Io`].
pub fn make(
    dir: &Path,
    mounts: &[Mount],
    esp: Option<&Mount>,
    size: u64,
    places: &Places,
) -> Result<Scratch, VmError> {
    fs::create_dir_all(dir).map_err(VmError::io("create", dir))?;
    let mut scratch = Scratch::default();
    let mut seen: BTreeSet<Spec> = esp.into_iter().map(|line| line.spec.clone()).collect();
    for mount in mounts.iter().filter(|mount| mount.is_disk()) {
        let reason = match (&mount.spec, Maker::of(&mount.filesystem)) {
            (Spec::Other(device), _) if device.starts_with("PART") => {
                "it names a partition, and scratch disks have none: UUID= or LABEL= get a disk"
            }
            (Spec::Other(_), _) => "its device is not named by UUID= or LABEL=",
            (_, None) => "hoopy makes no disks with such a filesystem",
            (_, Some(_)) if !seen.insert(mount.spec.clone()) => continue,
            (_, Some(maker)) => {
                scratch.disks.push(disk(dir, mount, &maker, size, places)?);
                continue;
            }
        };
        scratch.skipped.push((mount.clone(), reason));
    }
    Ok(scratch)
}

impl Scratch {
    /// Adds blank disks. Lines of `fstab` that name one of them have their disk.
    pub fn with(mut self, blank: Vec<ScratchDisk>) -> Self {
        self.skipped.retain(|(mount, _)| blank.iter().all(|disk| disk.spec != mount.spec));
        self.disks.extend(blank);
        self
    }
}

fn disk(
    dir: &Path,
    mount: &Mount,
    maker: &Maker,
    size: u64,
    places: &Places,
) -> Result<ScratchDisk, VmError> {
    maker.check(mount)?;
    // Another filesystem under the same name is another disk: what the old one holds is not thrown away
    let path = dir.join(format!("{}-{}.img", maker.tool().trim_start_matches("mk"), file_name(&mount.spec)));
    let spec = mount.spec.clone();
    if path.is_file() {
        return Ok(ScratchDisk { path, spec, serial: None, made: false });
    }
    let image = tempfile::NamedTempFile::new_in(dir).map_err(VmError::io("make a file in", dir))?;
    image.as_file().set_len(size).map_err(VmError::io("enlarge", image.path()))?;
    maker.make(image.path(), mount, &places.programs)?;
    // Some tools write a new file in place of the one they were given: look at the path again
    File::open(image.path()).and_then(|f| f.sync_all()).map_err(VmError::io("write", image.path()))?;
    // The tool's new file has the umask's mode, and what the machine will keep there is its own
    fs::set_permissions(image.path(), fs::Permissions::from_mode(0o600))
        .map_err(VmError::io("close", image.path()))?;
    image.persist(&path).map_err(|e| VmError::io("rename to", &path)(e.error))?;
    Ok(ScratchDisk { path, spec, serial: None, made: true })
}

/// A name that is safe in any directory, one for one.
pub(super) fn file_name(spec: &Spec) -> String {
    let mut out = String::new();
    for b in spec.to_string().bytes() {
        match b {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'=' => out.push(char::from(b)),
            _ => out += &format!("%{b:02x}"),
        }
    }
    out
}

#[cfg(test)]
mod tests;
