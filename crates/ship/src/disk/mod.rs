//! Disk images: a partition table, an EFI system partition in the layout of `hoopy.toml`, and what of the machine
//! outlives a boot. The layouts with two directories (`pair.rs`) have a FAT partition in its place, and the older kind of table.
//!
//! ```text
//! 0        1 MiB                              ...                       end
//! │ table  │ EFI system partition (FAT32)     │ one partition for each  │ table │
//! │        │ three images fit                 │ line of fstab chosen    │       │
//! ```
//!
//! The same input gives the same bytes where the filesystems' tools let it (see [`hoopy_disk::mkfs`]); GUIDs stand for
//! the machine's name. What may hold anything is a hole, and what has to be zero is written, so that the data of the
//! image alone, copied to a used disk, makes a good one; [`Disk::zeros`] are the exceptions.

mod bios;
mod error;
mod pair;
mod places;

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::atomic::Readers;
use hoopy_base::destination::OutputFile;
use hoopy_base::programs::Programs;
use hoopy_boot::extlinux::loader::Program;
use hoopy_boot::layout::{self, Layout};
use hoopy_boot::secrets::IDENTITY;
use hoopy_boot::state;
use hoopy_disk::esp::{self, Item, Volume};
use hoopy_disk::esp_line;
use hoopy_disk::gpt::{self, ALIGNMENT, EFI_SYSTEM, Partition, Table};
use hoopy_disk::mbr;
use hoopy_secrets::Plaintext;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::Serialize;

use hoopy_disk::fstab::Spec;
use hoopy_disk::mkfs::{self, Maker};
use hoopy_disk::populate;
use hoopy_disk::sparse;

pub use error::DiskError;
pub use places::{Lasting, choose};

/// Images that the EFI system partition has room for: the one that runs, the one before, and one that arrives.
const IMAGES: u64 = 3;

/// Copies of an image that a pair has room for: of each slot the image and its parts, and what the next one is longer.
const PAIR_COPIES: u64 = 5;

/// The smallest EFI system partition where nothing says how large the disk is: images grow. FAT32 it is, which some
/// firmware wants.
const ESP: u64 = 512 << 20;

/// Beside the images: boot loader, its configuration, a health report.
const ESP_SPARE: u64 = 4 << 20;

/// A partition that outlives a boot where nothing says how large the disk is; sparse.
const LASTING: u64 = 1 << 30;

/// The smallest that any of the filesystems can be made in, and hold something: ext4 with a journal.
const LASTING_MIN: u64 = 16 << 20;

/// Partitions beside the EFI system partition, far above what anybody has on a stick.
const MAX_LASTING: usize = 16;

/// Pieces in which data is copied.
const CHUNK: usize = 1 << 20;

/// What systemd-boot is told. `default` is not among it: it would be started even where it is known to be bad.
const LOADER_CONF: &str = "\
# Written by hoopy. No `default`: systemd-boot takes the newest image that is not given up.
# An image that firmware refuses counts as a failed try (systemd 258 and later; others ignore it).
reboot-on-error yes
";

/// Added to it: the seconds for which it shows a menu. It shows none, and waits for no key, with 0.
const TIMEOUT: &str = "timeout";

/// Added to it: keys are enrolled at the first boot. systemd-boot does so in setup mode alone, after a countdown.
const ENROLL: &str = "secure-boot-enroll force\n";

/// Where systemd-boot looks for lists of keys.
const KEYS: &str = "loader/keys/auto";

/// The configuration of systemd-boot, which shows its menu for so many seconds.
pub(crate) fn loader_conf(menu: u16) -> String {
    format!("{LOADER_CONF}{TIMEOUT} {menu}\n")
}

/// What a disk is made of.
#[derive(Debug)]
pub struct DiskConfig {
    /// The machine's architecture.
    pub arch: Arch,
    /// The machine's name, for which the GUIDs stand.
    pub name: String,
    /// How images lie on the EFI system partition.
    pub layout: Layout,
    /// Seconds for which systemd-boot shows a menu, with [`Layout::Ab`].
    pub menu: u16,
    /// The image.
    pub image: PathBuf,
    /// systemd-boot, for [`Layout::Ab`].
    pub loader: Option<Vec<u8>>,
    /// The boards' firmware, for [`Layout::Pi`]: names and files.
    pub firmware: Vec<(String, Vec<u8>)>,
    /// Signed lists of keys for the firmware, by the variable that each is for: with [`Layout::Ab`], systemd-boot offers to
    /// enrol them.
    pub keys: Vec<(String, Vec<u8>)>,
    /// Whether it enrols them without being asked, where the firmware is in setup mode.
    pub enroll: bool,
    /// The partitions that `fstab` wants.
    pub lasting: Lasting,
    /// Bytes of the disk; as many as it takes where none are given.
    pub size: Option<u64>,
    /// The machine's identity, where one of the partitions is to keep it.
    pub identity: Option<DiskIdentity>,
    /// A backup that the machine restores at its first boot.
    pub restore: Option<DiskRestore>,
    /// Where the filesystems' tools are.
    pub programs: Programs,
}

