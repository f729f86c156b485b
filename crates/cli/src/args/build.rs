//! The commands that make an image and try it here.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::System;

/// Options of `build`.
#[derive(Debug, ClapArgs)]
pub struct Build {
    #[command(flatten)]
    pub system: System,
    /// Fail where hoopy.lock is missing or not for these packages
    #[arg(long)]
    pub locked: bool,
    /// What to write
    #[arg(long, value_enum, default_value_t = Output::Uki)]
    pub output: Output,
    /// The image's version, instead of the day and a counter
    #[arg(long, value_name = "VERSION")]
    pub image_version: Option<String>,
    /// How segments are compressed: zstd, zstd:19, gzip, xz, lz4, none, best
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// The smallest image: kernel modules are unpacked, then all is compressed well. Slow to make, takes more memory
    #[arg(long, conflicts_with = "compression")]
    pub best: bool,
    /// Where package scripts and setup.sh run: here where they can and else in a virtual machine, or one of the two
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Write what took how long, as a page for a browser
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "timings.html")]
    pub timings: Option<PathBuf>,
    /// Build again whenever something in the directory changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["check", "json", "image_version"])]
    pub watch: bool,
    /// With --watch: boot each image in a virtual machine, which starts anew when the image has changed
    #[arg(long, requires = "watch")]
    pub run: bool,
    /// Build once more elsewhere, with nothing kept but the packages, and say what differs
    #[arg(long)]
    pub check: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where scripts run.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scripts {
    /// In a sandbox where this machine and this user can, else in a virtual machine
    Auto,
    /// In a sandbox on this machine
    Native,
    /// In a virtual machine
    Vm,
}

/// What `build` writes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Output {
    /// One file that firmware boots
    Uki,
    /// Kernel and initramfs as two files
    #[value(name = "kernel+initramfs")]
    KernelAndInitramfs,
    /// The root tree as an archive
    Tar,
}

/// Options of `run`.
#[derive(Debug, ClapArgs)]
pub struct Run {
    #[command(flatten)]
    pub system: System,
    /// The image, instead of the newest
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Memory of the machine
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Processors of the machine
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Ports to forward, GUEST or HOST:GUEST, instead of those in hoopy.toml
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<hoopy_build::config::Forward>,
    /// Stop, and succeed, once the console shows TEXT
    #[arg(long, value_name = "TEXT")]
    pub until: Option<String>,
    /// How many seconds to wait for it
    #[arg(long, value_name = "SECONDS", default_value_t = 180, requires = "until")]
    pub within: u64,
}

/// Options of `test`.
#[derive(Debug, ClapArgs)]
pub struct Test {
    #[command(flatten)]
    pub system: System,
    /// Only tests with one of these texts in their name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Test this image as it is, instead of building
    #[arg(long, value_name = "FILE", conflicts_with = "locked")]
    pub image: Option<PathBuf>,
    /// Fail where hoopy.lock is missing or not for these packages
    #[arg(long)]
    pub locked: bool,
    /// Test all once more after a reboot, with the disks as they were left
    #[arg(long)]
    pub reboot: bool,
    /// Memory of the machine
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Processors of the machine
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// How many machines run at a time, instead of what there are cores for
    #[arg(long, value_name = "N")]
    pub machines: Option<usize>,
    /// How long a test may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
    /// How long a boot may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub boot_timeout: u64,
    /// Where the consoles' logs are kept, instead of ~/.local/state/hoopy
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}
