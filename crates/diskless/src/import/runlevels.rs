//! Runlevels: `etc/runlevels/LEVEL/SERVICE` becomes a line of `setup.sh` each.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_base::shell::quoted;
use hoopy_build::stack::Stack;
use hoopy_store::layer::{EntryPath, Kind};

use super::draft::SystemDraft;
use crate::overlay::{Node, NodeKind, Overlay, Scope};
use crate::report::TransferReport;

/// Where runlevels are.
pub const DIR: &str = "etc/runlevels";

/// The marker with which `setup-alpine` and others ask the diskless init for its usual services.
pub const DEFAULTS_MARKER: &str = "etc/.default_boot_services";

/// The services that mkinitfs' init enables where the marker is (`initramfs-init`, mkinitfs 3.13).
const DEFAULTS: [(&str, &[&str]); 3] = [
    ("sysinit", &["devfs", "dmesg", "mdev", "hwdrivers"]),
    ("boot", &["modules", "sysctl", "hostname", "bootmisc", "syslog", "hwclock"]),
    ("shutdown", &["mount-ro", "killprocs", "savecache"]),
];

/// Services that a diskless machine has and this one has no use for, and why.
const NO_USE: [(&str, &str); 3] = [
    ("modloop", "it mounts the kernel modules of the boot medium, and here they are in the image"),
    ("firstboot", "it runs once on a machine without an overlay"),
    ("savecache", "it keeps OpenRC's cache for the next boot, which starts from the image"),
];

/// The services of each runlevel; a runlevel may hold others.
type Levels = BTreeMap<String, BTreeSet<String>>;

/// Lines of a shell script that make the runlevels of `overlay` out of those of `packages`.
pub fn script(
    overlay: &Overlay,
    packages: &Stack,
    draft: &SystemDraft,
    report: &mut TransferReport,
) -> Vec<String> {
    let mut wanted = of_overlay(overlay, report);
    let there = of_stack(packages);
    if overlay.nodes.keys().any(|path| path.as_bytes() == DEFAULTS_MARKER.as_bytes()) || wanted.is_empty() {
        for (level, services) in DEFAULTS {
            wanted.entry(level.to_owned()).or_default().extend(services.iter().map(|s| (*s).to_owned()));
        }
    }
    for services in wanted.values_mut() {
        for (service, why) in NO_USE {
            if services.remove(service) {
                report.left(format!("service {service}"), why, "");
            }
        }
    }
    // The diskless init mounts it before OpenRC starts; here nobody did.
    wanted.entry("sysinit".to_owned()).or_default().insert("sysfs".to_owned());
    let mut script = Vec::new();
    let mut count = 0;
    for (level, services) in &wanted {
        let none = BTreeSet::new();
        let before = there.get(level).unwrap_or(&none);
        let missing: Vec<&String> = services.iter().filter(|service| !before.contains(*service)).collect();
        if !there.contains_key(level) {
            script.push(format!("mkdir -p /etc/runlevels/{level}"));
        }
        for service in missing {
            if wanted.contains_key(service) {
                // A runlevel in a runlevel; rc-update refuses some that OpenRC takes.
                script.push(format!("ln -sfn /etc/runlevels/{service} /etc/runlevels/{level}/{service}"));
                continue;
            }
            match state(overlay, packages, draft, service) {
                State::Runs => {
                    count += 1;
                    script.push(format!("rc-update -q add {service} {level}"));
                }
                // It is there once the secrets are, which is later.
                State::Secret => {
                    count += 1;
                    script.push(format!("ln -sfn /etc/init.d/{service} /etc/runlevels/{level}/{service}"));
                }
                State::Stopped(why, action) => {
                    report.left(format!("service {service} of runlevel {level}"), why, action);
                }
            }
        }
    }
    if overlay.scope == Scope::Root {
        for (level, services) in &there {
            let keep = wanted.get(level);
            let gone = services.iter().filter(|service| !keep.is_some_and(|keep| keep.contains(*service)));
            script.extend(gone.map(|service| format!("rc-update -q del {service} {level}")));
        }
    }
    report.took("runlevels", format!("{count} services enabled in setup.sh"));
    script
}

/// A name that stands in a shell script as it is.
fn is_name(name: &[u8]) -> bool {
    let good = |c: &u8| c.is_ascii_alphanumeric() || b"._-+@".contains(c);
    !name.is_empty() && !name.starts_with(b"-") && !name.starts_with(b".") && name.iter().all(good)
}

fn of_overlay(overlay: &Overlay, report: &mut TransferReport) -> Levels {
    let mut levels = Levels::new();
    for (path, node) in overlay.below(DIR) {
        let mut parts = path.as_bytes().split(|&b| b == b'/').skip(2);
        let (level, service, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let good = is_name(level) && service.is_none_or(is_name) && more.is_none();
        let level = String::from_utf8_lossy(level).into_owned();
        match (&node.kind, service) {
            (NodeKind::Dir, None) if good => {
                levels.entry(level).or_default();
            }
            (NodeKind::Symlink(_), Some(service)) if good => {
                levels.entry(level).or_default().insert(String::from_utf8_lossy(service).into_owned());
            }
            _ => {
                let shown = quoted(&path.to_string());
                report.left(shown, "expected a link RUNLEVEL/SERVICE, found something else", "");
            }
        }
    }
    levels
}

fn of_stack(stack: &Stack) -> Levels {
    let mut levels = Levels::new();
    let Ok(dir) = EntryPath::new(DIR) else { return levels };
    for (path, entry) in stack.tree.below(&dir) {
        let mut parts = path.as_bytes().split(|&b| b == b'/').skip(2);
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        match (&entry.kind, parts.next(), parts.next()) {
            (Kind::Dir { .. }, Some(level), None) => drop(levels.entry(text(level)).or_default()),
            (Kind::Symlink(_), Some(level), Some(service)) => {
                levels.entry(text(level)).or_default().insert(text(service));
            }
            _ => {}
        }
    }
    levels
}

/// What becomes of a service in the image.
enum State {
    /// It is there and can be run.
    Runs,
    /// It comes with the secrets.
    Secret,
    /// It does not start: why, and what to do.
    Stopped(&'static str, &'static str),
}

fn state(overlay: &Overlay, packages: &Stack, draft: &SystemDraft, service: &str) -> State {
    let missing = State::Stopped(
        "no package and no file of the source has /etc/init.d/ with this name",
        "add the package that brings it to `packages`, and `rc-update -q add` to setup.sh",
    );
    let Ok(path) = EntryPath::new(format!("etc/init.d/{service}")) else { return missing };
    if draft.secrets.contains_key(&path.to_string()) {
        return State::Secret;
    }
    let taken = draft.files.contains_key(&path)
        || draft.links.contains_key(&path)
        || draft.links_of_setup.contains(&path);
    let of_package = packages.tree.get(&path).is_some();
    // A link may lead to a file of a package.
    let is_runnable = |node: &Node| node.mode & 0o111 != 0 || !matches!(node.kind, NodeKind::File(_));
    match overlay.node(&path) {
        Some(node) if (taken || of_package) && !is_runnable(node) => State::Stopped(
            "its file in /etc/init.d is not executable, and OpenRC starts no such service",
            "make it executable and add `rc-update -q add` to setup.sh, if it is to run",
        ),
        _ if taken || of_package => State::Runs,
        Some(_) => State::Stopped(
            "its file in /etc/init.d was not taken",
            "bring it over, and add `rc-update -q add` to setup.sh",
        ),
        None => missing,
    }
}
