//! What can go wrong with a disk image, and what to change.

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::size;
use hoopy_boot::extlinux::loader;
use hoopy_boot::layout::Layout;
use hoopy_boot::pi::firmware::Stuck;
use hoopy_disk::esp::EspError;
use hoopy_disk::fstab::Mount;
use hoopy_disk::gpt::GptError;
use hoopy_disk::mbr::MbrError;
use hoopy_disk::mkfs::MkfsError;

/// A disk that was not made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file to write is a disk, whose content would be lost without a question.
    #[error("{}: a disk: expected a file to write", .0.display())]
    IsDisk(PathBuf),
    /// The size asked for is not enough.
    #[error(
        "a disk of {} is too small: at least {needed_mib} MiB are needed, {} of them for {images} images",
        size::show(*.size), size::show(*.esp), needed_mib = .needed >> 20
    )]
    TooSmall {
        /// As asked for.
        size: u64,
        /// What it takes.
        needed: u64,
        /// How much of it is the EFI system partition.
        esp: u64,
        /// How many images that holds.
        images: u64,
    },
    /// A layout without a boot loader.
    #[error("nothing on the disk can enroll keys: expected layout = \"ab\", found \"{0}\"")]
    NothingEnrolls(Layout),
    /// The image has not what the loader of this layout reads.
    #[error("{}: not an image for layout = \"{layout}\": {reason}", .image.display())]
    OtherLayout {
        /// The image.
        image: PathBuf,
        /// That of `hoopy.toml`.
        layout: Layout,
        /// What it lacks.
        reason: &'static str,
    },
    /// A board would start nothing from the card.
    #[error("the card is of no use: {0}")]
    Stuck(#[from] Stuck),
    /// syslinux or U-Boot would start nothing.
    #[error("the disk is of no use: {0}")]
    NothingStarts(#[from] loader::Stuck),
    /// What installs syslinux.
    #[error(
        "a disk for a BIOS needs the program syslinux, which is not installed: it is in the package syslinux"
    )]
    NoSyslinux,
    /// It ended well, and installed nothing.
    #[error("{} did not install syslinux: {reason}", .program.display())]
    NotSyslinux {
        /// The program.
        program: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// It failed.
    #[error("syslinux could not be installed on the disk: {0}")]
    Syslinux(String),
    /// The owner's lines of config.txt lead elsewhere.
    #[error(
        "a {board} would start {kernel} and not the image: root/boot/config.txt or a file of the firmware says so"
    )]
    Elsewhere {
        /// The board.
        board: &'static str,
        /// What it would start.
        kernel: String,
    },
    /// More than one line of `fstab` could be meant.
    #[error("root/etc/fstab mounts several filesystems, and any of them could be on this disk: {}", .mounts.join(", "))]
    Which {
        /// `/data (UUID=...)`.
        mounts: Vec<String>,
        /// The first one's mount point.
        first: String,
    },
    /// A mount point that was named, and that `fstab` does not have.
    #[error("root/etc/fstab has no line for {wanted} that names a disk by UUID= or LABEL={}", instead(.there))]
    NoSuchMount {
        /// As named.
        wanted: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// A filesystem that hoopy makes no partitions with.
    #[error("root/etc/fstab:{line}: {mount_point} is {filesystem}, which hoopy cannot make a partition with")]
    NoMaker {
        /// Line of the `fstab`.
        line: usize,
        /// Where it goes.
        mount_point: String,
        /// As `fstab` names it.
        filesystem: String,
    },
    /// More partitions than anybody has.
    #[error("{found} partitions beside the EFI system partition: expected at most {most}")]
    TooMany {
        /// How many were asked for.
        found: usize,
        /// How many there can be.
        most: usize,
    },
    /// The image is for another architecture than the disk.
    #[error("{}: wrong architecture: expected an image for {expected}, found one for {found}", .image.display())]
    WrongArch {
        /// The image.
        image: PathBuf,
        /// What the disk's machine is.
        expected: Arch,
        /// What the image is for.
        found: Arch,
    },
    /// The layout `ab` without a boot loader.
    #[error("layout = \"ab\" needs systemd-boot, which is not in the lock")]
    NoLoader,
    /// A name that systemd-boot would not list.
    #[error("{}: systemd-boot lists images called NAME-VERSION.efi", .0.display())]
    Name(PathBuf),
    /// The label or UUID of the EFI system partition in `fstab`, or of what a layout has in its place.
    #[error(
        "root/etc/fstab:{line}: {spec} cannot name the FAT partition that the machine boots from: {reason}"
    )]
    EspSpec {
        /// Line of the `fstab`.
        line: usize,
        /// `UUID=...` or `LABEL=...`.
        spec: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// No partition was planned; cannot happen short of a bug.
    #[error("the partition table has no EFI system partition")]
    NoEsp,
    /// A filesystem could not be made.
    #[error(transparent)]
    Mkfs(#[from] MkfsError),
    /// The EFI system partition could not be made.
    #[error("cannot make the EFI system partition: {0}")]
    Esp(#[from] EspError),
    /// The partition table could not be made.
    #[error(transparent)]
    Gpt(#[from] GptError),
    /// The partition table of a card could not be made.
    #[error(transparent)]
    Mbr(#[from] MbrError),
    /// The disk could not be written.
    #[error("cannot write the disk image: {0}")]
    Write(io::Error),
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

impl DiskError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn no_maker(mount: &Mount) -> Self {
        let Mount { line, mount_point, filesystem, .. } = mount.clone();
        Self::NoMaker { line, mount_point, filesystem }
    }
}

fn instead(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!("; there are {}", there.join(", ")) }
}
