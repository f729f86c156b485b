//! Commands that create a system, build its image and try it on this computer.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum, ValueHint};
use hoopy_build::init::templates;

use super::System;

pub const BUILD: &str = "\
Example: hoopy build nas
         hoopy build nas --watch --run
         hoopy build nas --output tar";

pub const TEST: &str = "\
Example: hoopy test nas --junit results.xml
         hoopy test nas --only web --only ssh

Every *.sh and every program in tests/ is a test, and runs as root in the machine: exit status 0 is a pass, 77 is a skip \
(the last line of output says why), all else is a failure. NAME.1.sh and NAME.2.sh are one test with a reboot in \
between, in a machine of its own. hoopy checks the system itself, too: the runlevel is reached, services are up, fstab is \
mounted, the clock is set, the root filesystem is in memory. The exit code is 6 where a test fails.";

/// Options of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Directory to create the system in
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Log in over SSH with this public key, such as ~/.ssh/id_ed25519.pub, and never with a password
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// System to start from
    #[arg(long, value_name = "NAME", default_value = "minimal", value_parser = PossibleValuesParser::new(templates()))]
    pub template: String,
    /// What it runs on, which decides on the kernel: a virtual machine, real hardware, or a Raspberry Pi
    #[arg(long = "for", value_enum, default_value_t = Hardware::Vm, value_name = "HARDWARE")]
    pub hardware: Hardware,
}

/// What a system runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hardware {
    /// Virtual machine
    Vm,
    /// Real hardware
    Metal,
    /// Raspberry Pi (aarch64, layout = "pi")
    Pi,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub system: System,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `build`.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub system: System,
    /// Fail if hoopy.lock is missing, or does not fit `packages`
    #[arg(long)]
    pub locked: bool,
    /// Form of the image
    #[arg(long, value_enum, default_value_t = Output::Uki, value_name = "FORM")]
    pub output: Output,
    /// Version of the image [default: the date and a counter]
    #[arg(long, value_name = "VERSION")]
    pub image_version: Option<String>,
    /// Leave the image without the signatures that the keys in trust/ ask for
    #[arg(long)]
    pub unsigned: bool,
    /// Compression of the initramfs: zstd, zstd:19, gzip, xz, lz4, none, best
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// Build the smallest image: slow to build, and kernel modules take more memory on the machine
    #[arg(long, conflicts_with = "compression")]
    pub best: bool,
    /// Where to run package scripts and setup.sh
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Write a build timeline (HTML)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "timings.html", value_hint = ValueHint::FilePath)]
    pub timings: Option<PathBuf>,
    /// Build again whenever a file of the system changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["check", "json", "image_version"])]
    pub watch: bool,
    /// With --watch: boot each new image in a virtual machine
    #[arg(long, requires = "watch")]
    pub run: bool,
    /// Check that the build is reproducible: build a second time elsewhere, and compare
    #[arg(long)]
    pub check: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scripts {
    /// In a sandbox where possible, else in a virtual machine
    Auto,
    /// In a sandbox on this computer
    Native,
    /// In a virtual machine
    Vm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Output {
    /// One file that UEFI firmware boots
    Uki,
    /// Kernel and initramfs as two files
    #[value(name = "kernel+initramfs")]
    KernelAndInitramfs,
    /// Root filesystem as a tar archive
    Tar,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub system: System,
    /// Boot this image instead of the newest
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Memory of the virtual machine: 512M, 2G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Processors of the virtual machine
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Forward a port: GUEST or HOST:GUEST, instead of those of hoopy.toml
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<hoopy_build::config::Forward>,
    /// Boot with Secure Boot: the machine's firmware takes the keys of trust/, and starts what they sign
    #[arg(long)]
    pub secure_boot: bool,
    /// Give the machine a TPM 2.0
    #[arg(long)]
    pub tpm: bool,
    /// Forget the firmware variables and the TPM of earlier runs
    #[arg(long)]
    pub fresh: bool,
    /// Stop, and succeed, when the console shows TEXT
    #[arg(long, value_name = "TEXT")]
    pub until: Option<String>,
    /// Fail if --until does not succeed in this time
    #[arg(long, value_name = "SECONDS", default_value_t = 180, requires = "until")]
    pub within: u64,
}

/// Options of `test`.
#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    pub system: System,
    /// Run only tests with this text in their name; can be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Test this image instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "locked", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Fail if hoopy.lock is missing, or does not fit `packages`
    #[arg(long)]
    pub locked: bool,
    /// Run all tests again after a reboot, with the disks as they were left
    #[arg(long)]
    pub reboot: bool,
    /// Memory of the virtual machine: 512M, 2G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Processors of the virtual machine
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Virtual machines to run in parallel [default: what the cores of this computer, or --jobs, allow; at most 4]
    #[arg(long, value_name = "N")]
    pub machines: Option<usize>,
    /// Time limit of a test [default: 60, without KVM 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,
    /// Time limit of a boot [default: 300, without KVM 900]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub boot_timeout: Option<u64>,
    /// Keep console logs in DIR [default: ~/.local/state/hoopy]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub logs: Option<PathBuf>,
    /// Leave the secrets closed, and list what is not tested
    #[arg(long)]
    pub without_secrets: bool,
    /// Restore this backup first, to rehearse making the machine again from the system and this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub restore: Option<PathBuf>,
    /// Boot with Secure Boot: the machine's firmware takes the keys of trust/, and starts what they sign
    #[arg(long)]
    pub secure_boot: bool,
    /// Give the machine a TPM 2.0
    #[arg(long)]
    pub tpm: bool,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}
