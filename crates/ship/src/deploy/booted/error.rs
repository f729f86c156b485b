//! Why the image that a machine booted could not be fetched.

use hoopy_base::digest::ContentId;
use hoopy_store::StoreError;

/// An image that cannot be had from the machine that booted it.
#[derive(Debug, thiserror::Error)]
pub enum BootedError {
    /// It is on the partition no more.
    #[error("{host} runs {image}, which is no longer on its EFI system partition: {}", there(.found))]
    Gone {
        /// The machine.
        host: String,
        /// What it runs.
        image: String,
        /// What is there.
        found: Vec<String>,
    },
    /// It does not say what it is made of, and so cannot be fetched in pieces.
    #[error("{file} of {host} has no list of its contents (section .hoopy)")]
    Undescribed {
        /// The machine.
        host: String,
        /// Its path there.
        file: String,
    },
    /// Bytes came that are not what it says of itself.
    #[error(
        "checksum mismatch: {origin} in {file} of {host} has SHA-256 {found}, which the image does not list: its disk is failing"
    )]
    Spoilt {
        /// The machine.
        host: String,
        /// The image's path there.
        file: String,
        /// The piece.
        origin: String,
        /// Its digest.
        found: ContentId,
    },
    /// What was fetched cannot be kept here.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn there(found: &[String]) -> String {
    match found {
        [] => "it holds no image".to_owned(),
        found => format!("it holds {}", found.join(", ")),
    }
}
