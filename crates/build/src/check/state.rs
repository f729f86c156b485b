//! State: what a package keeps and `state` does not list, and what lies below a directory that it does list.

use hoopy_disk::fstab;

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::View;
use crate::config::state::StateLine;
use crate::stack::secrets::{STATE, filesystem_for};
use crate::stack::state::{STATEFUL_PACKAGES, StatefulPackage};

/// What is wrong with state.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = forgotten(view);
    findings.extend(hidden(view));
    findings.extend(mounted(view));
    findings
}

fn warning(file: String, line: Option<usize>, message: String, fix: String) -> Finding {
    Finding { severity: Severity::Warning, file: file.into(), line, message, fix }
}

/// What packages keep in memory alone. Without a disk that could keep it there is nothing to advise; without `state`, only
/// what is a loss is worth a line.
fn forgotten(view: &View<'_>) -> Vec<Finding> {
    let (Some(image), state) = (&view.image, &view.system.state) else { return Vec::new() };
    let table = view.own("etc/fstab").map(|own| own.text.clone()).unwrap_or_default();
    let mounts = fstab::parse(&table);
    if filesystem_for(&STATE, &mounts, state.on.as_deref()).is_err() {
        return Vec::new();
    }
    let starts = |service: &&str| {
        ["boot", "default"].iter().any(|level| image.has(&format!("etc/runlevels/{level}/{service}")))
            || view.setup_may_touch(service)
    };
    // One without a service is started by other things, or by hand.
    let runs = |known: &StatefulPackage| match known.services {
        [] => image.stack.packages().any(|package| &*package.record.name == known.package),
        services => services.iter().any(|name| starts(name) && image.has(&format!("etc/init.d/{name}"))),
    };
    let is_kept = |known: &StatefulPackage| {
        let path = known.directory.trim_start_matches('/');
        let above = |dir: &[u8]| {
            path.as_bytes().strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let on_disk = |mount: &fstab::Mount| above(mount.mount_point.trim_matches('/').as_bytes());
        state.lines.iter().any(|line| above(line.path.as_bytes()))
            || state.forgotten.iter().any(|dir| above(dir.as_bytes()))
            || mounts.iter().filter(|mount| mount.mount_point != "/").any(on_disk)
    };
    let tells = |known: &&StatefulPackage| (state.is_there || known.waits) && runs(known) && !is_kept(known);
    let finding = |known: &StatefulPackage| {
        let StatefulPackage { package, directory, lost, .. } = known;
        let message = format!("{package} keeps state in {directory}, which each boot erases: {lost}");
        let fix =
            format!("add the line `{directory}` to `state`, or `{directory} forget` if that is intended");
        warning("state".to_owned(), None, message, fix)
    };
    STATEFUL_PACKAGES.iter().filter(tells).map(finding).collect()
}

/// The user's files below a directory that is kept: they are copied once.
fn hidden(view: &View<'_>) -> Vec<Finding> {
    let below = |line: &StateLine| {
        let is_below = |own: &Own| own.path.is_within(line.path.as_bytes());
        view.own.iter().find(|own| own.from == From::Root && own.is_file() && is_below(own))
    };
    let finding = |line: &StateLine| {
        let own = below(line)?;
        let message = format!(
            "root/{} is copied at the first boot of a disk and never again: what the disk keeps of /{} hides it",
            own.path, line.path
        );
        let fix = "keep configuration elsewhere, or list the directory below it that the service writes to"
            .to_owned();
        Some(warning("state".to_owned(), Some(line.line), message, fix))
    };
    view.system.state.lines.iter().filter_map(finding).collect()
}

/// A filesystem that `fstab` mounts at, or below, a directory that is bound after it.
fn mounted(view: &View<'_>) -> Vec<Finding> {
    let Some(own) = view.own("etc/fstab") else { return Vec::new() };
    let mounts = fstab::parse(&own.text);
    let finding = |line: &StateLine| {
        let covers = |mount: &&fstab::Mount| {
            let at = mount.mount_point.trim_matches('/').as_bytes();
            at.strip_prefix(line.path.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let mount = mounts.iter().find(covers)?;
        let message = format!(
            "/{} is bound over {}, which root/etc/fstab mounts: it would be hidden",
            line.path, mount.mount_point
        );
        let fix = format!("remove one of them: what lies on {} outlives a boot already", mount.mount_point);
        Some(Finding {
            severity: Severity::Error,
            ..warning("state".to_owned(), Some(line.line), message, fix)
        })
    };
    view.system.state.lines.iter().filter_map(finding).collect()
}
