//! Kernel modules for another kernel than the image has: none of them loads.

use std::collections::BTreeSet;

use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::finding::{Finding, Severity};
use super::view::{Image, View};
use crate::stack::Origin;

const MODULES: &str = "lib/modules";

/// Directories of modules that are not the kernel's.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(image) = &view.image else { return Vec::new() };
    let Some((kernel, releases)) = kernel(image) else { return Vec::new() };
    let mut findings = Vec::new();
    for (release, origin) in directories(image) {
        if releases.contains(&release) {
            continue;
        }
        let (file, line) = match origin {
            Origin::Files => (format!("root/{MODULES}/{release}").into(), None),
            Origin::Setup => ("setup.sh".into(), None),
            Origin::Package(package) => ("packages".into(), view.system.world.line_of(&package.record.name)),
            _ => ("packages".into(), None),
        };
        let own: Vec<&str> = releases.iter().map(String::as_str).collect();
        findings.push(Finding {
            severity: Severity::Error,
            file,
            line,
            message: format!(
                "{} has modules for kernel {release}, and the kernel of {kernel} is {}: none of them loads",
                origin.label(),
                own.join(", ")
            ),
            fix: "take modules and kernel of the same version".to_owned(),
        });
    }
    findings
}

/// The package with the kernel, and the releases that it brings modules of.
fn kernel(image: &Image<'_>) -> Option<(String, BTreeSet<String>)> {
    let boot = EntryPath::new("boot").ok()?;
    let is_kernel = |(path, entry): &(&EntryPath, &Entry)| {
        path.name().starts_with(b"vmlinuz") && matches!(entry.kind, Kind::File { .. })
    };
    let (path, _) = image.stack.tree.below(&boot).find(is_kernel)?;
    let at = image.stack.tree.at(path)?;
    let Origin::Package(package) = image.stack.origins.get(at.layer)? else { return None };
    let releases: BTreeSet<String> = package.layer.entries.iter().filter_map(|e| release(&e.path)).collect();
    // One without modules does not say which it would load.
    (!releases.is_empty()).then(|| (image.stack.origins[at.layer].label(), releases))
}

/// The release whose modules a path belongs to, on either side of a merged `/usr`.
fn release(path: &EntryPath) -> Option<String> {
    let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
    let below = path.strip_prefix("usr/").unwrap_or(&path).strip_prefix(MODULES)?;
    let release = below.strip_prefix('/')?.split('/').next()?;
    (!release.is_empty()).then(|| release.to_owned())
}

/// The releases that something has modules of, each with what has the first of them.
fn directories<'a>(image: &'a Image<'_>) -> Vec<(String, &'a Origin)> {
    let mut found: Vec<(String, &Origin)> = Vec::new();
    for (path, entry, at) in image.stack.tree.iter() {
        let name = String::from_utf8_lossy(path.name()).into_owned();
        let is_module =
            ["ko", "ko.gz", "ko.xz", "ko.zst"].iter().any(|end| name.ends_with(&format!(".{end}")));
        let Some(release) = release(path).filter(|_| is_module && !entry.is_dir()) else { continue };
        let origin = image.stack.origins.get(at.layer);
        if let Some(origin) = origin.filter(|_| found.iter().all(|(known, _)| *known != release)) {
            found.push((release, origin));
        }
    }
    found
}
