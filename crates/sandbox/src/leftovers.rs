//! What sessions that are over left, and its removal. Whether a directory is still in use is asked of its lock, which the
//! kernel drops with its process, however that ends.

use std::fs::{self, File, TryLockError};
use std::path::Path;

/// What directories of root's were called when it ran scripts without a user namespace.
pub(super) const WITHOUT_NAMESPACE: &str = "root";

/// Removes from `lowers` what other boots than `boot` unpacked under the ids of `identity`, and what was unpacked
/// [`WITHOUT_NAMESPACE`] on this one.
pub(super) fn remove_other_boots(lowers: &Path, boot: &str, identity: &str) {
    let suffix = format!("-{identity}");
    let current = format!("{boot}{suffix}");
    remove_stale(lowers, |name| {
        // A boot id is as long on every boot, so no identity is taken for the end of another one
        let others = name.len() == current.len() && name.ends_with(&suffix);
        others && (name != current || identity == WITHOUT_NAMESPACE)
    });
}

/// Removes the directories in `dir` that `are_ours` and that nobody holds. What can't be removed stays: it is in
/// nobody's way, and the next session tries again.
pub(super) fn remove_stale(dir: &Path, are_ours: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(&are_ours) {
            continue;
        }
        let Ok(held) = File::open(entry.path()) else { continue };
        match held.try_lock() {
            Ok(()) => drop(fs::remove_dir_all(entry.path())),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}
