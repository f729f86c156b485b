//! Commands about backups of a machine's state.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Keys;

pub const BACKUP: &str = "\
Example: hoopy -C nas backup root@nas -o nas.tar.zst.age
         hoopy backup --verify nas.tar.zst.age

A backup holds the directories that the file `state` lists, encrypted to secrets/recipients. It is checked while it \
arrives, read back from the disk, and decrypted if there is a key that needs no passphrase. Without hoopy: age -d -i KEY FILE | \
zstd -d | tar -t. docs/state.md has the manual.";

pub const RESTORE: &str = "\
Example: hoopy restore root@nas nas.tar.zst.age

The whole file is decrypted and checked before anything is sent. The machine keeps it until its next boot, and puts it in \
place of its state before any service starts; what it replaces stays in hoopy/state.before of the filesystem. For a new disk: \
hoopy disk --restore FILE. To rehearse: hoopy test --restore FILE.";

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Machine, as ssh knows it [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname, conflicts_with = "verify")]
    pub host: Option<String>,
    /// Write the backup to FILE
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "verify")]
    pub output: Option<PathBuf>,
    /// Decrypt and check this existing backup, and write nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "output")]
    pub verify: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keys: Keys,
}

/// Options of `restore`.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct Restore {
    /// Machine, as ssh knows it [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Backup to restore
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    pub keys: Keys,
}
