//! What is to be deployed, and how.

use hoopy_boot::layout::Layout;

use super::images::NewImage;

/// What to deploy, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The image.
    pub image: &'a NewImage,
    /// How `hoopy.toml` wants images to lie.
    pub layout: Layout,
    /// Where the machine has its EFI system partition, if it is not to be looked for.
    pub esp: Option<&'a str>,
    /// Whether a machine that runs another system, or none of hoopy's, is all right.
    pub force: bool,
    /// For a machine that runs diskless Alpine Linux: what its medium gets beside the image.
    pub beside: Option<&'a DisklessInstall>,
}

/// What is to be put onto the medium of diskless Alpine Linux, beside an image.
#[derive(Debug, Clone)]
pub struct DisklessInstall {
    /// systemd-boot, signed where it has to be.
    pub loader: Vec<u8>,
    /// Seconds for which it shows a menu.
    pub menu: u16,
}
