//! Kernels that do not hand a Raspberry Pi's firmware the wish to try an image.
//!
//! The words of `reboot "0 tryboot"` reach the firmware through a driver that Raspberry Pi's own kernel has and the mainline
//! kernel has not: with that, the machine comes up with the previous image after every deploy. The first image starts with either.

use hoopy_boot::layout::Layout;

use super::finding::{Finding, Severity};
use super::view::View;

/// Alpine's packages of the mainline kernel.
const MAINLINE: [&str; 4] = ["linux-lts", "linux-stable", "linux-edge", "linux-virt"];

/// One of them with `layout = "pi"`.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    if view.system.layout != Layout::Pi {
        return Vec::new();
    }
    let named = MAINLINE.into_iter().filter_map(|name| Some((name, view.system.world.line_of(name)?)));
    let finding = |(name, line)| Finding {
        severity: Severity::Warning,
        file: "packages".into(),
        line: Some(line),
        message: format!(
            "{name} does not ask the firmware to try an image: with layout = \"pi\" no deploy would ever be started"
        ),
        fix: "take `linux-rpi`, and no other kernel".to_owned(),
    };
    named.map(finding).collect()
}
