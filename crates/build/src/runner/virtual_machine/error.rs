//! What can go wrong with the machine that runs scripts.

use std::io;
use std::time::Duration;

use hoopy_store::layer::BadPath;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_vm::VmError;

use crate::segment::SegmentError;

/// Why scripts could not be run in a virtual machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A machine needs a kernel, and no package has one.
    #[error(
        "it boots the image's own kernel, and no package in the lock brings one: add linux-virt to `packages`"
    )]
    NoKernel,
    /// The guest's side is a shell script.
    #[error("it needs {what} of package {package}, which is not in the lock: add {package} to `packages`")]
    NoShell {
        /// The missing file.
        what: &'static str,
        /// Whose it is.
        package: &'static str,
    },
    /// A kernel module that can't be unpacked.
    #[error("kernel module {name} cannot be unpacked: {source}")]
    Module {
        /// Its file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// QEMU is missing or does not start.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// A layer can't be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// A layer can't be sent.
    #[error(transparent)]
    Send(#[from] SegmentError),
    /// The directory for `/mnt` can't be read, or a file for the machine not written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The machine ended while something was expected of it.
    #[error("the machine stopped while hoopy was about to {doing}{}", after_newline(.console))]
    Ended {
        /// What was being done.
        doing: &'static str,
        /// The end of what it and QEMU said.
        console: String,
    },
    /// It took too long.
    #[error("timed out after {} s, when hoopy was about to {doing} ({facts}){}", .after.as_secs(), after_newline(.console))]
    TimedOut {
        /// What was being done.
        doing: &'static str,
        /// How long that may take.
        after: Duration,
        /// Its accelerator, and what QEMU says it does.
        facts: String,
        /// The end of what it said.
        console: String,
    },
    /// It runs, and nothing in it does.
    #[error(
        "{script}: the virtual machine that runs it has stopped: expected a sign of life every few seconds, found none for \
         {} s; scripts must not suspend the machine, nor stop what started them{}", .after.as_secs(), after_newline(.console)
    )]
    Silent {
        /// The script that was running.
        script: String,
        /// For how long it was silent.
        after: Duration,
        /// The end of what it said.
        console: String,
    },
    /// What it answered makes no sense.
    #[error("unexpected response: {0}")]
    Answer(String),
    /// A path that an image can't hold.
    #[error("a script made a path that an image cannot hold: {0}")]
    Path(#[from] BadPath),
}

impl MachineError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Where KVM failed and the next machine would run under TCG: what to tell the user.
    pub(super) fn falls_back(&self) -> Option<String> {
        if let Self::Vm(error) = self { error.falls_back() } else { None }
    }
}

fn after_newline(console: &str) -> String {
    if console.is_empty() { String::new() } else { format!("; its last output:\n{console}") }
}
