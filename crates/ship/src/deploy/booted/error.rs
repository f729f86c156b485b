//! Why the image that a machine booted cannot be had from it.

use hoopy_base::digest::ContentId;
use hoopy_store::StoreError;

/// An image that cannot be had from the machine that booted it.
#[derive(Debug, thiserror::Error)]
pub enum BootedError {
    /// It is on the partition no more.
    #[error("{host} runs {image}, which is not on its EFI system partition: there {}", there(.found))]
    Gone {
        /// The machine.
        host: String,
        /// What it runs.
        image: String,
        /// What is there.
        found: Vec<String>,
    },
    /// It does not say what it is made of, and so cannot be fetched in pieces.
    #[error("{file} of {host} does not say what it is made of (its section .hoopy)")]
    Undescribed {
        /// The machine.
        host: String,
        /// Its path there.
        file: String,
    },
    /// Bytes came that are not what it says of itself.
    #[error(
        "{origin} in {file} of {host} is not what the image says of it (SHA-256 {found}): its medium is failing"
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
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        several => format!("are {}", several.join(", ")),
    }
}
