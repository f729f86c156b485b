//! The sections that systemd's stub knows, and two of hoopy's own, which the stub passes over.
//!
//! Source: systemd `src/fundamental/uki.h` (list and order of measurement), `src/ukify/ukify.py` (order in the
//! file).

use std::fmt;

/// A section of a unified kernel image, in the order in which the stub measures them into PCR 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The kernel.
    Linux,
    /// `os-release`: what the boot loader shows and sorts by.
    Osrel,
    /// The kernel's command line.
    Cmdline,
    /// The initramfs.
    Initrd,
    /// CPU microcode, as an uncompressed initramfs that comes first.
    Ucode,
    /// A picture (BMP) for the time of booting.
    Splash,
    /// The device tree.
    Dtb,
    /// The kernel's release, as `uname -r` prints it.
    Uname,
    /// Generations of the parts, for revocation under Secure Boot.
    Sbat,
    /// Signatures of the expected PCR 11.
    Pcrsig,
    /// The public key for them.
    Pcrpkey,
    /// Names a profile of the image.
    Profile,
    /// A device tree that the stub chooses by hardware.
    Dtbauto,
    /// The hardware that `.dtbauto` chooses by.
    Hwids,
    /// Firmware that the stub chooses by hardware.
    Efifw,
    /// Device trees and overlays for boards whose firmware reads them from a card, as a `newc` archive: hoopy's own.
    Board,
    /// What the image is made of, for whoever has an older one: hoopy's own. It tells places in the file, so it
    /// stands behind all of them.
    Hoopy,
}

impl Section {
    /// All of them, in the order of measurement.
    pub const ALL: [Self; 17] = [
        Self::Linux,
        Self::Osrel,
        Self::Cmdline,
        Self::Initrd,
        Self::Ucode,
        Self::Splash,
        Self::Dtb,
        Self::Uname,
        Self::Sbat,
        Self::Pcrsig,
        Self::Pcrpkey,
        Self::Profile,
        Self::Dtbauto,
        Self::Hwids,
        Self::Efifw,
        Self::Board,
        Self::Hoopy,
    ];

    /// All of them, in the order in which they stand in the file. The kernel comes after the initramfs: a kernel
    /// that a stub starts in place writes behind its own end, where now nothing is that it still needs.
    pub const IN_FILE: [Self; 17] = [
        Self::Osrel,
        Self::Cmdline,
        Self::Dtb,
        Self::Dtbauto,
        Self::Hwids,
        Self::Uname,
        Self::Splash,
        Self::Pcrpkey,
        Self::Initrd,
        Self::Efifw,
        Self::Ucode,
        Self::Linux,
        Self::Sbat,
        Self::Profile,
        Self::Pcrsig,
        Self::Board,
        Self::Hoopy,
    ];

    /// Its name in the section table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => ".linux",
            Self::Osrel => ".osrel",
            Self::Cmdline => ".cmdline",
            Self::Initrd => ".initrd",
            Self::Ucode => ".ucode",
            Self::Splash => ".splash",
            Self::Dtb => ".dtb",
            Self::Uname => ".uname",
            Self::Sbat => ".sbat",
            Self::Pcrsig => ".pcrsig",
            Self::Pcrpkey => ".pcrpkey",
            Self::Profile => ".profile",
            Self::Dtbauto => ".dtbauto",
            Self::Hwids => ".hwids",
            Self::Efifw => ".efifw",
            Self::Board => ".board",
            Self::Hoopy => ".hoopy",
        }
    }

    /// Its name as the table holds it, filled up with NULs.
    pub fn raw_name(self) -> [u8; 8] {
        let mut raw = [0; 8];
        for (to, from) in raw.iter_mut().zip(self.name().bytes()) {
            *to = from;
        }
        raw
    }

    /// The section with this name in the table.
    pub fn named(raw: &[u8; 8]) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.raw_name() == *raw)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_hold_every_section_once() {
        assert!(Section::ALL.is_sorted());
        let mut in_file = Section::IN_FILE;
        in_file.sort();
        assert_eq!(in_file, Section::ALL);
    }

    #[test]
    fn names_fit_the_table_whole() {
        for section in Section::ALL {
            assert!(section.name().len() <= 8, "{section}");
            assert_eq!(Section::named(&section.raw_name()), Some(section));
        }
    }
}