/// The machine's identity, and where it goes.
#[derive(Debug)]
pub struct DiskIdentity {
    /// Where `fstab` mounts the filesystem.
    pub mount_point: String,
    /// The file, as the machine reads it.
    pub file: Plaintext,
}

/// A backup in the clear, and where it goes.
#[derive(Debug)]
pub struct DiskRestore {
    /// Where `fstab` mounts the filesystem.
    pub mount_point: String,
    /// The archive.
    pub file: File,
}

/// A disk that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Disk {
    /// Its bytes.
    pub size: u64,
    /// Its partitions, in their order.
    pub partitions: Vec<Part>,
    /// The path of the image on the first.
    pub started: String,
    /// Holes that have to be zeros all the same.
    #[serde(skip)]
    pub zeros: Vec<Range<u64>>,
}

/// A partition that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What it is for: `EFI system`, or where it is mounted.
    pub name: String,
    /// The filesystem.
    pub filesystem: String,
    /// What `fstab` calls it: `UUID=...` or `LABEL=...`.
    pub spec: String,
    /// Its first byte.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
}

/// Writes the disk to `out`, which is there when it is whole, or not at all; a pipe gets it when it is whole.
///
/// # Errors
/// [`DiskError`].
pub fn write(out: &Path, config: &DiskConfig) -> Result<Disk, DiskError> {
    let mut output = OutputFile::new(out).map_err(DiskError::io("write", out))?;
    if output.to().is_disk() {
        return Err(DiskError::IsDisk(out.to_owned()));
    }
    let dir = output.directory();
    let disk = write_to(output.file(), config, &dir)?;
    let readers = match (&config.identity, &config.restore) {
        // Whoever reads the disk can open the machine's secrets, or has its state
        (Some(_), _) | (_, Some(_)) => Readers::Owner,
        // The image is in it: who may not read that may not read this
        (None, None) => Readers::of_file(&config.image).map_err(DiskError::io("read", &config.image))?,
    };
    output.finish(readers).map_err(DiskError::io("write", out))?;
    Ok(disk)
}

/// Writes the disk to the empty file `out`. Filesystems are made in `temp` before they are copied.
///
/// # Errors
/// [`DiskError`].
pub fn write_to(out: &File, config: &DiskConfig, temp: &Path) -> Result<Disk, DiskError> {
    let mut image = File::open(&config.image).map_err(DiskError::io("open", &config.image))?;
    let image_size = image.metadata().map_err(DiskError::io("read", &config.image))?.len();
    check_arch(&mut image, config)?;
    let table = plan(config, image_size)?;
    out.set_len(table.size).map_err(DiskError::Write)?;
    match config.layout {
        Layout::Single | Layout::Ab => table.write(out)?,
        Layout::Pi | Layout::Extlinux => mbr::write(out, &table)?,
    }
    let mut parts = table.partitions.iter();
    let esp = parts.next().ok_or(DiskError::NoEsp)?;
    let started = write_esp(out, esp, config, &mut image, image_size)?;
    let volume = volume(config);
    let kind = if config.layout.has_pair() { "boot" } else { "EFI system" };
    let mut disk = Disk { size: table.size, partitions: Vec::new(), started, zeros: Vec::new() };
    let spec = Spec::Uuid(format!("{:04X}-{:04X}", volume.id >> 16, volume.id & 0xffff)).to_string();
    disk.partitions.push(part(esp, kind.to_owned(), "vfat".to_owned(), spec));
    for (partition, mount) in parts.zip(&config.lasting.mounts) {
        let maker = Maker::of(&mount.filesystem).ok_or_else(|| DiskError::no_maker(mount))?;
        let made = tempfile::NamedTempFile::new_in(temp).map_err(DiskError::io("make a file in", temp))?;
        made.as_file().set_len(partition.size).map_err(DiskError::io("enlarge", made.path()))?;
        maker.make(made.path(), mount, &config.programs)?;
        if let Some(identity) = config.identity.as_ref().filter(|own| own.mount_point == mount.mount_point) {
            keep_identity(made.path(), &identity.file, &config.programs)?;
        }
        if let Some(restore) = config.restore.as_ref().filter(|own| own.mount_point == mount.mount_point) {
            put(made.path(), &restore.file, (state::HOME, state::RESTORE), &config.programs)?;
        }
        // Some tools write a new file in place of the one they were given
        let from = File::open(made.path()).map_err(DiskError::io("open", made.path()))?;
        let data = copy(&from, out, partition).map_err(DiskError::Write)?;
        if !maker.holes_mean_nothing() {
            disk.zeros.extend(sparse::without(partition.start..partition.start + partition.size, &data));
        }
        let (name, filesystem) = (mount.mount_point.clone(), mount.filesystem.clone());
        disk.partitions.push(part(partition, name, filesystem, mount.spec.to_string()));
    }
    Ok(disk)
}

