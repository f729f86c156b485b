//! The command line. Help, completions and man pages all come from here.
//!
//! One rule: commands about a system alone take its directory; commands with another subject (a machine, a package,
//! a device) take that, and the system by `-C`.

mod backup;
mod build;
mod diskless;
mod doctor;
#[cfg(test)]
mod documented;
mod images;
mod machines;
mod packages;
mod parse;
mod secrets;
mod ship;
mod store;
mod trust;

use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use backup::{Backup, Restore};
pub use build::{Build, Check, Hardware, Init, Output, Run, Scripts, Test};
pub use diskless::{Export, Import};
pub use doctor::Doctor;
pub use images::{Diff, Inspect, Look};
pub use machines::{Drift, Host, Logs, OpenPage, Pull, Reboot, Rollback, Status};
pub use packages::{About, Change, Lock, Search, Tree, Update, Vendor};
pub use parse::{correction, parse};
pub use secrets::{Enroll, Keys, Open, Rekey, SecretCommand, SecretInit, Unlock};
pub use ship::{Deploy, Disk, DiskContent, Flash};
pub use store::{Gc, StoreCommand};
pub use trust::{KeysCommand, Sign};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, ValueHint};

use crate::error::Exit;

/// Build a bootable Alpine Linux image from a directory (packages, root/, setup.sh, hoopy.toml), test it, and deploy it
#[derive(Debug, Parser)]
#[command(name = "hoopy", version, after_help = Exit::table(), max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Run as if started in DIR: relative paths and the system are those of DIR
    #[arg(long, short = 'C', global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
    /// Keep downloads and build results in DIR [default: ~/.cache/hoopy]
    #[arg(long, global = true, env = "HOOPY_STORE", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub store: Option<PathBuf>,
    /// Fetch packages from this mirror instead of Alpine's: an address or a directory
    #[arg(long, global = true, env = "HOOPY_MIRROR", value_name = "URL")]
    pub mirror: Option<String>,
    /// Trust the public keys in DIR instead of Alpine's
    #[arg(long, global = true, env = "HOOPY_KEYS", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keys: Option<PathBuf>,
    /// Build for this architecture: x86_64, aarch64, armv7 or armhf
    #[arg(long, global = true, value_name = "ARCH")]
    pub arch: Option<hoopy_base::arch::Arch>,
    /// Accelerator of virtual machines: auto is KVM where it works, else TCG (software emulation), which is slower
    #[arg(long, global = true, env = "HOOPY_ACCEL", value_enum, default_value_t = Accel::Auto, value_name = "ACCEL")]
    pub accel: Accel,
    /// Use N cores [default: all]
    #[arg(long, global = true, env = "HOOPY_JOBS", value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Log the steps on standard error, and with -vv every piece of work; HOOPY_LOG takes a filter
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print only results, warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Which accelerator virtual machines get. The values are not documented one by one: `--help` of every command would
/// become three times as long (clap's long form).
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Accel {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a small system to start from
    #[command(after_help = "Example: hoopy init nas && hoopy build nas && hoopy run nas")]
    Init(Init),
    /// Create a system from a diskless Alpine Linux, or another Alpine machine
    #[command(after_help = diskless::IMPORT)]
    Import(Import),
    /// Write an overlay for a diskless Alpine Linux: the reverse of import
    #[command(after_help = diskless::EXPORT)]
    Export(Export),
    /// Check a system for mistakes, without building it
    #[command(after_help = "Example: hoopy check nas")]
    Check(Check),
    /// Build the bootable image
    #[command(after_help = build::BUILD)]
    Build(Build),
    /// Boot the newest image in a virtual machine
    #[command(after_help = "Example: hoopy run nas --memory 2G --port 8080:80")]
    Run(Run),
    /// Boot the image in a virtual machine and run the scripts of tests/ inside it
    #[command(after_help = build::TEST)]
    Test(Test),
    /// Create a disk image that boots the newest image
    #[command(after_help = "Example: hoopy disk nas -o nas.img --size 8G")]
    Disk(Disk),
    /// Write a bootable disk to a device, such as a USB stick
    #[command(after_help = "Example: hoopy -C nas flash /dev/sdb")]
    Flash(Flash),
    /// Update a machine over ssh: build the image, and send what the machine lacks of it
    #[command(after_help = ship::DEPLOY)]
    Deploy(Deploy),
    /// Show the state of a machine: image, health, drift, what starts next
    #[command(after_help = machines::STATUS)]
    Status(Status),
    /// Open the page of a machine in the browser, through ssh
    #[command(after_help = machines::OPEN)]
    Open(OpenPage),
    /// Roll back a machine to its previous image
    #[command(after_help = "Example: hoopy rollback root@nas --reboot")]
    Rollback(Rollback),
    /// Show the system log of a machine
    #[command(after_help = machines::LOGS)]
    Logs(Logs),
    /// Show what changed on a machine since it booted: what the next reboot erases
    #[command(after_help = machines::DRIFT)]
    Drift(Drift),
    /// Copy changed files of a machine into root/
    #[command(after_help = machines::PULL)]
    Pull(Pull),
    /// Manage the secrets of a system: encrypted files in git
    #[command(after_help = secrets::SECRET)]
    Secret {
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// Unlock a machine that waits for its owner, or one of its volumes
    #[command(after_help = secrets::UNLOCK)]
    Unlock(Unlock),
    /// Save the state of a machine in one encrypted file
    #[command(after_help = backup::BACKUP)]
    Backup(Backup),
    /// Restore a backup on a machine, at its next boot
    #[command(after_help = backup::RESTORE)]
    Restore(Restore),
    /// Add packages to a system
    #[command(after_help = packages::ADD)]
    Add(Change),
    /// Remove packages from a system
    #[command(after_help = packages::REMOVE)]
    Remove(Change),
    /// Resolve `packages` to exact versions and write hoopy.lock
    #[command(after_help = "Example: hoopy lock nas")]
    Lock(Lock),
    /// Update locked packages to the newest versions, and show what changes
    #[command(after_help = packages::UPDATE)]
    Update(Update),
    /// Save all locked packages in the system directory, as a mirror to build from
    #[command(after_help = "Example: hoopy vendor nas && hoopy build nas --mirror nas/vendor")]
    Vendor(Vendor),
    /// Explain why a package is installed
    #[command(after_help = "Example: hoopy -C nas why libcrypto3")]
    Why(About),
    /// Show the dependency tree of a system
    #[command(after_help = "Example: hoopy tree nas --depth 2")]
    Tree(Tree),
    /// Search for packages by name, description, command or library
    #[command(after_help = "Example: hoopy -C nas search cmd:ssh\n         hoopy -C nas search 'lib*ssl*'")]
    Search(Search),
    /// Show details of a package
    #[command(after_help = "Example: hoopy -C nas info dropbear")]
    Info(About),
    /// Show the contents of an image: any unified kernel image or initramfs
    #[command(after_help = images::INSPECT, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Inspect(Inspect),
    /// Manage the keys of Secure Boot
    #[command(after_help = trust::KEYS)]
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Sign an EFI program for Secure Boot
    #[command(after_help = trust::SIGN)]
    Sign(Sign),
    /// Compare two images, locks, git revisions or machines
    #[command(after_help = images::DIFF)]
    Diff(Diff),
    /// Free space: remove from the store what no recent build used
    #[command(after_help = store::GC)]
    Gc(Gc),
    /// Maintain the store of downloads and build results
    #[command(after_help = "Example: hoopy store verify")]
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Show what this computer can do, and how to install what is missing
    #[command(after_help = doctor::DOCTOR)]
    Doctor(Doctor),
    /// Print the JSON schema of hoopy.toml, for editors
    #[command(after_help = "Example: hoopy schema > hoopy.schema.json")]
    Schema,
    /// Print shell completions
    #[command(
        after_help = "Example: hoopy completions bash > ~/.local/share/bash-completion/completions/hoopy"
    )]
    Completions {
        /// Shell to print them for
        shell: clap_complete::Shell,
    },
    /// Print the man page of hoopy or of a command
    #[command(
        after_help = "Example: hoopy man deploy | man -l -\n         hoopy man --output ~/.local/share/man/man1"
    )]
    Man(Man),
}

/// Which system.
#[derive(Debug, ClapArgs)]
pub struct System {
    /// System directory
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// Options of `man`.
#[derive(Debug, ClapArgs)]
pub struct Man {
    /// Command whose page to print, instead of hoopy's own
    pub command: Option<String>,
    /// Write the pages of hoopy and all commands to DIR
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub output: Option<PathBuf>,
}
