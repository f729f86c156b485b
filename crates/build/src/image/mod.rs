//! The image: a kernel, an initramfs laid end to end of segments, a command line, an os-release; described as
//! extents, then written.

mod arrange;
pub mod board;
mod command_line;
mod describe;
mod draft;
mod fat_names;
mod initramfs;
mod initramfs_writer;
mod kernel;
mod kernel_file;
pub mod manifest;
mod measured;
mod name;
mod owners_lines;
pub mod plaintext;
mod spec;
mod tar;
mod write;

use std::io;
use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_boot::layout::Layout;
use hoopy_cpio::codec::KernelCannotUnpack;
use hoopy_store::StoreError;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_trust::image::SignImageError;

use crate::segment::SegmentError;

pub use command_line::{LongCommandLine, check_length, command_line};
pub use describe::{Identity, os_release};
pub use draft::ImageDraft;
pub use initramfs::{Content, Initramfs, Piece, Written};
pub use initramfs_writer::InitramfsWriter;
pub use kernel::{Kernel, find as find_kernel};
pub use kernel_file::{KernelFile, PendingKernelFile};
pub use measured::initramfs_digest;
pub use name::{Version, latest};
pub use plaintext::OwnerKeys;
pub use spec::{Contents, Output, Root, Signer, Spec};
pub use tar::tar_to;
pub use write::{Publication, initramfs_to, uki_to};

/// An image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing starts such images of it.
    #[error(
        "{0} has no unified kernel images: systemd's EFI stub and its firmware are for x86_64 and aarch64"
    )]
    NoUki(Arch),
    /// No package brings a kernel.
    #[error(
        "no package in the lock brings a kernel (a file boot/vmlinuz-*): add one to `packages`, as linux-lts or linux-virt"
    )]
    NoKernel,
    /// More than one does.
    #[error("more than one kernel: {}; an image has one: leave the others out of `packages`", .0.join(", "))]
    TwoKernels(Vec<String>),
    /// No package brings device trees.
    #[error(
        "layout = \"pi\": no package in the lock brings device trees (files boot/*.dtb), which a Raspberry Pi needs"
    )]
    NoDeviceTrees,
    /// A line of the owner's config.txt names what is not there.
    #[error("root/boot/{0}")]
    BoardLine(String),
    /// A file for the boot loader has a name that FAT cannot hold.
    #[error("root/boot: {path:?} cannot go to the boot loader's FAT filesystem: {reason}")]
    BoardName {
        /// Its path there.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel is packed into an EFI program.
    #[error(
        "layout = \"{layout}\": the kernel of {package} is an EFI program that unpacks itself, which only EFI firmware starts"
    )]
    PackedKernel {
        /// The kernel's package.
        package: String,
        /// How its image would lie.
        layout: Layout,
    },
    /// The kernel cannot unpack what `compression` makes.
    #[error("{kernel}: {source}")]
    Codec {
        /// The kernel's package.
        kernel: String,
        /// What it cannot do.
        source: KernelCannotUnpack,
    },
    /// The package with the EFI stub or the boot loader has none for this architecture.
    #[error("{package} has no /{path}, which hoopy needs from it")]
    NoEfi {
        /// The package.
        package: String,
        /// Where it should be.
        path: String,
    },
    /// The stub, kernel and the rest make no unified kernel image.
    #[error("the unified kernel image: {0}")]
    Uki(#[from] hoopy_uki::PlanError),
    /// The root does not fit the memory it will have.
    #[error("{0}")]
    DoesNotFit(String),
    /// The kernel would lose the end of the command line.
    #[error("hoopy.toml: `cmdline`: {0}")]
    CommandLine(#[from] LongCommandLine),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] SignImageError),
    /// An archive could not be written.
    #[error("the initramfs: {0}")]
    Archive(#[from] hoopy_cpio::WriteError),
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// Secrets could not be opened.
    #[error("[secrets] open = \"build\": {0}")]
    Secrets(#[from] hoopy_secrets::directory::SecretsError),
    /// Secrets are opened at build, and the owner's identities cannot be had, for this reason.
    #[error("[secrets] open = \"build\": {0}")]
    NoOwner(String),
    /// A segment could not be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
