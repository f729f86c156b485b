//! The command line. Help, completions and man pages all come from here.

mod build;
#[cfg(test)]
mod documented;
mod drift;
mod images;
mod ship;

use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use build::{Build, Output, Run, Scripts, Test};
pub use drift::{Drift, Machine, Pull};
pub use images::{Diff, Inspect, Look};
pub use ship::{Deploy, Disk, DiskContent, Flash, Rollback, Status};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 it failed; 2 the command line is wrong; 3 the system directory is wrong \
(hoopy.toml, packages, the lock, or `hoopy check` found an error); 4 a script failed; 5 something could not be fetched or verified; 6 `hoopy test` found a test that fails; \
8 something differs: `hoopy build --check` found it, or --exit-code asks; \
9 a machine fell back to the image before, or is not well; 10 it did not come back.";

const TEST_HELP: &str = "\
Example: hoopy test nas --junit results.xml

Every *.sh and every program in tests/ is a test, run as root in the machine: exit status 0 is good, 77 is neither \
(the last line says why), all else is bad. NAME.1.sh, NAME.2.sh are one test with a reboot in between, in a machine \
of its own. hoopy has checks of its own beside them: the runlevel is reached, services are up, fstab is mounted, the \
clock is set, the root filesystem is in memory. The exit code is 6 where a test fails.";

