//! How a machine is, as its agent tells it: `status.json`, which the page, `hoopy status` and programs read alike.
//!
//! `docs/status.schema.json` is the same for others. Fields may be added within a [`VERSION`]; none changes its meaning.

mod text;

use serde::{Deserialize, Serialize};

pub use text::{changed_files, duration, rows, text, verdict, volume_state};

/// The version of [`Status`] that is written.
pub const VERSION: u32 = 1;

/// How a machine is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// When this was seen, in seconds since 1970.
    pub time: u64,
    /// The machine's name.
    pub host: String,
    /// One sentence: whether something needs doing, and what.
    pub summary: String,
    /// What needs doing, the most urgent first.
    pub problems: Vec<Problem>,
    /// What runs.
    pub image: Image,
    /// Whether this boot was good, where the machine decides that.
    pub health: Option<Health>,
    /// Secrets, where the image has some.
    pub secrets: Option<Secrets>,
    /// Volumes that the image has keys for.
    pub volumes: Vec<Volume>,
    /// Seconds since the machine was booted.
    pub uptime: u64,
    /// Memory.
    pub memory: Memory,
    /// How many processes wanted a core: the mean of one, five and fifteen minutes.
    pub load: [f64; 3],
    /// How many cores there are.
    pub cores: u32,
    /// Filesystems with a size.
    pub filesystems: Vec<Filesystem>,
    /// Pools and arrays of several disks.
    pub pools: Vec<Pool>,
    /// What thermometers say.
    pub temperatures: Vec<Temperature>,
    /// Network interfaces, without the loopback.
    pub interfaces: Vec<Interface>,
    /// Services of OpenRC, where it is there.
    pub services: Option<Services>,
    /// What the next reboot erases, where the root is in memory and the system tells when it was started.
    #[serde(default)]
    pub changed: Option<Changed>,
}

/// Files of the root that were changed since the machine was started, and that it therefore forgets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// How many.
    pub files: u64,
    /// The first of them, sorted. A directory stands for something that was removed from it.
    pub first: Vec<String>,
}

/// The image that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name, `nas-2026112101`; none where it is not hoopy's.
    pub name: Option<String>,
    /// The git commit of its system directory.
    pub commit: Option<String>,
    /// Whether that directory had changes.
    pub dirty: bool,
    /// When the newest package in it was built, in seconds since 1970; 0 where that is unknown.
    pub built: u64,
    /// The image that the next reboot starts, where a deploy or a rollback has put another in place since this boot.
    #[serde(default)]
    pub staged: Option<String>,
    /// The kernel's version.
    pub kernel: String,
    /// The name that the kernel gave to this boot.
    pub boot: String,
}

/// Something that needs doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it is called as long as it lasts: `filesystem /srv`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad something is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or is about to be lost.
    Critical,
    /// It works, and will not for ever.
    Warning,
}

/// What the machine decided about this boot; docs/boot.md tells the values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `waiting`, `checking`, `good` or `failed`.
    pub state: String,
    /// `nothing`, `blessed`, `reboot` or `stay`.
    pub action: String,
    /// Why it failed.
    pub reason: String,
    /// The file that the image was started from, where it was found.
    pub slot: String,
    /// How often it will be tried still; none once it is good, or where nothing counts.
    pub tries_left: Option<u32>,
    /// The end of what the checks said.
    pub log: String,
}

/// The machine's secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// `open`, `locked`, `failed` or `unknown`.
    pub state: String,
    /// Why some are not open.
    pub failures: Vec<String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Whether it is open; none where its program does not say.
    pub open: Option<bool>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs could still get.
    pub available: u64,
    /// What files in memory take that nothing can drop: the root itself, and other tmpfs.
    pub files: u64,
    /// Swap.
    pub swap_total: u64,
    /// Swap that is free.
    pub swap_free: u64,
}

/// A filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mount: String,
    /// What is mounted.
    pub device: String,
    /// Its kind: `ext4`.
    pub kind: String,
    /// In bytes.
    pub size: u64,
    /// Bytes that can still be written.
    pub free: u64,
    /// Files that it can have; 0 where it has no limit.
    pub files: u64,
    /// Files that can still be made.
    pub files_free: u64,
    /// Whether it can be read only.
    pub read_only: bool,
}

/// Several disks as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// `zfs`, `md` or `btrfs`.
    pub kind: String,
    /// As its kind has it: `ONLINE`, `DEGRADED`.
    pub state: String,
    /// Whether that is as it should be.
    pub healthy: bool,
}

/// A thermometer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// What is measured: `k10temp Tctl`.
    pub name: String,
    /// Degrees Celsius.
    pub celsius: f64,
    /// From where on the hardware is in danger, where it says so.
    pub limit: Option<f64>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// Whether it is connected.
    pub up: bool,
    /// Bytes since it is there.
    pub received: u64,
    /// Bytes since it is there.
    pub sent: u64,
    /// Packets with errors, in both directions.
    pub errors: u64,
}

/// Services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// How many are started.
    pub started: u32,
    /// Which did not start.
    pub failed: Vec<String>,
    /// Which have ended although they should run.
    pub crashed: Vec<String>,
}

impl Memory {
    /// What is in use, in percent.
    pub fn used_percent(&self) -> f64 {
        percent(self.total.saturating_sub(self.available), self.total)
    }
}

impl Filesystem {
    /// What is in use, in percent.
    pub fn used_percent(&self) -> f64 {
        percent(self.size.saturating_sub(self.free), self.size)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage is not exact to more than a few digits")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