/// The identity lies in no file of this computer but the disk itself.
fn keep_identity(image: &Path, file: &Plaintext, programs: &Programs) -> Result<(), DiskError> {
    let memory = memfd_create("hoopy-identity", MemfdFlags::CLOEXEC);
    let mut memory = File::from(memory.map_err(|error| DiskError::Write(error.into()))?);
    memory.write_all(file.as_bytes()).map_err(DiskError::Write)?;
    put(image, &memory, IDENTITY.split_once('/').unwrap_or(("", IDENTITY)), programs)
}

/// A file that has no name here.
fn put(image: &Path, file: &File, to: (&str, &str), programs: &Programs) -> Result<(), DiskError> {
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok(populate::put(image, Path::new(&path), to, programs)?)
}

/// Firmware looks for an image by the file's name, which says the architecture: under the name of another one, it
/// would find a program that it cannot start.
fn check_arch(image: &mut File, config: &DiskConfig) -> Result<(), DiskError> {
    let found = hoopy_uki::read_headers(image).map(|(headers, ..)| Arch::from(headers.machine));
    image.rewind().map_err(DiskError::io("read", &config.image))?;
    match found {
        Ok(found) if found != config.arch => {
            Err(DiskError::WrongArch { image: config.image.clone(), expected: config.arch, found })
        }
        _ => Ok(()),
    }
}

fn part(partition: &Partition, name: String, filesystem: String, spec: String) -> Part {
    Part { name, filesystem, spec, start: partition.start, size: partition.size }
}

/// The table for an image of so many bytes.
fn plan(config: &DiskConfig, image: u64) -> Result<Table, DiskError> {
    let mounts = &config.lasting.mounts;
    if mounts.len() > MAX_LASTING {
        return Err(DiskError::TooMany { found: mounts.len(), most: MAX_LASTING });
    }
    let count = mounts.len() as u64;
    let loader = config.loader.as_ref().map_or(0, |l| l.len() as u64);
    let firmware = config.firmware.iter().map(|(_, file)| file.len() as u64);
    let copies = if config.layout.has_pair() { PAIR_COPIES } else { IMAGES };
    let files = vec![image; copies as usize].into_iter().chain([loader]).chain(firmware);
    let least = esp::size_for(files, ESP_SPARE);
    // Before the first partition and behind the last: the table and its copy.
    let ample = 2 * ALIGNMENT + least.max(ESP) + count * LASTING;
    // QEMU, as cards themselves, knows only powers of two.
    let ample = if config.layout == Layout::Pi { ample.next_power_of_two() } else { ample };
    let size = config.size.unwrap_or(ample);
    let size = size / gpt::SECTOR * gpt::SECTOR;
    let (start, end) = gpt::usable(size);
    let needed = 2 * ALIGNMENT + least + count * LASTING_MIN;
    let room = end.checked_sub(start).filter(|room| *room >= least + count * LASTING_MIN);
    let room = room.ok_or(DiskError::TooSmall { size, needed, esp: least, images: IMAGES })?;
    let spare = room - least - count * LASTING_MIN;
    let esp = if count == 0 { room } else { least + spare.min(ESP.saturating_sub(least)) };
    let each = (room - esp).checked_div(count).unwrap_or(0) / ALIGNMENT * ALIGNMENT;
    let id = |n: usize| mkfs::derived("partition", &format!("{} {n}", config.name));
    let mut partitions =
        vec![Partition { kind: EFI_SYSTEM, id: id(1), name: "EFI system".to_owned(), start, size: esp }];
    for (n, mount) in mounts.iter().enumerate() {
        let kind = Maker::of(&mount.filesystem).ok_or_else(|| DiskError::no_maker(mount))?.kind();
        let start = start + esp + n as u64 * each;
        // Names are for people, and the table has room for 36 characters.
        let name = mount.mount_point.chars().filter(|c| c.is_ascii_graphic()).take(36).collect();
        partitions.push(Partition { kind, id: id(n + 2), name, start, size: each });
    }
    Ok(Table { disk: mkfs::derived("disk", &config.name), size, partitions })
}

