//! How images lie on the EFI system partition, and what they are called there.
//!
//! The names of [`Layout::Ab`] are those of the specification "Automatic Boot Assessment" of the UAPI group and
//! systemd: `EFI/Linux/NAME-VERSION+LEFT-DONE.efi`, where the counters are gone once a boot was good.

use std::fmt;

use hoopy_base::arch::Arch;
use serde::{Deserialize, Serialize};

/// How images lie on the EFI system partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One image, started by the firmware itself; the last one stays beside it.
    #[default]
    Single,
    /// systemd-boot, and images that are tried a few times before they count as good.
    Ab,
    /// The card of a Raspberry Pi, with two directories and images that are tried once ([`pi`](crate::pi)).
    Pi,
    /// The same for a PC with a BIOS, or a board with U-Boot ([`extlinux`](crate::extlinux)).
    Extlinux,
}

impl Layout {
    /// Whether a new image is on trial until it has been found well.
    pub const fn has_trials(self) -> bool {
        match self {
            Self::Single => false,
            Self::Ab | Self::Pi | Self::Extlinux => true,
        }
    }

    /// Whether images lie in two directories, each whole and in its parts ([`pair`](crate::pair)).
    pub const fn has_pair(self) -> bool {
        match self {
            Self::Single | Self::Ab => false,
            Self::Pi | Self::Extlinux => true,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Ab => "ab",
            Self::Pi => "pi",
            Self::Extlinux => "extlinux",
        })
    }
}

/// The directory of what firmware starts from removable media (UEFI specification 2.10, section 3.5.1.1).
pub const BOOT_DIR: &str = "EFI/BOOT";

/// The directory in which systemd-boot looks for unified kernel images (Boot Loader Specification, type 2).
pub const LINUX_DIR: &str = "EFI/Linux";

/// What a machine leaves about the last image that failed (docs/boot.md).
pub const FAILED: &str = "loader/hoopy-failed.txt";

/// How often a new image is tried before the last good one is started instead.
pub const TRIES: u32 = 3;

/// What the firmware starts: the image itself, or systemd-boot.
pub fn started(arch: Arch) -> String {
    format!("{BOOT_DIR}/{}", arch.efi_boot_name())
}

/// Where [`Layout::Single`] keeps the previous image: `EFI/BOOT/BOOTX64.OLD`.
pub fn previous(arch: Arch) -> String {
    let name = arch.efi_boot_name();
    format!("{BOOT_DIR}/{}.OLD", name.strip_suffix(".EFI").unwrap_or(name))
}

/// The file of an image in [`LINUX_DIR`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The image: `nas-2026112101`.
    pub image: String,
    /// How often it will be tried still; none once a boot was good.
    pub left: Option<u32>,
    /// How often it was tried.
    pub done: u32,
}

impl Slot {
    /// An image that was never started.
    pub fn new(image: &str) -> Self {
        Self { image: image.to_owned(), left: Some(TRIES), done: 0 }
    }

    /// Reads the name of a file of [`LINUX_DIR`]; none where it is no image's.
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".efi").filter(|stem| !stem.is_empty())?;
        let plain = || Self { image: stem.to_owned(), left: None, done: 0 };
        let Some((image, counters)) = stem.rsplit_once('+') else { return Some(plain()) };
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let (left, done) = counters.split_once('-').unwrap_or((counters, "0"));
        // What is no counter belongs to the name, as systemd-boot sees it.
        let counted = number(left).zip(number(done)).filter(|_| !image.is_empty());
        Some(counted.map_or_else(plain, |(left, done)| Self {
            image: image.to_owned(),
            left: Some(left),
            done,
        }))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.left, self.done) {
            (None, _) => write!(f, "{}.efi", self.image),
            (Some(left), 0) => write!(f, "{}+{left}.efi", self.image),
            (Some(left), done) => write!(f, "{}+{left}-{done}.efi", self.image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, image, left, done) in [
            ("nas-2026112101+3.efi", "nas-2026112101", Some(3), 0),
            ("nas-2026112101+2-1.efi", "nas-2026112101", Some(2), 1),
            ("nas-2026112101+0-3.efi", "nas-2026112101", Some(0), 3),
            ("nas-2026112101.efi", "nas-2026112101", None, 0),
            ("a+b.efi", "a+b", None, 0),
            ("a++1.efi", "a+", Some(1), 0),
        ] {
            let slot = Slot { image: image.to_owned(), left, done };
            assert_eq!(Slot::parse(name), Some(slot.clone()), "{name}");
            assert_eq!(slot.to_string(), name);
        }
    }

    #[test]
    fn other_files_are_no_images() {
        for name in [".efi", "nas.conf", "nas-2026112101+3.efi.part"] {
            assert_eq!(Slot::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_image_before_stays_beside_the_one_that_is_started() {
        assert_eq!(started(Arch::X86_64), "EFI/BOOT/BOOTX64.EFI");
        assert_eq!(previous(Arch::Aarch64), "EFI/BOOT/BOOTAA64.OLD");
    }
}
