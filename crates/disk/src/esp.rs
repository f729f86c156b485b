//! EFI system partitions: a FAT filesystem in a file, made from a list of paths and contents.
//!
//! The same list gives the same bytes: times, volume id and order are fixed, nothing is taken from the machine.
//! Contents are streamed. What no file covers is a hole.
//!
//! Source of the format: Microsoft's FAT specification 1.03, as the UEFI specification (section 13.3) asks
//! for it. The filesystem itself is written by `hadris-fat`; this module chooses its size and checks what goes in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use hadris_fat::format::{FatFormatOptions, FatTypeSelection, FatVolumeFormatter, SectorSize};
use hadris_fat::time::{FatDateTime, StaticTimeProvider};
use hadris_fat::{FatDir, FatType, FatVolume, FatVolumeReadExt as _, FatVolumeWriteExt as _, FileEntry};

use crate::window::Window;

/// The largest file that FAT holds: its size has 32 bits.
pub const MAX_FILE: u64 = u32::MAX as u64;

/// FAT32 has at least 65,525 clusters. Below this size, clusters of 4 KiB would be too few, and firmware
/// decides by their number, so smaller partitions are FAT16.
const FAT32_FROM: u64 = 272 << 20;

/// The smallest partition made: comfortably more than the 4,085 clusters that make a FAT16.
const MIN_SIZE: u64 = 20 << 20;

/// Sizes are whole MiB: what partition tools align to.
const MIB: u64 = 1 << 20;

/// Names of one partition together: far above what boot loaders need, low enough to keep in memory.
const MAX_FILES: usize = 4096;

/// Pieces in which contents are copied.
const CHUNK: usize = 256 << 10;

/// The one time of every directory entry: 1 January 1980, where FAT's clock starts.
static EPOCH: StaticTimeProvider = StaticTimeProvider(FatDateTime::EPOCH);

/// What a partition is called and how it is known.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Up to 11 characters of upper-case ASCII.
    pub label: String,
    /// The volume id, which Linux shows as the UUID `XXXX-XXXX`.
    pub id: u32,
    /// Bytes to be left free for later files, at least.
    pub spare: u64,
}

impl Default for Volume {
    fn default() -> Self {
        Self { label: "ESP".to_owned(), id: 0x686f_6f70, spare: 0 }
    }
}

/// A file to be put into the partition.
pub struct Item<'a> {
    /// Its path, components joined by `/`: `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// Bytes of content.
    pub size: u64,
    /// The content: exactly `size` bytes.
    pub content: &'a mut dyn Read,
}

