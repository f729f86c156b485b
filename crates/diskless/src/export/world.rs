//! `etc/apk/world` and `etc/apk/repositories` for an overlay.

use std::collections::BTreeSet;

use hoopy_build::config::{DEFAULT_MIRROR, System, release_dir};
use hoopy_build::fetch::is_remote;

use crate::kernel::{flavor, name_of};
use crate::report::TransferReport;

/// Where a diskless machine has the packages of its boot medium.
const MEDIUM: &str = "/media/usb/apks";

/// The text of `etc/apk/world`: `packages` without the kernel, which is on the boot medium. `kernels` are the packages that
/// were found to have one, where that is known; those of Alpine are known by their names.
pub fn world(system: &System, kernels: &BTreeSet<String>, report: &mut TransferReport) -> String {
    let mut lines = system.world.texts();
    lines.retain(|line| {
        let name = name_of(line);
        let is_kernel = flavor(name).is_some() || kernels.contains(name);
        if is_kernel {
            let action = "take a medium with this kernel, or `update-kernel`";
            report.left(
                format!("package {line}"),
                "the kernel of a diskless machine is on its boot medium",
                action,
            );
        }
        !is_kernel
    });
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The text of `etc/apk/repositories`. Where the mirror is a directory of this computer, Alpine's own repositories have
/// Alpine's own address: their packages are the same.
pub fn repositories(system: &System, report: &mut TransferReport) -> String {
    let mut text = format!("{MEDIUM}\n");
    report.look(format!(
        "etc/apk/repositories has {MEDIUM} for the packages of the boot medium: write where yours is mounted"
    ));
    for repository in &system.repositories {
        let tag = repository.tag.as_ref().map(|tag| format!("@{tag} ")).unwrap_or_default();
        let address = if is_remote(&repository.location) {
            Some(repository.location.clone())
        } else {
            official(&repository.name, &system.branch)
        };
        match address {
            Some(address) => text += &format!("{tag}{address}\n"),
            None => {
                let action = "copy it to the medium, or write an address";
                report.left(
                    format!("repository {}", repository.location),
                    "a directory of this computer",
                    action,
                );
            }
        }
    }
    text
}

/// The address of a repository that is named by its part alone, `main`, or with a branch, `edge/testing`.
fn official(name: &str, branch: &str) -> Option<String> {
    match name.split_once('/') {
        None => Some(format!("{DEFAULT_MIRROR}/{}/{name}", release_dir(branch))),
        Some((b, part)) if !part.contains('/') && (b == "edge" || b.starts_with('v')) => {
            Some(format!("{DEFAULT_MIRROR}/{name}"))
        }
        Some(_) => None,
    }
}
