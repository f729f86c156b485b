//! Notes in the report that are about more than one file.

use hoopy_base::size;

use super::draft::SystemDraft;
use super::error::ImportError;
use super::passwords::SHADOW;
use crate::login::{has_key, is_list_of_keys};
use crate::overlay::Overlay;
use crate::report::TransferReport;

/// What a person should know that no single file says.
pub fn notes(overlay: &Overlay, draft: &SystemDraft, report: &mut TransferReport) -> Result<(), ImportError> {
    for refused in &overlay.refused {
        report.left(refused.path.clone(), &refused.reason, "");
    }
    if let Some(uid) = overlay.owners_lost {
        report.look(format!(
            "etc of the source belongs to {uid}: an ordinary user packed or unpacked it, and who owned each file is lost. In \
             the image all of it is root's: import the overlay itself, or say others in setup.sh"
        ));
    }
    for path in &overlay.bits_lost {
        report.left(
            format!("the setuid and setgid bits of {path}"),
            "whose it was is not known",
            "set owner and mode in setup.sh",
        );
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
    if let Some(why) = no_login(overlay, draft, report)? {
        report.look(format!(
            "no login: {why}, and root/ has no authorized_keys. Import again with --recipient KEY or --plain-secrets, or put \
             a public key of ssh into root/root/.ssh/authorized_keys, before you write the image anywhere"
        ));
    }
    Ok(())
}

/// Why no password opens the machine, where no key does either.
fn no_login(
    overlay: &Overlay,
    draft: &SystemDraft,
    report: &TransferReport,
) -> Result<Option<&'static str>, ImportError> {
    let hashes = report.secrets.iter().find(|secret| secret.path == SHADOW);
    let why = match hashes {
        Some(hashes) if hashes.kept.is_some() => return Ok(None),
        Some(_) => "the hashes of passwords were not taken",
        None if !overlay.text(SHADOW)?.is_empty() => "no account has a password in the image",
        None => return Ok(None),
    };
    for (path, file) in &draft.files {
        if is_list_of_keys(&path.to_string()) && has_key(&file.content.read()?) {
            return Ok(None);
        }
    }
    Ok(Some(why))
}
