//! Notes in the report that are about more than one file.

use hoopy_base::size;

use super::draft::SystemDraft;
use super::error::ImportError;
use crate::overlay::Overlay;
use crate::report::TransferReport;

/// What a person should know that no single file says.
pub fn notes(overlay: &Overlay, draft: &SystemDraft, report: &mut TransferReport) -> Result<(), ImportError> {
    for refused in &overlay.refused {
        report.left(refused.path.clone(), &refused.reason, "");
    }
    for data in &overlay.data {
        let why = format!("{} of data", size::show(data.size));
        let action = "keep it on a filesystem of /etc/fstab, and copy it there";
        report.left(data.path.clone(), &why, action);
    }
    if !overlay.hints.backups.is_empty() {
        let names = overlay.hints.backups.join(", ");
        report.left(
            names,
            "older overlays of this machine",
            "import one into another directory to look into it",
        );
    }
    if overlay.hints.unauthenticated {
        report.look(
            "it came over http, which anybody on the way can change: look at root/ and setup.sh".to_owned(),
        );
    }
    // That of a package mounts what it always did.
    let own = draft.files.keys().any(|path| path.as_bytes() == b"etc/fstab");
    let fstab = if own { overlay.text("etc/fstab")? } else { String::new() };
    for line in fstab.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(device), Some(place)) = (fields.next(), fields.next()) else { continue };
        if place == "/" {
            report.look(format!("etc/fstab has {device} at /: the root is the image now: remove the line"));
        } else if place.starts_with("/media/") {
            report.look(format!(
                "etc/fstab mounts {device} at {place}: where that is the boot medium of the diskless system, remove \
                 the line"
            ));
        }
    }
    if report.refused_secrets().next().is_some() {
        report.look("what needs a secret that was not taken does not work in the image".to_owned());
    }
    if report
        .refused_secrets()
        .any(|secret| secret.path.contains("host_key") || secret.path.contains("ssh_host_"))
    {
        report.look(
            "the host keys of ssh are not there: the machine makes new ones at each boot, and ssh will warn of each"
                .to_owned(),
        );
    }
    Ok(())
}
