//! Files that an import reads, and that are none: a link out of the source, as to a disk that was mounted, or a directory.

use hoopy_store::layer::EntryPath;

use super::error::ImportError;
use crate::overlay::{NodeKind, Overlay};
use crate::report::TransferReport;

/// What is read, and what is missing without it.
const READ: [(&str, &str); 7] = [
    ("etc/passwd", "users"),
    ("etc/group", "groups"),
    ("etc/shadow", "passwords"),
    ("etc/apk/world", "packages"),
    ("etc/apk/repositories", "repositories"),
    ("etc/apk/arch", "architecture"),
    ("etc/hostname", "name"),
];

/// Says which of these are there, and cannot be read.
///
/// # Errors
/// What reading fails with.
pub fn report(overlay: &Overlay, report: &mut TransferReport) -> Result<(), ImportError> {
    for (path, what) in READ {
        if overlay.file(path)?.is_some() {
            continue;
        }
        let Some((at, found)) = instead(overlay, path) else { continue };
        report.left(
            format!("{what} of {path}"),
            &format!("expected a file, found {found}{at}"),
            "put the file itself there, and import again",
        );
    }
    let world = EntryPath::new("etc/apk/world").ok().filter(|path| !overlay.nodes.contains_key(path));
    if world.is_some() && instead(overlay, "etc/apk/world").is_none() {
        report.look(
            "the source has no etc/apk/world: `packages` has nothing but alpine-base and a kernel".to_owned(),
        );
    }
    Ok(())
}

/// What is at `path` or above it and is no file; where, unless it is at `path` itself.
fn instead(overlay: &Overlay, path: &str) -> Option<(String, String)> {
    let path = EntryPath::new(path).ok()?;
    let mut at = Some(path.clone());
    while let Some(here) = at {
        let place = if here == path { String::new() } else { format!(" at {here}") };
        let found = match overlay.nodes.get(&here).map(|node| &node.kind) {
            Some(NodeKind::Symlink(target)) => {
                format!("a link to {}, which the source does not have", String::from_utf8_lossy(target))
            }
            Some(NodeKind::Special(what)) => (*what).to_owned(),
            Some(NodeKind::File(_)) if here != path => "a file".to_owned(),
            Some(NodeKind::Dir) if here == path => "a directory".to_owned(),
            _ => {
                at = here.parent();
                continue;
            }
        };
        return Some((place, found));
    }
    None
}
