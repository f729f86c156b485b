//! The commands that look at what is built.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What stands below the help of `inspect`.
pub const INSPECT: &str = "\
Example: hoopy inspect images/nas-2026112101.efi
         hoopy inspect ls images/nas-2026112101.efi etc
         hoopy inspect cat images/nas-2026112101.efi etc/hostname
         hoopy inspect extract images/nas-2026112101.efi etc lib/apk -o out

Paths are those of the system that boots, which is what the kernel makes of the archives: later files take the place \
of earlier ones. An image called `ls`, `cat` or `extract` is written ./ls.
Exit codes: 0 it was read to its end; 1 it was not, or it has no such path.";

/// What stands below the help of `diff`.
pub const DIFF: &str = "\
Example: hoopy diff images/nas-2026112101.efi images/nas-2026112102.efi -p
         hoopy diff hoopy.lock.old hoopy.lock
         hoopy diff HEAD~1 HEAD nas
         hoopy diff ssh:nas images/nas-2026112102.efi -p
         hoopy diff root@nas HEAD nas

What differs is no failure: the exit code is 0 either way, as with `git diff`, and with --exit-code 8 where something \
does. Files of packages that changed are counted with them, and listed with --all. A lock has packages only, and only \
what both sides have is compared; of an image and a revision, the files of root/.

A machine is written ssh:NAME, as ssh(1) knows it, or USER@NAME where that is neither a file nor a revision. It is \
compared by the image that it booted, of which only what is not at hand is fetched.";

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    #[command(subcommand)]
    pub look: Option<Look>,
    /// The image: a unified kernel image or another EFI program, or an initramfs
    #[arg(required = true)]
    pub image: Option<PathBuf>,
    /// Print all of it as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a page that shows where the bytes are: one file, for any browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What is wanted of the files in an image.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// List a directory of the system that boots
    #[command(after_help = "Example: hoopy inspect ls images/nas-2026112101.efi etc/init.d")]
    Ls {
        /// The image
        image: PathBuf,
        /// The directory or file
        #[arg(default_value = "/")]
        path: OsString,
        /// List also what is in directories below
        #[arg(long, short = 'R')]
        recursive: bool,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a file of the system that boots
    #[command(after_help = "Example: hoopy inspect cat images/nas-2026112101.efi etc/hostname")]
    Cat {
        /// The image
        image: PathBuf,
        /// The file
        path: OsString,
    },
    /// Write files of the system that boots to a directory, without root
    #[command(
        after_help = "Example: hoopy inspect extract images/nas-2026112101.efi etc -o out\n\nNothing is overwritten, and no symbolic link is written through. Files are the user's own, without \
                      setuid; devices are left out."
    )]
    Extract {
        /// The image
        image: PathBuf,
        /// Files and directories, with all that is in them; none is all
        paths: Vec<OsString>,
        /// The directory to write to
        #[arg(long, short, value_name = "DIR")]
        output: PathBuf,
    },
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The older: an image, a lock, a git revision of the system directory, or a machine (ssh:NAME, USER@NAME)
    pub old: String,
    /// The newer; for two revisions, `.` is the directory as it is
    pub new: String,
    /// The system directory, where these are git revisions
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Where a machine has its EFI system partition mounted, instead of looking for it
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
    /// List also the files of packages that changed
    #[arg(long)]
    pub all: bool,
    /// Exit with 8 where something differs
    #[arg(long)]
    pub exit_code: bool,
    /// Show how the lines of texts differ
    #[arg(long, short)]
    pub patch: bool,
    /// Print the differences as JSON
    #[arg(long)]
    pub json: bool,
}
