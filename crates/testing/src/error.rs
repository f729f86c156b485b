//! What keeps tests from being run. A machine that does not boot is a result, not an error.

use std::io;
use std::path::PathBuf;

use hoopy_vm::VmError;

use super::bootstrap::BootstrapError;
use super::scripts::ScriptsError;

/// Why nothing was tested.
#[derive(Debug, thiserror::Error)]
pub enum TestRunError {
    /// The machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// `tests/`.
    #[error(transparent)]
    Scripts(#[from] ScriptsError),
    /// The image.
    #[error("{}: {source}", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: hoopy_uki::ReplaceError,
    },
    /// Its command line.
    #[error("{}: {source}", .path.display())]
    CommandLine {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BootstrapError,
    },
    /// A backup that cannot be put on the machine's disk.
    #[error("restore the backup: {0}")]
    Restore(String),
    /// The console's log.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TestRunError {
    pub(super) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
