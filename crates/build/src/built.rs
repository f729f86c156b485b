//! What a build made: what it prints, as a table or with `--json`.

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_base::report::{Timings, shown_path};
use serde::{Deserialize, Serialize};

/// What a build made.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    /// The file.
    #[serde(serialize_with = "shown_path")]
    pub path: PathBuf,
    /// What is in it.
    #[serde(flatten)]
    pub facts: ImageFacts,
    /// Whether it was there already, made of the same.
    pub unchanged: bool,
    /// How long it took.
    #[serde(skip)]
    pub timings: Timings,
}

/// What is known of an image that was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageFacts {
    /// The file's size in bytes.
    pub size: u64,
    /// The initramfs in it, in bytes.
    pub initramfs: u64,
    /// How many packages are in it.
    pub packages: usize,
    /// The largest layers, unpacked.
    pub layers: Vec<LayerSize>,
    /// How many bytes of the machine's memory it takes more because its kernel modules are unpacked.
    pub modules: u64,
    /// Its architecture.
    pub arch: Arch,
    /// Whom the certificate is for that it is signed under (`CN=Example`); absent where it is not signed.
    pub signed_by: Option<String>,
}

/// A layer and its unpacked size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerSize {
    /// What it is.
    pub name: String,
    /// Bytes, in whole pages.
    pub size: u64,
}
