//! Commands that lead from diskless Alpine Linux to a system directory, and back.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};

use super::{Scripts, System};

pub const IMPORT: &str = "\
Example: hoopy import /media/usb/nas.apkovl.tar.gz
         hoopy import ssh:root@nas -o nas --plain-secrets

SOURCE is an overlay (NAME.apkovl.tar.gz, also one that lbu encrypted), a boot medium with one overlay, a directory with \
the root of a machine, an address (https:...), or ssh:HOST, a running machine, to which nothing is written. Packages are \
fetched to tell the owner's files from those of packages. The report, also in DIR/IMPORT.md, says what was taken, \
what was left out and why, and what to look at.";

pub const EXPORT: &str = "\
Example: hoopy export nas --apkovl -o /media/usb/nas.apkovl.tar.gz
         hoopy export nas --world";

/// Options of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Overlay, boot medium, directory, address, or ssh:HOST
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub source: String,
    /// Directory to create the system in [default: the name of the machine]
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Kernel of the machine, such as lts or virt: an overlay does not name it [default: that of the medium, or lts]
    #[arg(long, value_name = "FLAVOR")]
    pub kernel: Option<String>,
    /// Alpine branch to move to, such as 3.23 [default: that of the machine]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// Take secrets too, encrypted for this public key: age1... or ssh-ed25519 ...; can be repeated
    #[arg(long, value_name = "KEY")]
    pub recipient: Vec<String>,
    /// Take secrets too, unencrypted, into files that git ignores
    #[arg(long, conflicts_with = "recipient")]
    pub plain_secrets: bool,
    /// Read the passphrase of an encrypted overlay from the first line of FILE [default: ask]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Where to run package scripts
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `export`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").required(true).args(["apkovl", "world"]))]
pub struct Export {
    #[command(flatten)]
    pub system: System,
    /// Write an overlay for a diskless Alpine Linux
    #[arg(long)]
    pub apkovl: bool,
    /// Print only /etc/apk/world
    #[arg(long)]
    pub world: bool,
    /// File to write [default: NAME.apkovl.tar.gz]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "world")]
    pub output: Option<PathBuf>,
    /// Where to run package scripts and setup.sh
    #[arg(long, value_enum, default_value_t = Scripts::Auto, value_name = "WHERE")]
    pub scripts: Scripts,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "world")]
    pub json: bool,
}
