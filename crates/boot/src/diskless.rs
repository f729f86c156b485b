//! A medium of diskless Alpine Linux beside whose files hoopy put its images (docs/from-diskless.md).
//!
//! ```text
//! EFI/BOOT/BOOTX64.EFI                systemd-boot, which was Alpine's boot loader before
//! EFI/BOOT/ALPINE.EFI                 Alpine's boot loader, as it was
//! EFI/Linux/NAME-VERSION+3.efi        our images
//! loader/entries/alpine-diskless.conf starts Alpine's loader: systemd-boot sorts it behind every image that has a sort
//!                                     key, and before those that were given up
//! boot/, apks/, NAME.apkovl.tar.gz    Alpine's, never touched
//! ```
//!
//! Alpine's loader stays in its directory: one that looks for files beside itself finds them there.

/// The loader that the firmware started before, as it was.
pub const KEPT_LOADER: &str = "EFI/BOOT/ALPINE.EFI";

/// What makes systemd-boot list it (Boot Loader Specification, type 1).
pub const ENTRY: &str = "loader/entries/alpine-diskless.conf";

/// What systemd-boot is configured with.
pub const LOADER_CONF: &str = "loader/loader.conf";

/// What a machine runs that was not started by hoopy, in messages.
pub const NAME: &str = "diskless Alpine Linux";

/// The text of [`ENTRY`]. It has no sort key, so that it comes last.
pub fn entry() -> String {
    format!("# Written by hoopy.\ntitle Alpine Linux (diskless)\nefi /{KEPT_LOADER}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpines_loader_stays_where_it_was() {
        let dir = |path: &str| path.rsplit_once('/').map(|(dir, _)| dir.to_owned());
        assert_eq!(dir(KEPT_LOADER).as_deref(), Some(crate::layout::BOOT_DIR));
        assert!(!entry().contains("sort-key"));
    }
}
