//! The configuration of lbu: which paths to keep, which not, and how. Each setting has an equivalent here, which the report names.

use std::collections::BTreeSet;
use std::io;

use crate::overlay::{NodeKind, Overlay};
use crate::report::TransferReport;

/// Where lbu's list is, and where apk looks for others.
const LISTS: &str = "etc/apk/protected_paths.d";

/// What `hoopy.toml` gets of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lbu {
    /// Paths that lbu was told to leave out: they are meant to change.
    pub excluded: Vec<String>,
    /// Paths outside `etc` that lbu was told to keep.
    pub included: Vec<String>,
}

/// Reads lbu's list and settings.
///
/// # Errors
/// What reading fails with.
pub fn read(overlay: &Overlay, report: &mut TransferReport) -> io::Result<Lbu> {
    let mut lbu = Lbu::default();
    let lists: Vec<String> =
        overlay.below(LISTS).map(|(path, _)| path.to_string()).filter(|p| p.ends_with(".list")).collect();
    for list in lists {
        for line in overlay.text(&list)?.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let path = |rest: &str| rest.trim_matches('/').to_owned();
            match line.split_at_checked(1) {
                Some(("+", rest)) if !rest.is_empty() => lbu.included.push(path(rest)),
                Some(("-" | "!", rest)) if !rest.is_empty() => lbu.excluded.push(path(rest)),
                Some(("@", rest)) if !rest.is_empty() => {}
                Some(_) => report.left(format!("line {line:?} of {list}"), "it is not one of apk's", ""),
                None => {}
            }
        }
    }
    lbu.included.retain(|path| path != "etc");
    // Several lists may have the same line.
    for paths in [&mut lbu.included, &mut lbu.excluded] {
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
    }
    let is_there = |path: &&String| overlay.nodes.keys().any(|node| node.is_within(path.as_bytes()));
    let (there, gone): (Vec<&String>, Vec<&String>) = lbu.included.iter().partition(is_there);
    let list = |paths: &[&String]| paths.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
    if !there.is_empty() {
        report.look(format!(
            "lbu include {}: root/ has it as it was; what the machine writes there is gone after a reboot, unless a \
             filesystem of /etc/fstab is mounted there or `hoopy pull` brings it home",
            list(&there)
        ));
    }
    if !gone.is_empty() {
        report.look(format!("lbu include {}: the source has nothing there", list(&gone)));
    }
    if !lbu.excluded.is_empty() {
        report.took("lbu exclude", format!("{}: in [drift] of hoopy.toml", lbu.excluded.join(", ")));
    }
    settings(overlay, report)?;
    Ok(lbu)
}

fn settings(overlay: &Overlay, report: &mut TransferReport) -> io::Result<()> {
    for line in overlay.text("etc/lbu/lbu.conf")?.lines().map(str::trim).filter(|line| !line.starts_with('#'))
    {
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim().trim_start_matches("export ").trim();
        let value = value.trim().trim_matches(['"', '\'']);
        let (is_public, why, action) = match key {
            _ if value.is_empty() => continue,
            "PASSWORD" => (false, "the passphrase of overlays: nothing here is encrypted with it", ""),
            "ENCRYPTION" | "DEFAULT_CIPHER" => (
                true,
                "overlays were encrypted: the image is not, and holds all that is in root/",
                "keep secrets out of root/",
            ),
            "BACKUP_LIMIT" => (
                true,
                "so many overlays were kept: now the previous image stays on the machine",
                "see layout = \"ab\"",
            ),
            "LBU_MEDIA" | "LBU_BACKUPDIR" => {
                (true, "where overlays were saved: the image holds all of it now", "git keeps the history")
            }
            _ => (false, "a setting of lbu", ""),
        };
        // git keeps the report: of what may be a password it has the name alone.
        let shown = if is_public { format!("lbu.conf: {key}={value}") } else { format!("lbu.conf: {key}") };
        report.left(shown, why, action);
    }
    for dir in ["etc/lbu/pre-package.d", "etc/lbu/post-package.d"] {
        for (path, node) in overlay.below(dir) {
            if matches!(node.kind, NodeKind::File(_)) {
                report.left(
                    path.to_string(),
                    "a script that ran at each `lbu commit`",
                    "run it before `hoopy build`",
                );
            }
        }
    }
    Ok(())
}
