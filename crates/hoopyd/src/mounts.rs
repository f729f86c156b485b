//! What is mounted where, as the kernel lists it.

use std::fs;
use std::path::Path;

use hoopy_base::octal::unescape;

/// The kernel's list, below the root (proc(5)).
const MOUNTS: &str = "proc/mounts";

/// A mount.
#[derive(Debug)]
pub struct Mount {
    /// The device, the dataset, or whatever name was given.
    pub source: String,
    /// The kind of the filesystem.
    pub kind: String,
}

/// What is mounted at `path`: of several the last one, which hides the others.
pub fn at(root: &Path, path: &str) -> Option<Mount> {
    let mounts = fs::read_to_string(root.join(MOUNTS)).ok()?;
    mounts.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').map(unescape);
        let (source, target, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (target == path).then_some(Mount { source, kind })
    })
}

/// Where something is mounted below `path`, as paths from there: `path` itself does not count.
pub fn below(root: &Path, path: &str) -> Vec<String> {
    let mounts = fs::read_to_string(root.join(MOUNTS)).unwrap_or_default();
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1).map(unescape));
    let below = |target: String| {
        let rest = target.strip_prefix(path)?.strip_prefix('/')?;
        (!rest.is_empty()).then(|| rest.to_owned())
    };
    targets.filter_map(below).collect()
}
