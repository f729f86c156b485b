//! Images in which nothing mounts `/dev`.
//!
//! The kernel mounts devtmpfs by itself on a root disk, never on an initramfs (drivers/base/devtmpfs.c), so `/dev`
//! holds `console` and `null` until a service mounts it: OpenRC's `devfs`, which `mdev` and `udev` need and bring
//! along. Without it no getty can open its console.

use std::collections::BTreeSet;

use hoopy_store::layer::EntryPath;

use super::CheckError;
use super::finding::{Finding, Severity};
use super::view::{View, lines};

/// Services that mount `/dev`, or need the one that does, where what they say of themselves is not known.
const MOUNTING: [&str; 7] = ["devfs", "mdev", "mdevd", "mdevd-init", "udev", "udev-trigger", "hwdrivers"];

/// What a service needs or provides that mounts `/dev`: its own name, and the two that OpenRC's services go by.
const NEEDED: [&str; 3] = ["devfs", "dev-mount", "dev"];

/// An image with OpenRC's `devfs` in no runlevel.
pub fn check(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let Some(image) = view.image.as_ref().filter(|image| image.has("etc/init.d/devfs")) else {
        return Ok(Vec::new());
    };
    let Ok(levels) = EntryPath::new("etc/runlevels") else { return Ok(Vec::new()) };
    let entries = image.stack.tree.below(&levels).map(|(path, _)| path);
    let own = view.own.iter().map(|own| &own.path).filter(|path| path.is_within(levels.as_bytes()));
    let services: BTreeSet<String> =
        entries.chain(own).map(|path| String::from_utf8_lossy(path.name()).into_owned()).collect();
    let mut started = false;
    for name in &services {
        started = started || MOUNTING.contains(&name.as_str()) || needs_it(view, name)?;
    }
    // Whoever names the filesystem mounts it in a way of their own.
    let by_hand = view.own.iter().any(|own| String::from_utf8_lossy(&own.text).contains("devtmpfs"));
    if started || by_hand || MOUNTING.iter().any(|name| view.setup_may_touch(name)) {
        return Ok(Vec::new());
    }
    Ok(vec![Finding {
        severity: Severity::Warning,
        file: "setup.sh".into(),
        line: None,
        message:
            "no runlevel has the service `devfs`: /dev will hold only console and null, and no getty can \
                  open a serial console or a screen"
                .to_owned(),
        fix: "add `rc-update add devfs sysinit`".to_owned(),
    }])
}

/// Whether the script of a service says so.
fn needs_it(view: &View<'_>, name: &str) -> Result<bool, CheckError> {
    let path = format!("etc/init.d/{name}");
    let packaged = || Ok::<_, CheckError>(view.packaged(&path)?.map(|(_, text)| text));
    let text = match view.own(&path) {
        Some(own) => Some(own.text.clone()),
        None => packaged()?,
    };
    let says = |line: String| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("need" | "provide")) && words.any(|word| NEEDED.contains(&word))
    };
    Ok(text.is_some_and(|text| lines(&text).any(|(_, line)| says(line))))
}
