//! What editors and systems leave behind, and repositories in the repository: none of it belongs in an image.

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::View;

/// Names that file managers, systems and editors give.
const NAMES: [&str; 9] = [
    ".DS_Store",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    ".directory",
    "__MACOSX",
];

/// How names end, and begin, that editors and merges give.
const ENDINGS: [&str; 9] = [".swp", ".swo", "~", ".orig", ".rej", ".bak", ".kate-swp", ".un~", ".tmp"];
const BEGINNINGS: [&str; 4] = [".#", "._", "#", ".nfs"];

/// Whether something of this name is nothing that anybody made on purpose.
pub(crate) fn is_litter(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    NAMES.contains(&&*name)
        || ENDINGS.iter().any(|end| name.ends_with(end))
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin) && name.len() > begin.len())
}

/// Litter, and what belongs to a repository inside `root/`.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let of_root = view.own.iter().filter(|own| own.from == From::Root);
    let mut findings: Vec<Finding> = Vec::new();
    for own in of_root {
        let Some((file, message)) = litter(own) else { continue };
        // One finding a repository, not one for each of its objects.
        if findings.iter().all(|known| known.file != file) {
            let fix = format!("rm -r {}", file.display());
            findings.push(Finding {
                severity: Severity::Warning,
                file,
                line: None,
                message: message.into(),
                fix,
            });
        }
    }
    findings
}

fn litter(own: &Own) -> Option<(std::path::PathBuf, &'static str)> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = own.path.as_path();
    let mut so_far = std::path::PathBuf::from("root");
    for part in path {
        so_far.push(part);
        if part == ".git" {
            return Some((so_far, "a git repository inside root/: all of its history goes into the image"));
        }
        if is_litter(part.as_bytes()) {
            return Some((so_far, "left behind by an editor or the system, and it goes into the image"));
        }
    }
    None
}
