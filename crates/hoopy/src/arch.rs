//! The machines that hoopy makes images for, by the names that each part of the world has for them.

use std::fmt;
use std::str::FromStr;

/// An architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// A name that is no architecture hoopy knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an architecture that hoopy makes images for: use x86_64 or aarch64")]
pub struct UnknownArch(String);

impl Arch {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// As Alpine names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The architecture that this program was built for, if hoopy makes images for it.
    pub fn of_host() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }

    /// The file name of the boot loader that firmware starts from removable media (UEFI specification, 3.5.1.1).
    pub const fn efi_boot_name(self) -> &'static str {
        match self {
            Self::X86_64 => "BOOTX64.EFI",
            Self::Aarch64 => "BOOTAA64.EFI",
        }
    }

    /// The program that emulates such a machine.
    pub const fn qemu_binary(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// The first serial port, as Linux names it on the machine that QEMU emulates.
    pub const fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Aarch64 => "ttyAMA0",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        let known = Self::ALL.into_iter().find(|arch| arch.as_str() == name);
        known.ok_or_else(|| UnknownArch(name.to_owned()))
    }
}
