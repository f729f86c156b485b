//! The architectures hoopy builds for, and what each calls its parts.

use std::fmt;
use std::str::FromStr;

/// A machine architecture, under Alpine's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM: ARMv7 with hardware floating point.
    Armv7,
    /// 32-bit ARM: ARMv6 with hardware floating point, as of the first Raspberry Pi.
    Armhf,
}

/// An architecture hoopy does not build for.
#[derive(Debug, thiserror::Error)]
#[error("unknown architecture {0:?}: hoopy builds for x86_64, aarch64, armv7 and armhf")]
pub struct UnknownArch(String);

impl Arch {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::X86_64, Self::Aarch64, Self::Armv7, Self::Armhf];

    /// Those that have unified kernel images, firmware that starts them, and virtual machines.
    pub const WITH_UKI: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Whether there are unified kernel images of it: a stub of systemd's, and firmware that starts them. The others
    /// have kernel and initramfs as files.
    pub const fn has_uki(self) -> bool {
        match self {
            Self::X86_64 | Self::Aarch64 => true,
            Self::Armv7 | Self::Armhf => false,
        }
    }

    /// The architecture of the machine hoopy runs on, where it is one of those it builds for.
    pub fn host() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }

    /// Alpine's name, which is also Linux's but for 32-bit ARM.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "armv7",
            Self::Armhf => "armhf",
        }
    }

    /// The file that firmware starts from removable media (UEFI specification 2.10, section 3.5.1.1).
    pub const fn efi_boot_name(self) -> &'static str {
        match self {
            Self::X86_64 => "BOOTX64.EFI",
            Self::Aarch64 => "BOOTAA64.EFI",
            Self::Armv7 | Self::Armhf => "BOOTARM.EFI",
        }
    }

    /// What UEFI calls the architecture in file names (`x64`, `aa64`).
    pub const fn efi_suffix(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "aa64",
            Self::Armv7 | Self::Armhf => "arm",
        }
    }

    /// QEMU's system emulator for it.
    pub const fn qemu_binary(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
            Self::Armv7 | Self::Armhf => "qemu-system-arm",
        }
    }

    /// What QEMU calls it where it runs single programs: `qemu-aarch64-static`.
    pub const fn qemu_user(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7 | Self::Armhf => "arm",
        }
    }

    /// The first serial port, as Linux names it.
    pub const fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Aarch64 | Self::Armv7 | Self::Armhf => "ttyAMA0",
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

    fn from_str(text: &str) -> Result<Self, UnknownArch> {
        match text {
            "x86_64" | "amd64" => Ok(Self::X86_64),
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            // As uname(1) has them on such machines.
            "armv7" | "armv7l" => Ok(Self::Armv7),
            "armhf" | "armv6l" => Ok(Self::Armhf),
            _ => Err(UnknownArch(text.to_owned())),
        }
    }
}
