//! Why a world could not be locked.

use hoopy_apk::resolve::UniverseError;
use hoopy_base::arch::Arch;
use hoopy_store::StoreError;

use super::unsatisfiable::UnsatisfiableWorld;
use crate::fetch::FetchError;

/// The package that brings the EFI stub.
pub(super) const STUB: &str = "systemd-efistub";

/// The package that brings the boot loader of the layout `ab`.
pub(super) const LOADER: &str = "systemd-boot";

/// The package with the firmware of a Raspberry Pi.
pub(super) const FIRMWARE: &str = "raspberrypi-bootloader";

/// A world that could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An index is not signed by a trusted key, or is none.
    #[error("{place}: {source}")]
    Index {
        /// Its address or file.
        place: String,
        /// What is wrong with it.
        source: hoopy_apk::index::IndexError,
    },
    /// No set of packages is what `packages` asks for.
    #[error(transparent)]
    Unsatisfiable(#[from] UnsatisfiableWorld),
    /// There are more repositories than can be told apart.
    #[error(transparent)]
    Universe(#[from] UniverseError),
    /// No repository has the EFI stub.
    #[error("no repository has the package `{STUB}` for {0}, which a unified kernel image begins with")]
    NoStub(Arch),
    /// No repository has the boot loader.
    #[error("no repository has the package `{LOADER}` for {0}, which layout = \"ab\" starts images with")]
    NoLoader(Arch),
    /// No repository has the firmware of a Raspberry Pi.
    #[error("no repository has the package `{FIRMWARE}` for {0}, which layout = \"pi\" needs on the card")]
    NoFirmware(Arch),
    /// `--branch latest-stable` of a mirror that has none, or does not say which it is.
    #[error("{0} does not say which release is its latest-stable")]
    NoLatest(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
