//! A command line that the kernel would cut.

use super::finding::{Finding, Severity};
use super::view::View;
use crate::image::check_length;

/// The line in `hoopy.toml`.
pub fn check(view: &View<'_>) -> Option<Finding> {
    let system = view.system;
    let long = check_length(system.cmdline.as_deref(), view.arch, system.layout).err()?;
    Some(Finding {
        severity: Severity::Error,
        file: "hoopy.toml".into(),
        line: None,
        message: long.to_string(),
        fix: format!("make `cmdline` shorter by {} bytes", long.found - long.most),
    })
}