/// Turns a directory (packages, root/, setup.sh, hoopy.toml) into a whole Alpine Linux machine in one bootable file.
#[derive(Debug, Parser)]
#[command(name = "hoopy", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, ClapArgs)]
pub struct Global {
    /// Where downloads, layers and segments are kept
    #[arg(long, global = true, env = "HOOPY_STORE", value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Where packages come from, instead of Alpine's mirrors: an address or a directory
    #[arg(long, global = true, env = "HOOPY_MIRROR", value_name = "URL")]
    pub mirror: Option<String>,
    /// The public keys to trust, instead of Alpine's
    #[arg(long, global = true, env = "HOOPY_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// The architecture: x86_64 or aarch64
    #[arg(long, global = true, value_name = "ARCH")]
    pub arch: Option<hoopy_base::arch::Arch>,
    /// The accelerator of virtual machines: auto is KVM where it works, else TCG, which is slower
    #[arg(long, global = true, env = "HOOPY_ACCEL", value_enum, default_value_t = Accel::Auto, value_name = "ACCEL")]
    pub accel: Accel,
    /// How many cores to keep busy, instead of all
    #[arg(long, global = true, env = "HOOPY_JOBS", value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Log the steps on standard error, and with -vv each piece of work; HOOPY_LOG takes a filter
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print nothing but errors and results
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small system to start from
    #[command(after_help = "Example: hoopy init nas && hoopy build nas && hoopy run nas")]
    Init(Init),
    /// Say what is wrong with a system, without building it
    #[command(after_help = "Example: hoopy check nas")]
    Check(Check),
    /// Build the bootable image
    #[command(after_help = "Example: hoopy build nas")]
    Build(Build),
    /// Boot the newest image in a virtual machine
    #[command(after_help = "Example: hoopy run nas --memory 2G --port 8080:80")]
    Run(Run),
    /// Build the image, boot it in a virtual machine and run the scripts of tests/ inside it
    #[command(after_help = TEST_HELP)]
    Test(Test),
    /// Write a disk image that boots the newest image
    #[command(after_help = "Example: hoopy disk nas -o nas.img --size 8G")]
    Disk(Disk),
    /// Write such a disk to a stick
    #[command(after_help = "Example: hoopy flash nas /dev/sdb")]
    Flash(Flash),
    /// Ship the image to a machine over ssh, sending only what it lacks
    #[command(after_help = ship::DEPLOY)]
    Deploy(Deploy),
    /// Tell what a machine runs, and what it starts next
    #[command(after_help = ship::STATUS)]
    Status(Status),
    /// Let a machine start the image before
    #[command(after_help = "Example: hoopy rollback root@nas --reboot")]
    Rollback(Rollback),
    /// Write hoopy.lock: the exact packages
    #[command(after_help = "Example: hoopy lock nas")]
    Lock(System),
    /// Resolve again and show what changes
    #[command(after_help = "Example: hoopy update nas")]
    Update(Update),
    /// Keep every locked package and index beside the system, as a mirror
    #[command(after_help = "Example: hoopy vendor nas && hoopy build nas --mirror nas/vendor")]
    Vendor(System),
    /// Say which lines of `packages` bring a package in, and over what
    #[command(after_help = "Example: hoopy why libcrypto3 nas")]
    Why(About),
    /// Show what each line of `packages` brings in, as a tree
    #[command(after_help = "Example: hoopy tree nas --depth 2")]
    Tree(Tree),
    /// Look for packages in the repositories of a system
    #[command(after_help = "Example: hoopy search cmd:ssh nas; hoopy search 'lib*ssl*' nas")]
    Search(Search),
    /// Tell all about a package in the repositories of a system
    #[command(after_help = "Example: hoopy info dropbear nas")]
    Info(About),
    /// Say what is in an image: any unified kernel image or initramfs, whoever made it
    #[command(after_help = images::INSPECT, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Inspect(Inspect),
    /// Say what differs between two images, locks, machines, or revisions of a system
    #[command(after_help = images::DIFF)]
    Diff(Diff),
    /// Say how a machine differs from the image that it booted: what the next reboot erases
    #[command(after_help = drift::DRIFT)]
    Drift(Drift),
    /// Bring what changed on a machine into root/
    #[command(after_help = drift::PULL)]
    Pull(Pull),
    /// Remove from the store what no build has used for long
    #[command(after_help = "Example: hoopy gc --keep-days 7 --max-size 2G\n\n\
        Waits for builds that run, and keeps new ones waiting; what it removes is made or fetched again when it \
        is needed.")]
    Gc(Gc),
    /// Look after the store
    #[command(after_help = "Example: hoopy store verify")]
    Store {
        /// What to do with it
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Print the JSON schema of hoopy.toml, for editors
    Schema,
    /// Print the completions of a shell
    #[command(
        after_help = "Example: hoopy completions bash > ~/.local/share/bash-completion/completions/hoopy"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// Which system.
#[derive(Debug, ClapArgs)]
pub struct System {
    /// The system directory
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// Options of `init`.
#[derive(Debug, ClapArgs)]
pub struct Init {
    /// The directory to write it to
    pub dir: PathBuf,
}

/// Options of `check`.
#[derive(Debug, ClapArgs)]
pub struct Check {
    #[command(flatten)]
    pub system: System,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `update`.
#[derive(Debug, ClapArgs)]
pub struct Update {
    /// The system directory
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Only these packages
    pub packages: Vec<String>,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Accept a mirror whose indexes or packages are older than those of the lock
    #[arg(long)]
    pub allow_downgrade: bool,
}

/// Options of `gc`.
#[derive(Debug, ClapArgs)]
pub struct Gc {
    /// Keep what was made, fetched or used in the last N days
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub keep_days: u32,
    /// Then remove what was used least recently, until the rest is no larger; and all unpacked layers
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Show what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `store` does.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read all of it, and remove what is not as its digest says: builds make or fetch that again
    #[command(after_help = "Example: hoopy store verify\n\nExits with 1 where something was damaged.")]
    Verify {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `why` and `info`.
#[derive(Debug, ClapArgs)]
pub struct About {
    /// A package, or what one provides: musl, cmd:ls, so:libz.so.1
    #[arg(value_name = "PKG")]
    pub package: String,
    #[command(flatten)]
    pub system: System,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `tree`.
#[derive(Debug, ClapArgs)]
pub struct Tree {
    #[command(flatten)]
    pub system: System,
    /// How many levels to show below the packages asked for
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Print the packages and what each brings as JSON
    #[arg(long, conflicts_with = "depth")]
    pub json: bool,
}

/// Options of `search`.
#[derive(Debug, ClapArgs)]
pub struct Search {
    /// Part of a name, description, command or library; with * or ? in it, the whole of a name
    pub pattern: String,
    #[command(flatten)]
    pub system: System,
    /// Print what is found as JSON
    #[arg(long)]
    pub json: bool,
}