/// Why a partition was not made.
#[derive(Debug, thiserror::Error)]
pub enum EspError {
    /// A path that FAT, or firmware, can't hold.
    #[error("{path:?} can't be a path on an EFI system partition: {reason}")]
    BadPath {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A label that FAT can't hold.
    #[error("{0:?} can't be the label of a FAT filesystem: at most 11 of A-Z, 0-9, `_` and `-` are allowed")]
    BadLabel(String),
    /// More than FAT's 32-bit sizes can say.
    #[error("{path} has {size} bytes: FAT holds files up to {MAX_FILE}")]
    TooLarge {
        /// Which file.
        path: String,
        /// Its size.
        size: u64,
    },
    /// A partition without room for the files.
    #[error("the EFI system partition needs {needed} bytes, and {size} are set aside for it")]
    TooSmall {
        /// What is there.
        size: u64,
        /// What is needed.
        needed: u64,
    },
    /// A list that is too long.
    #[error("{0} files are more than the {MAX_FILES} that an EFI system partition is made with")]
    TooMany(usize),
    /// A content that is not as long as was said.
    #[error("{path} was said to have {expected} bytes and has {found}")]
    WrongSize {
        /// Which file.
        path: String,
        /// As said.
        expected: u64,
        /// As read; one more than expected stands for any longer content.
        found: u64,
    },
    /// Reading a content failed.
    #[error("cannot read the content of {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The image could not be written.
    #[error("cannot write the partition: {0}")]
    Write(#[from] io::Error),
    /// The filesystem could not be made or changed.
    #[error("cannot put {what} on the FAT filesystem: {message}")]
    Fat {
        /// A path, or the filesystem.
        what: String,
        /// What the FAT library said.
        message: String,
    },
}

/// The size in bytes of a partition that holds files of these sizes and `spare` more bytes.
pub fn size_for(sizes: impl IntoIterator<Item = u64>, spare: u64) -> u64 {
    // Each file may waste a cluster and need one for its directory; the largest cluster chosen here is 32 KiB.
    let data: u64 = sizes.into_iter().map(|s| s.saturating_add(64 << 10)).fold(spare, u64::saturating_add);
    // Both copies of the table take 8 bytes per cluster of 4 KiB at most: 1/512. 1/64 is ample.
    let whole = data.saturating_add(data / 64).saturating_add(4 * MIB);
    whole.max(MIN_SIZE).div_ceil(MIB).saturating_mul(MIB)
}

/// Writes a partition with `items` into `out`, which is emptied first and ends up [`size_for`] long.
/// Directories are made as the paths ask for them.
///
/// # Errors
/// [`EspError`]; `out` then holds nothing of use.
pub fn write(out: &File, volume: &Volume, items: &mut [Item<'_>]) -> Result<u64, EspError> {
    let size = size_for(items.iter().map(|i| i.size), volume.spare);
    out.set_len(0)?;
    out.set_len(size)?;
    write_at(out, 0, size, volume, items)?;
    Ok(size)
}

/// Writes a partition with `items` into the `size` bytes of `out` from `start` on, both multiples of 512, which were
/// zeros. What has to be zero is written; what may hold anything is left as it is, a hole in a new file.
///
/// # Errors
/// [`EspError`]; the range then holds nothing of use.
pub fn write_at(
    out: &File,
    start: u64,
    size: u64,
    volume: &Volume,
    items: &mut [Item<'_>],
) -> Result<(), EspError> {
    check(volume, items)?;
    let needed = size_for(items.iter().map(|i| i.size), volume.spare);
    if size < needed {
        return Err(EspError::TooSmall { size, needed });
    }
    format(out, start, size, volume)?;
    let window = Window::new(out, start, size);
    let fat = FatVolume::builder(window).time_provider(&EPOCH).open().map_err(fat_error("the filesystem"))?;
    for item in items {
        write_item(&fat, item)?;
    }
    fat.sync().map_err(fat_error("the filesystem"))
}

/// Puts `item` into the partition that is all of `file`, in place of the file of its path. All else there stays.
///
/// # Errors
/// [`EspError`]; the old file is gone then.
pub fn replace(file: &File, mut item: Item<'_>) -> Result<(), EspError> {
    check(&Volume::default(), std::slice::from_ref(&item))?;
    let window = Window::new(file, 0, file.metadata()?.len());
    let fat = FatVolume::builder(window).time_provider(&EPOCH).open().map_err(fat_error("the filesystem"))?;
    if let Some(old) = find(&fat, &item.path)? {
        fat.delete(&old).map_err(fat_error(&item.path))?;
    }
    write_item(&fat, &mut item)?;
    fat.sync().map_err(fat_error("the filesystem"))
}

/// The content of the file at `path` in the partition of `size` bytes from `start` on; none where it is not there.
///
/// # Errors
/// [`EspError`], also where it has more than `most` bytes.
pub fn read_at(
    file: &File,
    start: u64,
    size: u64,
    path: &str,
    most: u64,
) -> Result<Option<Vec<u8>>, EspError> {
    let window = Window::new(file, start, size);
    let fat = FatVolume::builder(window).open().map_err(fat_error("the filesystem"))?;
    let Some(entry) = find(&fat, path)? else { return Ok(None) };
    if entry.len() > most {
        let (path, found) = (path.to_owned(), entry.len());
        return Err(EspError::WrongSize { path, expected: most, found });
    }
    let mut reader = fat.read_file(&entry).map_err(fat_error(path))?;
    reader.read_to_vec().map(Some).map_err(fat_error(path))
}

/// The file at `path`, where it is there.
fn find(fat: &FatVolume<Window<'_>>, path: &str) -> Result<Option<FileEntry>, EspError> {
    let mut dir = fat.root_dir();
    let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in dirs.split('/').filter(|part| !part.is_empty()) {
        let Some(entry) = dir.find(part).map_err(fat_error(path))? else { return Ok(None) };
        dir = fat.open_dir_entry(&entry).map_err(fat_error(path))?;
    }
    dir.find(name).map_err(fat_error(path))
}

fn format(out: &File, start: u64, size: u64, volume: &Volume) -> Result<(), EspError> {
    let kind = if size >= FAT32_FROM { FatTypeSelection::Fat32 } else { FatTypeSelection::Fat16 };
    let options = FatFormatOptions::new(size)
        .volume_label(&volume.label)
        .volume_id(volume.id)
        .sector_size(SectorSize::S512)
        .hidden_sectors(u32::try_from(start / 512).unwrap_or(0))
        .fat_type(kind);
    let params = FatVolumeFormatter::calculate_params(&options).map_err(fat_error("the filesystem"))?;
    let sector = params.sector_size as u64;
    let data = params.data_start_sector as u64 * sector;
    // Free clusters are zeros in the tables; of FAT32, the root directory is the first cluster.
    let zeros = vec![0; CHUNK];
    let end = data + params.sectors_per_cluster as u64 * sector;
    for at in (0..end.min(size)).step_by(CHUNK) {
        let length = usize::try_from(end.min(size) - at).unwrap_or(CHUNK).min(CHUNK);
        out.write_all_at(zeros.get(..length).unwrap_or_default(), start + at)?;
    }
    FatVolumeFormatter::format(Window::new(out, start, size), options)
        .map_err(fat_error("the filesystem"))?;
    let root = match params.fat_type {
        FatType::Fat32 => data,
        _ => {
            (params.reserved_sectors as u64 + params.fat_count as u64 * params.sectors_per_fat as u64)
                * sector
        }
    };
    stamp_label(out, start + root)
}

/// Gives the label's entry, the first of the root directory, the one time: the formatter takes the wall clock.
fn stamp_label(out: &File, entry: u64) -> Result<(), EspError> {
    const CREATED: u64 = 14; // time, date; then the date of access
    const WRITTEN: u64 = 22; // time, date
    let (date, time, _) = FatDateTime::EPOCH.to_raw();
    let [date, time] = [date, time].map(u16::to_le_bytes);
    out.write_all_at(&[time, date, date].concat(), entry + CREATED)?;
    out.write_all_at(&[time, date].concat(), entry + WRITTEN)?;
    Ok(())
}

fn write_item(fat: &FatVolume<Window<'_>>, item: &mut Item<'_>) -> Result<(), EspError> {
    let (dir, name) = match item.path.rsplit_once('/') {
        Some((dir, name)) => (make_dirs(fat, dir)?, name),
        None => (fat.root_dir(), item.path.as_str()),
    };
    let entry = fat.create_file(&dir, name).map_err(fat_error(&item.path))?;
    let mut writer = fat.write_file(&entry).map_err(fat_error(&item.path))?;
    let mut chunk = vec![0; CHUNK];
    let mut left = item.size;
    loop {
        // One byte more than is expected, so that a longer content is found out.
        let want = chunk.len().min(usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX));
        let buffer = chunk.get_mut(..want).unwrap_or_default();
        let read = match item.content.read(buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(EspError::Read { path: item.path.clone(), source }),
        };
        left = left.checked_sub(read as u64).ok_or_else(|| wrong_size(item, item.size + 1))?;
        let mut rest = chunk.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let written = writer.write(rest).map_err(fat_error(&item.path))?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    if left != 0 {
        return Err(wrong_size(item, item.size - left));
    }
    writer.finish().map_err(fat_error(&item.path))
}

fn wrong_size(item: &Item<'_>, found: u64) -> EspError {
    EspError::WrongSize { path: item.path.clone(), expected: item.size, found }
}

fn make_dirs<'a, 'f>(fat: &'a FatVolume<Window<'f>>, path: &str) -> Result<FatDir<'a, Window<'f>>, EspError> {
    let mut dir = fat.root_dir();
    for name in path.split('/') {
        let found = dir.find(name).map_err(fat_error(path))?;
        dir = match found {
            Some(entry) => fat.open_dir_entry(&entry).map_err(fat_error(path))?,
            None => fat.create_dir(&dir, name).map_err(fat_error(path))?,
        };
    }
    Ok(dir)
}

fn check(volume: &Volume, items: &[Item<'_>]) -> Result<(), EspError> {
    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if volume.label.is_empty() || volume.label.len() > 11 || !volume.label.bytes().all(good) {
        return Err(EspError::BadLabel(volume.label.clone()));
    }
    if items.len() > MAX_FILES {
        return Err(EspError::TooMany(items.len()));
    }
    let mut seen = BTreeSet::new();
    for item in items {
        if item.size > MAX_FILE {
            return Err(EspError::TooLarge { path: item.path.clone(), size: item.size });
        }
        check_path(&item.path)
            .and_then(|()| {
                seen.insert(item.path.to_ascii_lowercase()).then_some(()).ok_or("it is given twice")
            })
            .map_err(|reason| EspError::BadPath { path: item.path.clone(), reason })?;
    }
    Ok(())
}

/// Only what every firmware reads: printable ASCII, without what FAT forbids.
fn check_path(path: &str) -> Result<(), &'static str> {
    for name in path.split('/') {
        match name {
            "" => return Err("it has an empty component"),
            "." | ".." => return Err("it has a `.` or `..` component"),
            _ if name.len() > 255 => return Err("a name in it is longer than 255 characters"),
            _ if name.ends_with(['.', ' ']) => return Err("a name in it ends in a dot or a space"),
            _ if !name.bytes().all(|b| (0x20..0x7f).contains(&b)) => return Err("it is not printable ASCII"),
            _ if name.contains(['"', '*', ':', '<', '>', '?', '\\', '|']) => {
                return Err("it holds one of \" * : < > ? \\ |");
            }
            _ => {}
        }
    }
    Ok(())
}

fn fat_error<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> EspError {
    let what = what.to_owned();
    move |e| EspError::Fat { what, message: e.to_string() }
}

#[cfg(test)]
mod tests;
