//! A partition with two directories: what the loader reads, and the image in the slot `a`, as it was built and in its parts
//! ([`hoopy_boot::pair`] draws it).
//!
//! Before anything is written, it is put to a model of the loader: of the firmware of each Raspberry Pi whose device tree the
//! image has ([`hoopy_boot::pi::firmware`]), or of syslinux or U-Boot ([`hoopy_boot::extlinux::loader`]). That must start the
//! image.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use hoopy_base::arch::Arch;
use hoopy_boot::extlinux::loader::{self, Program};
use hoopy_boot::extlinux::{self, uboot};
use hoopy_boot::layout::Layout;
use hoopy_boot::os_release::OsRelease;
use hoopy_boot::pair::{GOOD, PARTS, SlotName, WHOLE};
use hoopy_boot::pi::firmware::{self, BOARDS};
use hoopy_boot::pi::{self, CONFIG};
use hoopy_cpio::{Reader, file_type};
use hoopy_disk::esp::{self, Item, Volume};
use hoopy_disk::gpt::Partition;
use hoopy_disk::window::Window;
use hoopy_uki::{Section, read_headers};

use super::{DiskConfig, DiskError};

/// The slot of a new disk.
const SLOT: SlotName = SlotName::A;

/// The owner's lines where neither the image nor anybody else has some: the kernel may use the serial line.
const OWNER: &str = "enable_uart=1\n";

/// Where the image has the owner's lines.
const BOARD_CONFIG: &str = "config.txt";

/// Device trees and overlays of all boards have some megabytes.
const MAX_BOARD: u64 = 256 << 20;

/// A small file, or a range of the image.
enum Content {
    Bytes(Vec<u8>),
    Range(Range<u64>),
}

