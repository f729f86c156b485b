//! Files that are stricter here than in the image. Git keeps no mode but the execute bit, and so a file that it tracks is
//! 0644 or 0755 in every image; whoever made it 0600 meant something by that.

use std::os::unix::fs::PermissionsExt as _;

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::View;

/// What group and others may do, and what a umask alone takes away from all files alike.
const OTHERS: u32 = 0o077;

/// Bits that a file has on purpose.
const SPECIAL: u32 = 0o6000;

/// Files that git tracks and whose own mode says more than git can.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let tracked = view.own.iter().filter(|own| {
        own.from == From::Root
            && own.is_file()
            && view.git.tree.tracks(&own.path)
            && !view.system.modes.contains_key(&own.path)
    });
    let local = |own: &Own| {
        let path = view.system.path("root").join(own.path.as_path());
        std::fs::symlink_metadata(path).map_or(0, |meta| meta.permissions().mode() & 0o7777)
    };
    let files: Vec<(&Own, u32)> = tracked.map(|own| (own, local(own))).collect();
    // Under a strict umask all files are strict, and none says anything.
    let usual = files.iter().fold(0, |all, (_, mode)| all | (mode & OTHERS & 0o044));
    files.into_iter().filter_map(|(own, mode)| finding(own, mode, usual)).collect()
}

fn finding(own: &Own, mode: u32, usual: u32) -> Option<Finding> {
    let stricter = usual & own.mode & !mode != 0;
    if !stricter && mode & SPECIAL == 0 {
        return None;
    }
    let message = format!("{mode:04o} here and {:04o} in the image: git does not keep that", own.mode);
    let fix = format!("write `{:?} = \"{mode:04o}\"` under [modes] in hoopy.toml", own.path.to_string());
    Some(own.finding(Severity::Warning, None, &message, fix))
}
