//! The commands that look at what changed on a machine.

use std::path::PathBuf;

use clap::Args;

/// What stands below the help of `drift`.
pub const DRIFT: &str = "\
Example: hoopy drift nas
         hoopy drift root@nas --system nas -p

What is told is what the next reboot erases. Logs, leases and what each boot makes anew are left out, and what \
hoopy.toml says: [drift] ignore = [\"/var/lib/app\"]. The exit code is 0 either way, and with --exit-code 8 where \
something differs.

Where the image is not in images/ of the system, what is needed of it is fetched from the machine and kept in the store.";

/// What stands below the help of `pull`.
pub const PULL: &str = "\
Example: hoopy pull nas /etc/motd
         hoopy pull root@nas --all --system nas

Files go to root/ of the system directory, and modes that git does not keep to [modes] of hoopy.toml: look at `git \
diff`, and commit. The machine is not trusted: refused are what looks secret (keys, hashes of passwords, tokens), since git forgets \
nothing; links that lead out of root/ on this computer; and setuid and setgid bits. --secrets, --outside-links and \
--setuid take them. The exit code is 1 where something was refused. Files that git or hoopy would take for their own \
(.git, .gitignore, hoopy.toml) are never taken.";

/// Which machine, and what it should be.
#[derive(Debug, Args)]
pub struct Machine {
    /// The machine, as ssh knows it; or a system directory, for the machine in its hoopy.toml
    #[arg(default_value = ".")]
    pub host: String,
    /// The system directory, instead of the one named or this one
    #[arg(long, value_name = "DIR")]
    pub system: Option<PathBuf>,
    /// The image that the machine booted, instead of the one in images/ or on the machine
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Where the machine has its EFI system partition mounted, instead of looking for it
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
}

/// Options of `drift`.
#[derive(Debug, Args)]
pub struct Drift {
    #[command(flatten)]
    pub machine: Machine,
    /// Show how the lines of texts differ
    #[arg(long, short)]
    pub patch: bool,
    /// Exit with 8 where something differs
    #[arg(long)]
    pub exit_code: bool,
    /// Print the differences as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    #[command(flatten)]
    pub machine: Machine,
    /// Files, and directories with all that changed in them; asked for one by one where none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// All that changed
    #[arg(long, conflicts_with = "paths")]
    pub all: bool,
    /// Also what looks secret
    #[arg(long)]
    pub secrets: bool,
    /// Also links that lead out of root/ on this computer, as /srv/app/run
    #[arg(long)]
    pub outside_links: bool,
    /// Also files with the setuid or setgid bit, and the bit of directories
    #[arg(long)]
    pub setuid: bool,
    /// Print what became of each path as JSON
    #[arg(long)]
    pub json: bool,
}