/// What the EFI system partition is called: as `fstab` says, if it names it.
fn volume(config: &DiskConfig) -> Volume {
    let own = mkfs::derived("esp", &config.name).to_bytes_le();
    let id = own.iter().take(4).fold(0_u32, |id, byte| (id << 8) | u32::from(*byte));
    let plain = Volume { id, spare: 0, ..Volume::default() };
    match &config.lasting.esp {
        Some(line) => esp_line::volume(line, plain),
        None => plain,
    }
}

fn write_esp(
    out: &File,
    partition: &Partition,
    config: &DiskConfig,
    image: &mut File,
    size: u64,
) -> Result<String, DiskError> {
    if config.enroll && config.layout != Layout::Ab {
        return Err(DiskError::NothingEnrolls(config.layout));
    }
    if config.layout.has_pair() {
        let started = pair::write(out, partition, &volume(config), config, image, size)?;
        if config.layout == Layout::Extlinux && pair::program(config.arch) == Program::Syslinux {
            bios::install(out, partition, &config.programs)?;
        }
        return Ok(started);
    }
    let started = layout::started(config.arch);
    let mut items = Vec::new();
    let enroll = if config.enroll { ENROLL } else { "" };
    let conf = loader_conf(config.menu) + enroll;
    let (mut loader, mut conf) = (config.loader.as_deref().unwrap_or_default(), conf.as_bytes());
    let mut keys: Vec<(String, &[u8])> =
        config.keys.iter().map(|(name, list)| (format!("{KEYS}/{name}.auth"), list.as_slice())).collect();
    let path = match config.layout {
        Layout::Single | Layout::Pi | Layout::Extlinux => started,
        Layout::Ab => {
            if loader.is_empty() {
                return Err(DiskError::NoLoader);
            }
            items.push(Item { path: started, size: loader.len() as u64, content: &mut loader });
            let path = "loader/loader.conf".to_owned();
            items.push(Item { path, size: conf.len() as u64, content: &mut conf });
            for (path, list) in &mut keys {
                items.push(Item { path: path.clone(), size: list.len() as u64, content: list });
            }
            slot(&config.image)?
        }
    };
    items.push(Item { path: path.clone(), size, content: image });
    esp::write_at(out, partition.start, partition.size, &volume(config), &mut items)?;
    Ok(path)
}

/// The image's file, without a counter: a trial needs another image to fall back to, and a new disk has none.
fn slot(image: &Path) -> Result<String, DiskError> {
    let slot = image.file_name().and_then(|name| layout::Slot::parse(name.to_str()?));
    let slot = slot.ok_or_else(|| DiskError::Name(image.to_owned()))?;
    let good = layout::Slot { left: None, done: 0, ..slot };
    Ok(format!("{}/{good}", layout::LINUX_DIR))
}

/// Copies the data of `from` into the partition; gives where it lies on the disk.
fn copy(from: &File, out: &File, partition: &Partition) -> io::Result<Vec<Range<u64>>> {
    let mut chunk = vec![0; CHUNK];
    let data = sparse::data(from)?;
    for range in &data {
        let mut at = range.start;
        while at < range.end.min(partition.size) {
            let want = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
            let buffer = chunk.get_mut(..want).unwrap_or_default();
            from.read_exact_at(buffer, at)?;
            out.write_all_at(buffer, partition.start + at)?;
            at += want as u64;
        }
    }
    Ok(data.into_iter().map(|r| r.start + partition.start..r.end + partition.start).collect())
}

#[cfg(test)]
mod tests;
