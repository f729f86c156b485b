//! Disks for the filesystems that an `fstab` mounts: made once, kept, with the very UUID or label that it names,
//! so that persistence can be tried without the real machine.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_disk::fstab::{Mount, Spec};
use hoopy_disk::mkfs::Maker;

use super::error::VmError;
use super::tools::Places;

/// How large a disk is unless something else is asked for: sparse, and enough for any filesystem here.
pub const DEFAULT_SIZE: u64 = 1 << 30;

/// A disk for a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchDisk {
    /// The image: raw, one filesystem, no partitions.
    pub path: PathBuf,
    /// What `fstab` calls it.
    pub spec: Spec,
    /// Whether it was made just now.
    pub made: bool,
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
        return Ok(ScratchDisk { path, spec, made: false });
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
    Ok(ScratchDisk { path, spec, made: true })
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
