//! Commands that read images.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

pub const INSPECT: &str = "\
Example: hoopy inspect images/nas-2026112101.efi
         hoopy inspect ls images/nas-2026112101.efi etc
         hoopy inspect cat images/nas-2026112101.efi etc/hostname
         hoopy inspect extract images/nas-2026112101.efi etc lib/apk -o out

Paths are those of the booted system: where several archives have a file, the last one counts, as for the kernel. Write \
./ls for an image called ls. The exit code is 1 where an image could not be read to its end, or has no such path.";

pub const DIFF: &str = "\
Example: hoopy diff images/nas-2026112101.efi images/nas-2026112102.efi -p
         hoopy diff hoopy.lock.old hoopy.lock
         hoopy -C nas diff HEAD~1 HEAD
         hoopy -C nas diff ssh:nas images/nas-2026112102.efi -p
         hoopy -C nas diff root@nas HEAD

The exit code is 0 either way, as with `git diff`, or with --exit-code 8 where something differs. Files of packages that \
changed are counted, and listed with --all. Two sides are compared in what both have: a lock has packages only, and of a \
git revision the files of root/ are compared.

A machine is written ssh:NAME, or USER@NAME where that is neither a file nor a revision. It stands for the image that it \
booted; what of that is not on this computer is fetched.";

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    #[command(subcommand)]
    pub look: Option<Look>,
    /// Image: a unified kernel image or another EFI program, or an initramfs
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Print the contents as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a report (HTML) of what takes the space
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Look {
    /// List a directory of an image
    #[command(after_help = "Example: hoopy inspect ls images/nas-2026112101.efi etc/init.d")]
    Ls {
        /// Image
        #[arg(value_hint = ValueHint::FilePath)]
        image: PathBuf,
        /// Directory or file
        #[arg(default_value = "/")]
        path: OsString,
        /// List subdirectories, too
        #[arg(long, short = 'R')]
        recursive: bool,
        /// Print the files as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a file of an image
    #[command(after_help = "Example: hoopy inspect cat images/nas-2026112101.efi etc/hostname")]
    Cat {
        /// Image
        #[arg(value_hint = ValueHint::FilePath)]
        image: PathBuf,
        /// File
        path: OsString,
    },
    /// Extract files of an image to a directory, without root
    #[command(
        after_help = "Example: hoopy inspect extract images/nas-2026112101.efi etc -o out\n\nNothing is overwritten, and no symbolic link is followed. The files are owned by you, without setuid; devices are \
                      left out."
    )]
    Extract {
        /// Image
        #[arg(value_hint = ValueHint::FilePath)]
        image: PathBuf,
        /// Files, and directories with all that is in them [default: all]
        paths: Vec<OsString>,
        /// Directory to write to
        #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
        output: PathBuf,
    },
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Older side: an image, a lock, a git revision of the system, or a machine (ssh:NAME, USER@NAME)
    pub old: String,
    /// Newer side; with a git revision, `.` is the system as it is now
    pub new: String,
    /// Where a machine has its EFI system partition mounted [default: it is searched for]
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
    /// List the files of changed packages, too
    #[arg(long)]
    pub all: bool,
    /// Exit with 8 where something differs
    #[arg(long)]
    pub exit_code: bool,
    /// Show changed lines of text files
    #[arg(long, short)]
    pub patch: bool,
    /// Print the differences as JSON
    #[arg(long)]
    pub json: bool,
}
