//! Images in which nothing mounts `/dev`.
//!
//! The kernel mounts devtmpfs by itself on a root disk, never on an initramfs (drivers/base/devtmpfs.c), so `/dev`
//! holds `console` and `null` until a service mounts it: OpenRC's `devfs`, which `mdev` and `udev` need and bring
//! along. Without it no getty can open its console.

use hoopy_store::layer::EntryPath;

use super::finding::{Finding, Severity};
use super::view::View;

/// Services that mount `/dev`, or need the one that does.
const MOUNTING: [&str; 7] = ["devfs", "mdev", "mdevd", "mdevd-init", "udev", "udev-trigger", "hwdrivers"];

/// An image with OpenRC's `devfs` in no runlevel.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(image) = view.image.as_ref().filter(|image| image.has("etc/init.d/devfs")) else {
        return Vec::new();
    };
    let Ok(levels) = EntryPath::new("etc/runlevels") else { return Vec::new() };
    let entries = image.stack.tree.below(&levels).map(|(path, _)| path);
    let own = view.own.iter().map(|own| &own.path).filter(|path| path.is_within(levels.as_bytes()));
    let started = entries.chain(own).any(|path| MOUNTING.iter().any(|name| path.name() == name.as_bytes()));
    // Whoever names the filesystem mounts it in a way of their own.
    let by_hand = view.own.iter().any(|own| String::from_utf8_lossy(&own.text).contains("devtmpfs"));
    if started || by_hand || MOUNTING.iter().any(|name| view.setup_may_touch(name)) {
        return Vec::new();
    }
    vec![Finding {
        severity: Severity::Warning,
        file: "setup.sh".into(),
        line: None,
        message:
            "no runlevel has the service `devfs`: /dev will hold only console and null, and no getty can \
                  open a serial console or a screen"
                .to_owned(),
        fix: "add `rc-update add devfs sysinit`".to_owned(),
    }]
}
