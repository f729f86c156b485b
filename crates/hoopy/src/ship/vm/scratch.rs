//! Disks for the filesystems that an `fstab` mounts: made once, kept, with the very UUID or label that it names,
//! so that persistence can be tried without the real machine.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::VmError;
use super::fstab::{Mount, Spec};
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

/// How a filesystem is made.
struct Maker {
    tool: &'static str,
    package: &'static str,
    /// Arguments before all others.
    args: &'static [&'static str],
    uuid: &'static str,
    label: &'static str,
    /// In bytes.
    max_label: usize,
}

fn maker(filesystem: &str) -> Option<Maker> {
    let ext = |tool| Maker {
        tool,
        package: "e2fsprogs",
        args: &["-q", "-F"],
        uuid: "-U",
        label: "-L",
        max_label: 16,
    };
    Some(match filesystem {
        "ext2" => ext("mkfs.ext2"),
        "ext3" => ext("mkfs.ext3"),
        "ext4" | "auto" => ext("mkfs.ext4"),
        "vfat" | "msdos" => Maker {
            tool: "mkfs.vfat",
            package: "dosfstools",
            args: &["-F", "32"],
            uuid: "-i",
            label: "-n",
            max_label: 11,
        },
        "btrfs" => Maker {
            tool: "mkfs.btrfs",
            package: "btrfs-progs",
            args: &["-q", "-f"],
            uuid: "-U",
            label: "-L",
            max_label: 255,
        },
        "xfs" => Maker {
            tool: "mkfs.xfs",
            package: "xfsprogs",
            args: &["-q", "-f"],
            uuid: "-m",
            label: "-L",
            max_label: 12,
        },
        "f2fs" => Maker {
            tool: "mkfs.f2fs",
            package: "f2fs-tools",
            args: &["-q", "-f"],
            uuid: "-U",
            label: "-l",
            max_label: 255,
        },
        "swap" => {
            Maker { tool: "mkswap", package: "util-linux", args: &[], uuid: "-U", label: "-L", max_label: 16 }
        }
        _ => return None,
    })
}

/// Makes sure that there is a disk in `dir` for each device that `mounts` names by UUID or label. Lines that name
/// the same device share one. `size` is that of new ones, in bytes.
///
/// # Errors
/// [`VmError::NoMkfs`], [`VmError::Mkfs`], [`VmError::BadSpec`], [`VmError::Io`].
pub fn make(dir: &Path, mounts: &[Mount], size: u64, places: &Places) -> Result<Scratch, VmError> {
    fs::create_dir_all(dir).map_err(VmError::io("create", dir))?;
    let mut scratch = Scratch::default();
    let mut seen = BTreeSet::new();
    for mount in mounts.iter().filter(|mount| mount.is_disk()) {
        let reason = match (&mount.spec, maker(&mount.filesystem)) {
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
    let args = identity(mount, maker)?;
    // Another filesystem under the same name is another disk: what the old one holds is not thrown away
    let path = dir.join(format!("{}-{}.img", maker.tool.trim_start_matches("mk"), file_name(&mount.spec)));
    let spec = mount.spec.clone();
    if path.is_file() {
        return Ok(ScratchDisk { path, spec, made: false });
    }
    let missing =
        || VmError::NoMkfs { filesystem: mount.filesystem.clone(), tool: maker.tool, package: maker.package };
    let tool = places.program(maker.tool).ok_or_else(missing)?;
    let image = tempfile::NamedTempFile::new_in(dir).map_err(VmError::io("make a file in", dir))?;
    image.as_file().set_len(size).map_err(VmError::io("enlarge", image.path()))?;
    let mut command = Command::new(&tool);
    command.args(maker.args).args(args).arg(image.path()).stdin(Stdio::null());
    let output = command.output().map_err(VmError::start(&tool))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(VmError::Mkfs { tool: maker.tool, spec: mount.spec.to_string(), message });
    }
    // Some tools write a new file in place of the one they were given: look at the path again
    File::open(image.path()).and_then(|f| f.sync_all()).map_err(VmError::io("write", image.path()))?;
    image.persist(&path).map_err(|e| VmError::io("rename to", &path)(e.error))?;
    Ok(ScratchDisk { path, spec, made: true })
}

/// The arguments that give the filesystem its UUID or label.
fn identity(mount: &Mount, maker: &Maker) -> Result<[String; 2], VmError> {
    let bad = |reason| VmError::BadSpec {
        line: mount.line,
        spec: mount.spec.to_string(),
        filesystem: mount.filesystem.clone(),
        reason,
    };
    match &mount.spec {
        Spec::Uuid(uuid) if maker.uuid == "-i" => {
            let digits = uuid.replacen('-', "", 1);
            if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad("it must look like 1234-ABCD"));
            }
            Ok([maker.uuid.to_owned(), digits])
        }
        Spec::Uuid(uuid) if !is_uuid(uuid) => {
            Err(bad("it must look like 01234567-89ab-cdef-0123-456789abcdef"))
        }
        Spec::Uuid(uuid) if maker.uuid == "-m" => Ok(["-m".to_owned(), format!("uuid={uuid}")]),
        Spec::Uuid(uuid) => Ok([maker.uuid.to_owned(), uuid.clone()]),
        Spec::Label(label) if label.is_empty() || label.len() > maker.max_label => {
            Err(bad("labels of this filesystem are shorter, and not empty"))
        }
        Spec::Label(label) if label.starts_with('-') => Err(bad("it starts with a dash")),
        Spec::Label(label) => Ok([maker.label.to_owned(), label.clone()]),
        Spec::Other(_) => Err(bad("it is neither a UUID nor a label")),
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |g: &&str| g.bytes().all(|b| b.is_ascii_hexdigit());
    groups.iter().all(hex) && groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
}

/// A name that is safe in any directory, one for one.
fn file_name(spec: &Spec) -> String {
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
