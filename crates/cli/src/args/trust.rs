//! Commands about keys and signatures.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

pub const SIGN: &str = "\
Example: hoopy -C nas sign images/nas-2026112101.efi
         hoopy -C nas sign /usr/lib/systemd/boot/efi/systemd-bootx64.efi -o systemd-bootx64.efi
         hoopy sign tool.efi --key db.key --certificate db.crt

The key is that of trust/db.crt in the system directory, unless --key names another. Other signatures stay, and signing \
twice gives the same file.

EFI applications and drivers for x86_64 and aarch64 can be signed, not those of 32 bits. Sign tools that start other programs, \
such as GRUB, a UEFI shell or a bare kernel, with a key of their own, and not with that of trust/db.crt: with it, whoever \
starts them can have the TPM open the secrets of your images.";

pub const KEYS: &str = "\
Example: hoopy -C nas keys new && hoopy build nas && hoopy disk nas --enroll
         hoopy -C nas keys status root@nas
         hoopy -C nas keys rotate
         hoopy -C nas keys epoch --raise
         hoopy -C nas keys export stick

docs/trust.md explains what the keys are for.";

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create the keys that are missing: certificates in trust/, private keys in secrets/trust/, lists for the firmware
    #[command(
        after_help = "Example: hoopy -C nas secret init && hoopy -C nas keys new\n\nPrivate keys are age files, encrypted to \
the owner's keys in secrets/recipients and never part of an image. Keys that are there are left alone."
    )]
    New {
        /// Leave out Microsoft's certificates: option ROMs, and other systems, may not start any more
        #[arg(long)]
        no_microsoft: bool,
    },
    /// Sign the lists of keys that firmware takes, in trust/: PK.auth, KEK.auth, db.auth; or change a machine's firmware
    #[command(
        after_help = "Example: hoopy -C nas keys enroll\n         hoopy -C nas keys enroll root@nas\n\nMicrosoft's certificates \
are in the lists or not as before, unless an option says so. `hoopy disk --enroll` and \
`hoopy flash --enroll` write disks that enroll the lists. They are newer than earlier ones, so firmware that already has these \
keys accepts them, too.\n\nWith HOST, the firmware of a machine that has your KEK already gets the certificates of trust/db.auth \
in its db over ssh. The certificates of trust/db.old.crt are taken out of it; what else is there stays. Before that, a boot \
loader that would not start any more is replaced by the systemd-boot of hoopy.lock, signed. An image on the machine that would \
not start any more is removed, if the machine runs another one and has one to fall back to. Otherwise the command is refused, and \
nothing is changed."
    )]
    Enroll {
        /// Machine whose firmware gets the keys, as ssh knows it
        #[arg(value_hint = ValueHint::Hostname)]
        host: Option<String>,
        /// Add Microsoft's certificates, where they were left out [default: as the lists have it]
        #[arg(long, conflicts_with_all = ["host", "no_microsoft"])]
        microsoft: bool,
        /// Leave out Microsoft's certificates: option ROMs, and other systems, may not start any more
        #[arg(long, conflicts_with = "host")]
        no_microsoft: bool,
    },
    /// Replace the key that signs images and boot loaders, step by step, while every machine goes on starting
    #[command(
        after_help = "Example: hoopy -C nas keys rotate\n         hoopy -C nas keys rotate --finish\n         \
hoopy -C nas keys rotate --abandon\n\nThe first step makes the next key: both sign then, and trust/db.auth has both. The second \
one puts it in the place of the old one. Each prints what to do for each machine, and can be run again if it was interrupted. \
docs/trust.md has the whole course."
    )]
    Rotate {
        /// Let the next key sign alone
        #[arg(long)]
        finish: bool,
        /// Let the old key sign alone, as before, and take the next one out of trust/: because it is lost, say
        #[arg(long, conflicts_with = "finish")]
        abandon: bool,
    },
    /// Show the epoch of the system's images, or raise it, which shuts older images out of machines' secrets
    #[command(
        after_help = "Example: hoopy -C nas keys epoch --raise && hoopy deploy nas\n\nFor images with `open = \"tpm\"`. When an \
image of the new epoch has booted well on a machine, its TPM does not open the secrets for images of earlier epochs any more, also \
where somebody has a copy of an old image and of the disk. Raise it when an older image must not be started by a thief: because \
something in it can be broken into. The previous image then comes up locked: deploy once more to have one to fall back to."
    )]
    Epoch {
        /// Raise it by one, in trust/epoch: the next image that is built has it
        #[arg(long)]
        raise: bool,
    },
    /// Show the keys of the system, or what a machine's firmware trusts, what it started, and what new keys would change
    #[command(
        after_help = "Example: hoopy -C nas keys status --json\n         hoopy -C nas keys status root@nas\n\nWith HOST: whether \
Secure Boot is on; PK, KEK, db and dbx; what the firmware started and whose certificate allowed it; option ROMs; and what would \
not start any more with the keys of trust/. Read over ssh from the firmware's variables and the TPM's event log, which whoever has \
root on the machine can forge."
    )]
    Status {
        /// Machine to ask, as ssh knows it
        #[arg(value_hint = ValueHint::Hostname)]
        host: Option<String>,
        /// Print the status as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write certificates (DER) and lists to a directory, for the firmware's own menu
    #[command(after_help = "Example: hoopy -C nas keys export /media/stick/keys")]
    Export {
        /// Directory to write to
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

/// Options of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// EFI program: an image, systemd-boot, a tool, a driver
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Write the signed program to FILE [default: replace it]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Use this certificate of the key (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key")]
    pub certificate: Option<PathBuf>,
}
