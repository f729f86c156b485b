//! Commands about secrets.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

pub const SECRET: &str = "\
Example: hoopy -C nas secret init
         hoopy -C nas secret set /etc/wireguard/wg0.conf < wg0.conf
         hoopy -C nas secret edit /etc/wireguard/wg0.conf
         hoopy -C nas secret enroll root@nas

Secrets are age files below secrets/ of the system, encrypted to secrets/recipients and to the machine: safe to commit. \
They are opened with the identities in ~/.config/age and ~/.ssh, or with those that --identity names. docs/secrets.md has \
the manual.";

pub const UNLOCK: &str = "\
Example: hoopy unlock root@nas
         hoopy -C nas unlock root@nas tank-home

Without NAME the machine gets its identity, in memory, and opens all its secrets and volumes with it. With NAME it gets the \
key of that volume alone.";

/// How secrets are decrypted.
#[derive(Debug, Args)]
pub struct Keys {
    /// Decrypt with this file: an age identity or a private ssh key; can be repeated [default: ~/.config/age/*, ~/.ssh/id_ed25519, ~/.ssh/id_rsa]
    #[arg(long, short, value_name = "FILE", env = "HOOPY_IDENTITY", value_delimiter = ':', value_hint = ValueHint::FilePath)]
    pub identity: Vec<PathBuf>,
}

/// A value of `[secrets] open`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Open {
    Disk,
    Tpm,
    Owner,
    Build,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Set up secrets/: whom to encrypt for, and the machine's identity
    #[command(
        after_help = "Example: hoopy -C nas secret init --open disk\n\nWithout --recipient, the public halves of your keys \
in ~/.config/age and ~/.ssh are used; where there are none, a new key is written to ~/.config/age/hoopy.txt."
    )]
    Init(SecretInit),
    /// Encrypt standard input, as a new secret or in place of one
    #[command(after_help = "Example: head -c 32 /dev/urandom | hoopy -C nas secret set unlock/tank-home")]
    Set {
        /// Path on the machine, or unlock/NAME, or trust/NAME
        path: String,
    },
    /// Edit a secret with $VISUAL or $EDITOR
    #[command(after_help = "Example: hoopy -C nas secret edit /etc/wireguard/wg0.conf")]
    Edit {
        /// Path on the machine, or unlock/NAME, or trust/NAME
        path: String,
        #[command(flatten)]
        keys: Keys,
    },
    /// Print a secret
    #[command(after_help = "Example: hoopy -C nas secret show /etc/wireguard/wg0.conf")]
    Show {
        /// Path on the machine, or unlock/NAME, or trust/NAME
        path: String,
        #[command(flatten)]
        keys: Keys,
    },
    /// List the secrets
    #[command(after_help = "Example: hoopy -C nas secret list --json")]
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    #[command(after_help = "Example: hoopy -C nas secret rm /etc/wireguard/wg0.conf")]
    Rm {
        /// Path on the machine, or unlock/NAME, or trust/NAME
        path: String,
    },
    /// Encrypt again the secrets that are not for the current recipients
    #[command(
        after_help = "Example: hoopy -C nas secret rekey\n         hoopy -C nas secret rekey --machine && hoopy -C nas secret enroll root@nas"
    )]
    Rekey(Rekey),
    /// Move files of root/ into secrets/
    #[command(
        after_help = "Example: hoopy -C nas secret import root/etc/ssh/ssh_host_ed25519_key\n\nThe file is removed from root/ once it \
is encrypted. What was committed stays in git's history."
    )]
    Import {
        /// Files below root/, or their paths on the machine
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        paths: Vec<String>,
    },
    /// Give a running machine its identity over ssh
    #[command(
        after_help = "Example: hoopy -C nas secret enroll root@nas\n\nExisting identities are kept after the new one, since images to \
fall back to may need them; --forget removes them."
    )]
    Enroll(Enroll),
}

/// Options of `secret init`.
#[derive(Debug, Args)]
pub struct SecretInit {
    /// How the machine opens its secrets
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Open::Disk)]
    pub open: Open,
    /// Encrypt for this public key: age1... or ssh-ed25519 ...; can be repeated
    #[arg(long, short, value_name = "KEY")]
    pub recipient: Vec<String>,
    /// Also make a recovery key, protected by a passphrase, that opens everything: secrets/recovery.age
    #[arg(long)]
    pub recovery: bool,
}

/// Options of `secret rekey`.
#[derive(Debug, Args)]
pub struct Rekey {
    /// Encrypt everything again, even what is already for the right recipients
    #[arg(long)]
    pub all: bool,
    /// Give the machine a new identity
    #[arg(long)]
    pub machine: bool,
    #[command(flatten)]
    pub keys: Keys,
}

/// Options of `secret enroll`.
#[derive(Debug, Args)]
pub struct Enroll {
    /// Machine, as ssh knows it [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Remove the identities that the machine has
    #[arg(long)]
    pub forget: bool,
    #[command(flatten)]
    pub keys: Keys,
}

/// Options of `unlock`.
#[derive(Debug, Args)]
pub struct Unlock {
    /// Machine, as ssh knows it [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Unlock this volume alone
    #[arg(requires = "host")]
    pub name: Option<String>,
    /// Unlock with a passkey, in the browser of this computer
    #[arg(long, conflicts_with_all = ["name", "identity"])]
    pub passkey: bool,
    #[command(flatten)]
    pub keys: Keys,
}
