//! The system directory: `hoopy.toml` as written ([`hoopy_toml`]), `packages` ([`world`]) and what they mean
//! together with the command line ([`System`]).

pub mod branch;
mod conversion;
pub mod edit;
pub mod hoopy_toml;
mod monitor;
mod repository;
pub mod state;
mod system;
pub mod world;

pub use branch::release_dir;
pub use repository::{DEFAULT_MIRROR, Repository};
pub use system::{BEST, BackupSettings, Forward, Overrides, Program, SecretSettings, StateSettings, System};
pub use world::World;

use std::io;
use std::path::PathBuf;

use hoopy_trust::epoch::EpochError;

/// The JSON schema of `hoopy.toml`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(hoopy_toml::HoopyToml).to_value()
}

/// A system directory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No such directory, or no `packages` in it.
    #[error("{}: not a system directory: it has no file `packages`", .0.display())]
    NotASystem(PathBuf),
    /// A file that could not be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `hoopy.toml` does not parse, or has a key or value that means nothing.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected and what was found, with the line drawn.
        message: String,
    },
    /// A value of `hoopy.toml` or of the command line that is not valid.
    #[error("{}: `{key}`: {message}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A line of `packages` that is not a package or constraint.
    #[error(transparent)]
    Package(#[from] world::BadPackage),
    /// A line of `state` that does not name a directory to keep.
    #[error(transparent)]
    State(#[from] state::BadState),
    /// `trust/epoch` is not an epoch.
    #[error(transparent)]
    Epoch(#[from] EpochError),
}
