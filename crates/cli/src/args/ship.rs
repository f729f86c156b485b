//! Commands that bring an image to a machine.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{Host, Reboot, Scripts, System};

pub const DEPLOY: &str = "\
Example: hoopy -C nas deploy --reboot
         hoopy -C nas deploy root@nas --dry-run
         hoopy -C nas deploy --kexec

--kexec needs the package kexec-tools on the machine; with layout = \"ab\", falling back takes one boot more, since the \
first start is not counted. The exit code is 9 where the machine fell back or its health check failed, and 10 where it \
did not come back.";

/// What `disk` and `flash` write.
#[derive(Debug, Args)]
pub struct DiskContent {
    /// Write this image instead of the newest
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Size of the disk: 8G
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// Create a partition for this mount point of root/etc/fstab; can be repeated
    #[arg(long, value_name = "MOUNTPOINT", conflicts_with = "no_persist")]
    pub persist: Vec<String>,
    /// Create no partition but the EFI system partition
    #[arg(long)]
    pub no_persist: bool,
    /// Enroll the keys of trust/ at the first boot, where the firmware is in setup mode
    #[arg(long)]
    pub enroll: bool,
    /// Restore this backup at the first boot
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_persist")]
    pub restore: Option<PathBuf>,
}

/// Options of `disk`.
#[derive(Debug, Args)]
pub struct Disk {
    #[command(flatten)]
    pub system: System,
    /// Write the disk image to FILE, or - for standard output [default: the image's name with .img]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub content: DiskContent,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `flash`.
#[derive(Debug, Args)]
pub struct Flash {
    /// Whole device: /dev/sdb
    #[arg(value_hint = ValueHint::FilePath)]
    pub device: PathBuf,
    #[command(flatten)]
    pub content: DiskContent,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    pub yes: bool,
    /// Allow a disk that is not removable
    #[arg(long)]
    pub fixed_disk: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    pub host: Host,
    /// Deploy this image instead of building one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Reboot the machine, and wait until it is healthy with the new image
    #[arg(long, conflicts_with = "dry_run")]
    pub reboot: bool,
    /// Start the new image with kexec, without the firmware, and wait until it is healthy
    #[arg(long, conflicts_with_all = ["reboot", "dry_run"])]
    pub kexec: bool,
    #[command(flatten)]
    pub wait: Reboot,
    /// Show what would be done, and change nothing on the machine
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Replace another system on the machine, or add the image to one that hoopy did not install
    #[arg(long)]
    pub force: bool,
    /// Install beside the diskless Alpine Linux that the machine runs, which stays what it falls back to
    #[arg(long, conflicts_with_all = ["kexec", "force"])]
    pub from_diskless: bool,
    /// Fail if hoopy.lock is missing, or does not fit `packages`
    #[arg(long, conflicts_with = "image")]
    pub locked: bool,
    /// Version of the image [default: the date and a counter]
    #[arg(long, value_name = "VERSION", conflicts_with = "image")]
    pub image_version: Option<String>,
    /// Where to run package scripts and setup.sh
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