/// Writes the partition; gives the image's path on it.
pub(super) fn write(
    out: &File,
    partition: &Partition,
    volume: &Volume,
    config: &DiskConfig,
    image: &mut File,
    size: u64,
) -> Result<String, DiskError> {
    let (name, files) = files(config, image, size)?;
    check(config, &files)?;
    let image = &*image;
    let mut readers: Vec<(String, u64, Box<dyn Read + '_>)> = Vec::new();
    for (path, content) in &files {
        match content {
            Content::Bytes(bytes) => {
                readers.push((path.clone(), bytes.len() as u64, Box::new(bytes.as_slice())))
            }
            Content::Range(range) => {
                let length = range.end - range.start;
                readers.push((path.clone(), length, Box::new(Window::new(image, range.start, length))));
            }
        }
    }
    let mut items: Vec<Item<'_>> = readers
        .iter_mut()
        .map(|(path, size, content)| Item { path: path.clone(), size: *size, content: content.as_mut() })
        .collect();
    esp::write_at(out, partition.start, partition.size, volume, &mut items)?;
    Ok(name)
}

/// What goes onto the partition, by path.
fn files(
    config: &DiskConfig,
    image: &mut File,
    size: u64,
) -> Result<(String, Vec<(String, Content)>), DiskError> {
    let path = || config.image.clone();
    let unfit =
        |reason: &'static str| DiskError::OtherLayout { image: path(), layout: config.layout, reason };
    let (headers, ..) = read_headers(image).map_err(|_| unfit("it is no image of hoopy's"))?;
    let range = |section| headers.section(section).map(|header| header.data_range());
    let bytes = |range: Range<u64>| {
        let mut bytes = Vec::new();
        let mut window = Window::new(image, range.start, (range.end - range.start).min(MAX_BOARD));
        window.read_to_end(&mut bytes).map_err(DiskError::io("read", &config.image)).map(|_| bytes)
    };
    let part = |section| range(section).ok_or_else(|| unfit("it has no kernel, initramfs or command line"));
    let parts = [part(Section::Linux)?, part(Section::Initrd)?, part(Section::Cmdline)?];
    let board = range(Section::Board)
        .ok_or_else(|| unfit("it was built for another layout, without files for the boot loader"))?;
    let release = range(Section::Osrel).map(&bytes).transpose()?.unwrap_or_default();
    let identity = OsRelease::parse(&String::from_utf8_lossy(&release)).identity;
    let (system, version) = identity.ok_or_else(|| unfit("it does not say what it is called"))?;
    let name = format!("{system}-{version}");
    let [.., line] = &parts;
    let cmdline = bytes(line.clone())?;
    let board = unpack(&bytes(board)?).ok_or_else(|| unfit("its files for the boot loader are damaged"))?;
    let in_slot = |name: &str| format!("{}/{name}", SLOT.directory());
    let text = |text: String| Content::Bytes(text.into_bytes());
    let mut files = match config.layout {
        Layout::Extlinux => for_extlinux(config.arch, &cmdline, &board),
        _ => for_pi(config, &board),
    };
    let file = in_slot(&format!("{name}.efi"));
    files.push((file.clone(), Content::Range(0..size)));
    files.extend(PARTS.iter().zip(parts).map(|(name, range)| (in_slot(name), Content::Range(range))));
    files.extend(board.into_iter().map(|(name, bytes)| (in_slot(&name), Content::Bytes(bytes))));
    files.push((in_slot(GOOD), text(format!("{GOOD}\n"))));
    files.push((in_slot(WHOLE), text(format!("{name}\n"))));
    Ok((file, files))
}

/// The boards' firmware, and its configuration with the owner's lines.
fn for_pi(config: &DiskConfig, board: &[(String, Vec<u8>)]) -> Vec<(String, Content)> {
    let owner = board.iter().find(|(name, _)| name == BOARD_CONFIG).map(|(_, bytes)| bytes.as_slice());
    let owner = String::from_utf8_lossy(owner.unwrap_or(OWNER.as_bytes())).into_owned();
    let firmware = config.firmware.iter().map(|(name, file)| (name.clone(), Content::Bytes(file.clone())));
    let text = pi::config(&owner, SLOT).into_bytes();
    firmware.chain([(CONFIG.to_owned(), Content::Bytes(text))]).collect()
}

/// What syslinux and U-Boot read; a PC has no script, and syslinux itself is installed once the rest is there.
fn for_extlinux(arch: Arch, cmdline: &[u8], board: &[(String, Vec<u8>)]) -> Vec<(String, Content)> {
    let cmdline = String::from_utf8_lossy(cmdline).into_owned();
    let cmdline = cmdline.trim_end_matches('\0').lines().next().unwrap_or_default();
    let has_trees = board.iter().any(|(name, _)| name.starts_with(&format!("{}/", extlinux::TREES)));
    let text = extlinux::config(&extlinux::Label { slot: SLOT, cmdline, has_trees }, None);
    let script = (program(arch) == Program::UBoot).then(|| (uboot::FILE.to_owned(), uboot::file()));
    let files = [(extlinux::CONFIG.to_owned(), text.into_bytes())].into_iter().chain(script);
    files.map(|(name, bytes)| (name, Content::Bytes(bytes))).collect()
}

/// Who reads extlinux.conf.
pub(super) const fn program(arch: Arch) -> Program {
    match arch {
        Arch::X86_64 => Program::Syslinux,
        Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => Program::UBoot,
    }
}

/// The files of the archive.
fn unpack(archive: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut reader = Reader::new(archive);
    let mut files = Vec::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).ok()?;
        if entry.mode & file_type::MASK == file_type::FILE {
            files.push((String::from_utf8(entry.name).ok()?, bytes));
        }
    }
    Some(files)
}

/// The loader starts what is in the slot: of a card, every board of which it has a device tree.
fn check(config: &DiskConfig, files: &[(String, Content)]) -> Result<(), DiskError> {
    let read = |path: &str| {
        let path = path.trim_start_matches('/');
        let found = files.iter().find(|(name, _)| name.eq_ignore_ascii_case(path));
        found.map(|(_, content)| match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Range(_) => Vec::new(),
        })
    };
    if config.layout == Layout::Extlinux {
        loader::start(program(config.arch), extlinux::CONFIG, &read)?;
        return Ok(());
    }
    let tree = |name: &str| read(&format!("{}/{name}", SLOT.directory())).is_some();
    for board in BOARDS.iter().filter(|board| board.trees.iter().any(|name| tree(name))) {
        let started = firmware::start(board, false, &read)?;
        if SlotName::holding(&started.kernel) != Some(SLOT) {
            return Err(DiskError::Elsewhere { board: board.name, kernel: started.kernel });
        }
    }
    Ok(())
}
