//! Declared containers: files that cannot be understood, and kinds of unit that are not read.

use super::finding::{Finding, Severity};
use super::own::Own;
use super::view::View;
use crate::quadlet;

/// What is wrong with the files below `root/etc/containers/systemd/`. The build stops at the first of it.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    view.own.iter().filter(|own| own.is_file()).flat_map(|own| file(view, own)).collect()
}

fn file(view: &View<'_>, own: &Own) -> Vec<Finding> {
    let name = String::from_utf8_lossy(own.path.name()).into_owned();
    if !own.path.is_within(quadlet::DIRECTORY.as_bytes()) {
        return Vec::new();
    }
    if let Some((message, fix)) = quadlet::refused_file(&own.path.to_string()) {
        return vec![own.finding(Severity::Error, None, &message, fix.to_owned())];
    }
    let Some(service) = name.strip_suffix(quadlet::EXTENSION) else { return Vec::new() };
    // What setup.sh is to change may be a digest
    let severity = if view.setup_may_touch(&name) { Severity::Warning } else { Severity::Error };
    let errors = quadlet::read(service, &own.text).err().unwrap_or_default();
    errors.into_iter().map(|error| own.finding(severity, error.line, &error.message, error.fix)).collect()
}
