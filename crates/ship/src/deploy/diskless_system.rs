//! What a machine that runs diskless Alpine Linux tells of itself and of its medium.

use hoopy_base::terminal::harmless_line;
use hoopy_boot::layout::Layout;

/// Diskless Alpine Linux, as the machine that runs it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diskless {
    /// `3.23.6`.
    pub release: String,
    /// The type of its medium's filesystem; none where that has no packages.
    pub(super) filesystem: Option<String>,
    /// The kernels of its medium.
    pub kernels: Vec<String>,
    /// The overlays there.
    pub overlays: Vec<String>,
    /// `64`, `32` or `bios`.
    pub(super) firmware: String,
    /// Programs in the firmware's directory that are systemd-boot.
    pub(super) systemd_boot: Vec<String>,
    /// What the firmware started, where a variable says so.
    pub(super) started: Option<String>,
    /// A configuration of systemd-boot that hoopy did not write.
    pub(super) configured: bool,
}

impl Diskless {
    /// Takes a line of the machine's answer.
    pub(super) fn take(&mut self, rest: &str) {
        let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let value = harmless_line(value);
        match key {
            "release" => self.release = value,
            "filesystem" => self.filesystem = Some(value),
            "kernel" => self.kernels.push(value),
            "overlay" => self.overlays.push(value),
            "firmware" => self.firmware = value,
            "systemd-boot" => self.systemd_boot.push(value),
            "started" => self.started = Some(value),
            "configured" => self.configured = true,
            _ => {}
        }
    }

    /// Whether the firmware starts systemd-boot from the medium already.
    pub(super) fn has_systemd_boot(&self, loader: &str) -> bool {
        let name = loader.rsplit_once('/').map_or(loader, |(_, name)| name);
        self.systemd_boot.iter().any(|file| file.eq_ignore_ascii_case(name))
    }
}

/// What stands in the way of an image beside Alpine Linux.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It has no UEFI firmware, or that was not used.
    #[error("a BIOS started it, and systemd-boot needs UEFI firmware")]
    Bios,
    /// Its firmware is of the kind that early tablets have.
    #[error("its UEFI firmware has 32 bits, and starts no image of 64")]
    Uefi32,
    /// The system has another layout.
    #[error("expected `layout = \"ab\"` in hoopy.toml, found \"{0}\"")]
    Layout(Layout),
    /// Something about the medium.
    #[error("{0}")]
    Other(String),
}
