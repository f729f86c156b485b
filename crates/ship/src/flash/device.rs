//! What the kernel says of a block device: model, size, what of it is in use, and for what.
//!
//! Source: `Documentation/ABI/stable/sysfs-block`, proc(5).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::FlashError;
use super::usage::{Purpose, Use};

/// Partitions and holders looked at, far above what there are: sysfs is the kernel's, but a loop must end.
const MAX_LISTED: usize = 1024;

/// How deep disks lie in others: LVM over LUKS over RAID is three.
const MAX_DEPTH: usize = 8;

/// Where the kernel shows itself.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The kernel's name: `sdb`.
    pub name: String,
    /// Who made it and what it calls itself.
    pub model: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of its sectors.
    pub sector: u64,
    /// Whether it is made to be carried around: the kernel says so, or it is on USB or an SD card.
    pub removable: bool,
    /// Whether it takes no writes.
    pub read_only: bool,
    /// Its partitions.
    pub partitions: Vec<String>,
    /// What of it is in use.
    pub uses: Vec<Use>,
}

impl Device {
    /// Looks at the device with the number `major:minor`.
    ///
    /// # Errors
    /// [`FlashError::Partition`] where it is only part of a disk; [`FlashError::Io`] where the kernel knows no such.
    pub fn look(number: (u32, u32), kernel: &Kernel) -> Result<Self, FlashError> {
        let link = kernel.sys.join(format!("dev/block/{}:{}", number.0, number.1));
        let place = fs::canonicalize(&link).map_err(FlashError::io("find", &link))?;
        let name = last(&place);
        if place.join("partition").exists() {
            let disk = place.parent().map(last).unwrap_or_default();
            return Err(FlashError::Partition { name, disk });
        }
        let size = number_in(&place.join("size"))?.saturating_mul(512);
        let said = |file: &str| text(&place.join(file)).unwrap_or_default();
        let model: Vec<String> = ["device/vendor", "device/model", "device/name"]
            .map(said)
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect();
        let carried = place.components().any(|c| c.as_os_str().to_string_lossy().starts_with("usb"));
        let partitions = below(&place, |path| path.join("partition").exists())?;
        let mut uses = Vec::new();
        for own in std::iter::once(place.clone()).chain(partitions.iter().map(|p| place.join(p))) {
            used(&own, kernel, 0, &mut uses)?;
        }
        Ok(Self {
            name,
            model: model.join(" "),
            size,
            sector: number_in(&place.join("queue/logical_block_size")).unwrap_or(512),
            removable: said("removable") == "1" || carried || said("device/type") == "SD",
            read_only: said("ro") == "1",
            partitions,
            uses,
        })
    }
}

/// Adds what `place`, and all that is made of it, is used for.
fn used(place: &Path, kernel: &Kernel, depth: usize, uses: &mut Vec<Use>) -> Result<(), FlashError> {
    let name = last(place);
    let own = text(&place.join("dev")).unwrap_or_default();
    let before = uses.len();
    let mounts = read(&kernel.proc.join("self/mountinfo"))?;
    for point in mounts.lines().filter_map(|line| mounted(line, &own, &name)) {
        uses.push(Use { name: name.clone(), purpose: Purpose::Mounted(point) });
    }
    let swaps = read(&kernel.proc.join("swaps"))?;
    if swaps.lines().skip(1).filter_map(|l| l.split_whitespace().next()).any(|path| device_name(path) == name)
    {
        uses.push(Use { name: name.clone(), purpose: Purpose::Swap });
    }
    let holders = place.join("holders");
    if depth >= MAX_DEPTH || !holders.is_dir() {
        return Ok(());
    }
    for holder in below(&holders, |_| true)? {
        let there = uses.len();
        let place = fs::canonicalize(holders.join(&holder))
            .unwrap_or_else(|_| kernel.sys.join("class/block").join(&holder));
        used(&place, kernel, depth + 1, uses)?;
        if uses.len() == there && uses.len() == before {
            uses.push(Use { name: name.clone(), purpose: Purpose::Held(holder) });
        }
    }
    Ok(())
}

/// The mount point of a line of `mountinfo`, where it mounts the device with this number or name. The name counts
/// too: btrfs has numbers of its own.
fn mounted(line: &str, number: &str, name: &str) -> Option<String> {
    let (fields, rest) = line.split_once(" - ")?;
    let mut fields = fields.split(' ').skip(2);
    let (own, point) = (fields.next()?, fields.nth(1)?);
    let source = rest.split(' ').nth(1)?;
    (own == number || device_name(source) == name).then(|| point.to_owned())
}

fn device_name(path: &str) -> &str {
    path.strip_prefix("/dev/").unwrap_or_default()
}

fn below(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, FlashError> {
    let entries = fs::read_dir(dir).map_err(FlashError::io("read", dir))?;
    let paths = entries.take(MAX_LISTED).filter_map(|e| Some(e.ok()?.path()));
    let mut names: Vec<String> = paths.filter(|p| wanted(p)).map(|p| last(&p)).collect();
    names.sort();
    Ok(names)
}

fn last(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn read(path: &Path) -> Result<String, FlashError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // A kernel without swap has no such file
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.ends_with("swaps") => Ok(String::new()),
        Err(e) => Err(FlashError::io("read", path)(e)),
    }
}

fn number_in(path: &Path) -> Result<u64, FlashError> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "it holds no number");
    let text = fs::read_to_string(path).map_err(FlashError::io("read", path))?;
    text.trim().parse().map_err(|_| FlashError::io("read", path)(bad()))
}
