//! Why an import failed.

use std::io;

use hoopy_base::arch::Arch;
use hoopy_build::config::ConfigError;
use hoopy_build::fetch::FetchError;
use hoopy_build::locking::MakeError;
use hoopy_build::road::BuildError;
use hoopy_build::target::TargetError;
use hoopy_store::layer::stored::ReadLayerError;

use super::write::WriteError;

/// An import that failed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The directory could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of the source could not be read.
    #[error("a file of the source could not be read: {0}")]
    Read(#[from] io::Error),
    /// The machine is one that hoopy does not build for.
    #[error("etc/apk/arch: expected one of {all}, found {0}", all = Arch::ALL.map(Arch::as_str).join(", "))]
    Arch(String),
    /// What was written is no system directory: a fault of the import.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A mirror did not answer, or a key cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The mirror does not have the branch.
    #[error("{repository}: the mirror does not have it: {source}")]
    NoMain {
        /// Which repository.
        repository: String,
        /// Why.
        source: Box<MakeError>,
    },
    /// The packages could not be chosen.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// What the packages make could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file of the packages could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// Nothing runs the packages' scripts.
    #[error("{0}")]
    Runner(Box<dyn std::error::Error + Send + Sync>),
}
