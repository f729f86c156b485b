//! Services in a runlevel that no package installs.
//!
//! An entry of `/etc/runlevels/LEVEL/` starts the service of its name: `/etc/init.d/NAME`. Where there is none,
//! OpenRC says nothing and the machine comes up without it.

use std::path::{Path, PathBuf};

use hoopy_store::layer::EntryPath;

use super::finding::{Finding, Severity};
use super::view::{Image, View, lines};
use crate::stack::Origin;

/// Entries of runlevels and `rc-update add` of services that are not there.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(image) = &view.image else { return Vec::new() };
    let mut findings: Vec<Finding> = entries(image)
        .into_iter()
        .filter(|(_, path)| !is_there(view, image, &name(path)) && !image.has(&path.to_string()))
        .map(|(index, path)| missing(view, image, index, &path))
        .collect();
    findings.extend(added(view, image));
    findings
}

/// The entries of runlevels, each with the layer it is in.
fn entries(image: &Image<'_>) -> Vec<(usize, EntryPath)> {
    let Ok(levels) = EntryPath::new("etc/runlevels") else { return Vec::new() };
    let tree = &image.stack.tree;
    let entry = |path: &EntryPath| Some((tree.at(path)?.layer, path.clone()));
    let depth = |path: &EntryPath| path.as_bytes().split(|&b| b == b'/').count();
    // etc/runlevels/LEVEL/NAME; hidden files keep a directory in git.
    let services = tree.below(&levels).filter(|(p, e)| !e.is_dir() && depth(p) == 4);
    services.filter(|(p, _)| !p.name().starts_with(b".")).filter_map(|(p, _)| entry(p)).collect()
}

fn name(path: &EntryPath) -> String {
    String::from_utf8_lossy(path.name()).into_owned()
}

/// A service, or a runlevel stacked on this one, or what a `setup.sh` that has yet to run may bring.
fn is_there(view: &View<'_>, image: &Image<'_>, name: &str) -> bool {
    ["etc/init.d", "usr/local/etc/init.d"].iter().any(|dir| image.has(&format!("{dir}/{name}")))
        || image.has(&format!("etc/runlevels/{name}"))
        || view.setup_may_touch(&format!("init.d/{name}"))
}

fn missing(view: &View<'_>, image: &Image<'_>, layer: usize, path: &EntryPath) -> Finding {
    let name = name(path);
    let level = path.parent().map(|p| self::name(&p)).unwrap_or_default();
    let (file, line) = source(view, image, layer, path);
    let what = format!("nothing brings the service `{name}` (/etc/init.d/{name}) of runlevel `{level}`");
    let fix = match file.starts_with("root") {
        true => format!("{}, or remove the entry", bring(&name)),
        false => bring(&name),
    };
    Finding { severity: Severity::Error, file, line, message: what, fix }
}

fn bring(name: &str) -> String {
    format!("add the package that brings it to `packages` (often {name}-openrc)")
}

/// The file that the user edits to change an entry of this layer.
fn source(view: &View<'_>, image: &Image<'_>, layer: usize, path: &EntryPath) -> (PathBuf, Option<usize>) {
    match image.stack.origins.get(layer) {
        Some(Origin::Files) => (Path::new("root").join(path.as_path()), None),
        Some(Origin::Setup) => ("setup.sh".into(), None),
        Some(Origin::Package(package)) => {
            ("packages".into(), view.system.world.line_of(&package.record.name))
        }
        _ => ("packages".into(), None),
    }
}

/// `rc-update add NAME` in a `setup.sh` that has yet to run; once it has, it failed there or made an entry. Names
/// out of variables are not followed.
fn added(view: &View<'_>, image: &Image<'_>) -> Vec<Finding> {
    let Some(setup) = view.pending_setup() else { return Vec::new() };
    let finding = |(line, text): (usize, String)| {
        let name = service_added(&text)?;
        (!is_there(view, image, &name)).then(|| Finding {
            severity: Severity::Error,
            file: "setup.sh".into(),
            line: Some(line),
            message: format!("nothing brings the service `{name}` (/etc/init.d/{name})"),
            fix: bring(&name),
        })
    };
    lines(setup.as_bytes()).filter_map(finding).collect()
}

fn service_added(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace().skip_while(|w| *w != "rc-update").skip(1);
    let mut rest = words.by_ref().skip_while(|w| w.starts_with('-'));
    let name = (rest.next()? == "add").then(|| rest.find(|w| !w.starts_with('-')))??;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = name.trim_end_matches(';');
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}
