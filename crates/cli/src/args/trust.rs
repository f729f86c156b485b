//! Commands about keys and signatures.

use std::path::PathBuf;

use clap::{Args, ValueHint};

pub const SIGN: &str = "\
Example: hoopy -C nas sign images/nas-2026112101.efi
         hoopy -C nas sign /usr/lib/systemd/boot/efi/systemd-bootx64.efi -o systemd-bootx64.efi
         hoopy sign tool.efi --key db.key --certificate db.crt

The key is that of trust/db.crt in the system directory, or the one that is given. Signatures of others stay, and signing \
twice gives the same file.";

/// Options of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// EFI program: an image, a boot loader, a kernel
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Write the signed program to FILE [default: replace it]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Certificate of that key (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key")]
    pub certificate: Option<PathBuf>,
}
