//! What can go wrong with a virtual machine, and what to install or change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopy_base::arch::Arch;
use hoopy_disk::esp::EspError;
use hoopy_disk::mkfs::MkfsError;

use super::accelerator::NoKvm;
use super::fault::Fault;

/// Why a machine was not made, not started, or did not do what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// QEMU is not installed.
    #[error(
        "{binary} is not installed. Debian, Ubuntu: apt install {debian}; Fedora: dnf install {binary}; \
         Arch: pacman -S {arch}; Alpine: apk add {binary}; macOS: brew install qemu"
    )]
    NoQemu {
        /// The missing program.
        binary: &'static str,
        /// Debian's package.
        debian: &'static str,
        /// Arch's package.
        arch: &'static str,
    },
    /// There are no machines of it.
    #[error("hoopy starts no virtual machines of {0}: expected x86_64 or aarch64")]
    NoMachines(Arch),
    /// UEFI firmware is not installed.
    #[error(
        "there is no UEFI firmware for {machine} machines. Debian, Ubuntu: apt install {debian}; \
         Fedora: dnf install {fedora}; Arch: pacman -S {arch}; Alpine: apk add {alpine}"
    )]
    NoFirmware {
        /// The architecture.
        machine: &'static str,
        /// Debian's package.
        debian: &'static str,
        /// Fedora's package.
        fedora: &'static str,
        /// Arch's package.
        arch: &'static str,
        /// Alpine's package.
        alpine: &'static str,
    },
    /// swtpm is not installed.
    #[error(
        "swtpm is not installed, which is the TPM of virtual machines. Debian, Ubuntu: apt install swtpm; Fedora: dnf \
         install swtpm; Arch: pacman -S swtpm; Alpine: apk add swtpm"
    )]
    NoSwtpm,
    /// Firmware in one piece.
    #[error(
        "the UEFI firmware is one file, which forgets its variables: expected a pair of files, code and variables"
    )]
    NoVariables,
    /// A tool or firmware that was named and is not there.
    #[error("{what} was set to {}, which is not a file", .path.display())]
    NotThere {
        /// `QEMU` or `firmware`.
        what: &'static str,
        /// As set.
        path: PathBuf,
    },
    /// A filesystem could not be made.
    #[error(transparent)]
    Mkfs(#[from] MkfsError),
    /// A port of the host can't be had.
    #[error("port {port} of 127.0.0.1, for {name}, can't be used: {source}")]
    Port {
        /// What the port is for.
        name: String,
        /// Which port; 0 for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A path that QEMU's command line can't hold.
    #[error("{}: QEMU's command line can't hold a path that is not UTF-8", .0.display())]
    PathNotUtf8(PathBuf),
    /// An image whose command line cannot be replaced.
    #[error("{}: {source}", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: hoopy_uki::ReplaceError,
    },
    /// The partition with the image.
    #[error("cannot make the EFI system partition: {0}")]
    Esp(#[from] EspError),
    /// A disk of another machine that runs.
    #[error("{}: the disk is in use by another virtual machine of this system", .0.display())]
    InUse(PathBuf),
    /// A kept partition that the image cannot be put on.
    #[error("cannot put the image on {}: {source}", .path.display())]
    KeptPartition {
        /// The partition.
        path: PathBuf,
        /// Why.
        source: EspError,
    },
    /// A file.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program does not start.
    #[error("cannot start {}: {source}", .program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine ended while something was expected of it.
    #[error("the machine stopped ({status}){}{}", before(.wanted.as_deref()), said(.words, .tail))]
    Ended {
        /// How QEMU ended.
        status: String,
        /// The text that was waited for.
        wanted: Option<String>,
        /// What QEMU itself said.
        words: String,
        /// The end of what the guest said.
        tail: String,
    },
    /// KVM alone is wanted, and there is none.
    #[error("KVM cannot be used: {0}")]
    NoKvm(NoKvm),
    /// The machine stopped though nobody told it to.
    #[error("{fault}{}", said("", .tail))]
    Fault {
        /// What happened.
        fault: Fault,
        /// The end of what the guest said.
        tail: String,
    },
    /// What was expected did not come in time.
    #[error("timed out: {} within {} s{facts}{}", missing(.wanted.as_deref()), .after.as_secs(), heard(.tail))]
    TimedOut {
        /// The text that was waited for; none where it was the machine's own end.
        wanted: Option<String>,
        /// How long.
        after: Duration,
        /// Accelerator, state, what QEMU said; empty of a program that is not QEMU.
        facts: String,
        /// The end of what the guest said.
        tail: String,
    },
    /// The console can't be written to.
    #[error("cannot type on the machine's console: {0}")]
    Type(io::Error),
}

impl VmError {
    /// Puts what was to be done with which file before an I/O error.
    pub fn io(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { what, path, source }
    }

    /// Puts the program that was to be started before an I/O error.
    pub fn start(program: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let program = program.as_ref().to_owned();
        move |source| Self::Start { program, source }
    }

    /// Where KVM failed and the same machine, prepared anew, would run under TCG: what to tell the user.
    pub fn falls_back(&self) -> Option<String> {
        match self {
            Self::Fault { fault, .. } if fault.falls_back => Some(fault.fall_back()),
            _ => None,
        }
    }
}

/// What to try with a machine that came to nothing in time.
pub fn doubt(facts: &str) -> Option<&'static str> {
    let hint = "if it comes up with --accel tcg, KVM does not work on this computer";
    facts.contains("accelerator: KVM").then_some(hint)
}

fn before(wanted: Option<&str>) -> String {
    wanted.map(|text| format!(" before its console showed {text:?}")).unwrap_or_default()
}

fn missing(wanted: Option<&str>) -> String {
    wanted.map_or("the machine did not power off".to_owned(), |text| {
        format!("the console did not show {text:?}")
    })
}

fn heard(tail: &str) -> String {
    if tail.is_empty() { "; it printed nothing on its console".to_owned() } else { said("", tail) }
}

fn said(words: &str, tail: &str) -> String {
    let mut out = String::new();
    if !words.is_empty() {
        out = format!(": {words}");
    }
    if !tail.is_empty() {
        out = format!("{out}; its console ended with:\n{tail}");
    }
    out
}
