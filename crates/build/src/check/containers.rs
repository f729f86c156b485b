//! Declared containers: files that cannot be understood, and kinds of unit that are not read.

use hoopy_store::tree::links::join;

use super::finding::{Finding, Severity};
use super::own::{Own, What};
use super::view::View;
use crate::quadlet;

/// What is wrong with the files below `root/etc/containers/systemd/`. The build stops at the first of it.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let below = view.own.iter().filter(|own| {
        own.path.is_within(quadlet::DIRECTORY.as_bytes())
            && own.path.as_bytes() != quadlet::DIRECTORY.as_bytes()
    });
    below.flat_map(|own| file(view, own)).collect()
}

fn file(view: &View<'_>, own: &Own) -> Vec<Finding> {
    let name = String::from_utf8_lossy(own.path.name()).into_owned();
    let linked = match &own.what {
        What::File => None,
        What::Link(target) => join(&own.path, target),
        What::Other => return Vec::new(),
    };
    if let Some(target) = &linked
        && view.own.iter().any(|own| own.path != *target && own.path.is_within(target.as_bytes()))
    {
        let (message, fix) = quadlet::LINKED;
        return vec![own.finding(Severity::Error, None, message, fix.to_owned())];
    }
    if let Some((message, fix)) = quadlet::refused_file(&own.path.to_string()) {
        return vec![own.finding(Severity::Error, None, &message, fix.to_owned())];
    }
    let Some(service) = name.strip_suffix(quadlet::EXTENSION) else { return Vec::new() };
    // What setup.sh is to change may be a digest
    let severity = if view.setup_may_touch(&name) { Severity::Warning } else { Severity::Error };
    let there = linked.as_ref().map_or(Some(own), |target| view.own.iter().find(|own| own.path == *target));
    // What a package has is not read here.
    let Some(there) = there.filter(|there| there.is_file()) else { return Vec::new() };
    let errors = quadlet::read(service, &there.text).err().unwrap_or_default();
    errors.into_iter().map(|error| own.finding(severity, error.line, &error.message, error.fix)).collect()
}
