//! The commands that bring an image to a machine.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Scripts, System};

/// What `disk` and `flash` write.
#[derive(Debug, ClapArgs)]
pub struct DiskContent {
    /// The image, instead of the newest
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// How large the disk is to be
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// Which mount points of root/etc/fstab are on this disk, where it has several
    #[arg(long, value_name = "MOUNTPOINT", conflicts_with = "no_persist")]
    pub persist: Vec<String>,
    /// Nothing but the EFI system partition
    #[arg(long)]
    pub no_persist: bool,
}

/// Options of `disk`.
#[derive(Debug, ClapArgs)]
pub struct Disk {
    #[command(flatten)]
    pub system: System,
    /// The disk image, instead of one beside the image
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub content: DiskContent,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `flash`.
#[derive(Debug, ClapArgs)]
pub struct Flash {
    /// The system directory
    pub dir: PathBuf,
    /// The whole device: /dev/sdb
    pub device: PathBuf,
    #[command(flatten)]
    pub content: DiskContent,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Write to a disk that is not removable too
    #[arg(long)]
    pub fixed_disk: bool,
}

/// Which machine.
#[derive(Debug, ClapArgs)]
pub struct Far {
    /// Where the machine has its EFI system partition mounted, instead of looking for it
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
    /// How many seconds to wait for the machine to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub within: u64,
}

/// What stands below the help of `deploy`.
pub const DEPLOY: &str = "\
Example: hoopy deploy nas root@nas --reboot
         hoopy deploy nas root@nas --dry-run
         hoopy deploy nas --kexec

--kexec needs the package kexec-tools on the machine, and with layout = \"ab\" a fall takes one boot more: its first \
start is not counted. Exit codes: 9 the machine fell back, or is not well; 10 it did not come back.";

/// Options of `deploy`.
#[derive(Debug, ClapArgs)]
pub struct Deploy {
    #[command(flatten)]
    pub system: System,
    /// The machine, as ssh knows it, instead of the one in hoopy.toml
    pub host: Option<String>,
    /// Ship this image as it is, instead of building one
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Reboot the machine, wait for it, and fail where it does not come up well with the new image
    #[arg(long, conflicts_with = "dry_run")]
    pub reboot: bool,
    /// The same without its firmware: the machine's own kexec loads the image, and a clean shutdown goes over to it
    #[arg(long, conflicts_with = "reboot")]
    pub kexec: bool,
    /// Show what would be done, and change nothing on the machine
    #[arg(long)]
    pub dry_run: bool,
    /// Deploy to a machine that runs another system, or none of hoopy's
    #[arg(long)]
    pub anyway: bool,
    #[command(flatten)]
    pub far: Far,
    /// Fail where hoopy.lock is missing or not for these packages
    #[arg(long, conflicts_with = "image")]
    pub locked: bool,
    /// The image's version, instead of the day and a counter
    #[arg(long, value_name = "VERSION", conflicts_with = "image")]
    pub image_version: Option<String>,
    /// Where package scripts and setup.sh run: here where they can and else in a virtual machine, or one of the two
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What stands below the help of `status`.
pub const STATUS: &str = "\
Example: hoopy status root@nas
         hoopy status nas --drift-within 0 --json

`drift` is how many paths the next reboot erases: `hoopy drift` names them. Where that cannot be told in time, or not at \
all, the reason is told instead.";

/// Options of `status`.
#[derive(Debug, ClapArgs)]
pub struct Status {
    /// The machine, as ssh knows it; or a system directory, for the machine in its hoopy.toml
    #[arg(default_value = ".")]
    pub host: String,
    /// Where the machine has its EFI system partition mounted, instead of looking for it
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
    /// How long to look for drift, for which the machine reads all its files; 0 is not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(..=86400))]
    pub drift_within: u64,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `rollback`.
#[derive(Debug, ClapArgs)]
pub struct Rollback {
    /// The machine, as ssh knows it; or a system directory, for the machine in its hoopy.toml
    #[arg(default_value = ".")]
    pub host: String,
    /// Reboot the machine, wait for it, and fail where it does not come up with the image before
    #[arg(long, conflicts_with = "dry_run")]
    pub reboot: bool,
    /// Show what would be done, and change nothing on the machine
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub far: Far,
}
