//! Whether an image is of an earlier epoch than the one that runs: once that one has booted well, the TPM opens nothing
//! for it any more.

use std::fmt;

use super::images::{NewImage, RemoteImage};
use super::machine::Machine;

/// An image of an earlier epoch than the one that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierEpoch {
    /// The image's name.
    pub image: String,
    /// Its epoch.
    pub epoch: u32,
    /// The name of the image that runs.
    pub runs: String,
    /// The epoch of the image that runs.
    pub running: u32,
}

impl fmt::Display for EarlierEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, epoch, runs, running } = self;
        write!(
            f,
            "{image} is of epoch {epoch}, and {runs}, which runs, of epoch {running}: its secrets may stay locked in the TPM \
             (docs/trust.md, \"Shutting older images out\")"
        )
    }
}

/// Compares an image at hand with the one that runs.
pub(super) fn of_new(machine: &Machine, images: &[RemoteImage], new: &NewImage) -> Option<EarlierEpoch> {
    compare(machine, images, &new.name, new.os_release.epoch)
}

/// Compares an image on the machine with the one that runs.
pub(super) fn of_previous(machine: &Machine, images: &[RemoteImage], name: &str) -> Option<EarlierEpoch> {
    compare(machine, images, name, epoch_of(images, name)?)
}

fn compare(machine: &Machine, images: &[RemoteImage], image: &str, epoch: u32) -> Option<EarlierEpoch> {
    let runs = machine.image.as_deref()?;
    let running = epoch_of(images, runs)?;
    let earlier = EarlierEpoch { image: image.to_owned(), epoch, runs: runs.to_owned(), running };
    (epoch < running).then_some(earlier)
}

fn epoch_of(images: &[RemoteImage], name: &str) -> Option<u32> {
    images.iter().find(|image| image.name.as_deref() == Some(name)).map(|image| image.os_release.epoch)
}
