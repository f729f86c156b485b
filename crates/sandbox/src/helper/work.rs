//! Where helpers keep files, and how what others left behind is found and removed.
//!
//! ```text
//! lowers/
//!   lock-<identity>            held while directories are made and stale ones removed
//!   <boot id>-<identity>/      held shared by every session that uses it
//!     <layer id>/              an unpacked layer, complete
//!     work-<pid>-<time>/       held by its session: what is in the making
//! ```
//!
//! Nothing here is synced to disk: the boot's id in the name makes what a power cut may have torn unreachable,
//! and it goes at the next start. Whether a directory is still in use is asked of its lock, which the kernel
//! drops with its process, however that ends. The user's own tools can't remove files of subordinate ids, so
//! this is a helper's work.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoopy_base::digest::LayerId;

use super::Result;
use crate::wire::{Doing as _, Start};

/// The directories of one session.
pub(super) struct Work {
    /// Holds unpacked layers.
    pub(super) layers: PathBuf,
    /// This session's own.
    pub(super) own: PathBuf,
    /// Held shared, on `layers`.
    using: File,
    /// Held, on `own`.
    _held: File,
    /// Where the lock for making and removing is.
    lock: PathBuf,
}

impl Work {
    /// Makes this session's directory, after removing what dead ones left.
    pub(super) fn open(start: &Start) -> Result<Self> {
        let lock = start.lowers.join(format!("lock-{}", start.identity));
        let _locked = locked(&lock)?;
        let layers = start.lowers.join(format!("{}-{}", start.boot, start.identity));
        remove_other_boots(start, &layers);
        make_private(&layers)?;
        let using = File::open(&layers).doing(format_args!("open {}", layers.display()))?;
        using.lock_shared().doing(format_args!("lock {}", layers.display()))?;
        remove_stale(&layers, |name| name.starts_with("work-"));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let own = layers.join(format!("work-{}-{now}", std::process::id()));
        make_private(&own)?;
        let held = File::open(&own).doing(format_args!("open {}", own.display()))?;
        held.lock().doing(format_args!("lock {}", own.display()))?;
        Ok(Self { layers, own, using, _held: held, lock })
    }

    /// Removes all unpacked layers but those of `keep`; gives how many and their size. None when another session
    /// uses them.
    pub(super) fn clear(&self, keep: &[LayerId]) -> Result<Option<(u64, u64)>> {
        let keep: HashSet<String> = keep.iter().map(ToString::to_string).collect();
        let _locked = locked(&self.lock)?;
        match self.using.try_lock() {
            Err(TryLockError::WouldBlock) => {
                // Asking for more gives up what was held
                self.using.lock_shared().doing("lock unpacked layers")?;
                return Ok(None);
            }
            Err(TryLockError::Error(e)) => return Err(e).doing("lock unpacked layers"),
            Ok(()) => {}
        }
        let (mut layers, mut bytes) = (0, 0);
        for entry in fs::read_dir(&self.layers).doing("list unpacked layers")?.flatten() {
            let kept = entry.file_name().to_str().is_some_and(|name| keep.contains(name));
            if entry.path() != self.own && !kept {
                layers += 1;
                bytes += size(&entry.path());
                fs::remove_dir_all(entry.path()).doing(format_args!("remove {}", entry.path().display()))?;
            }
        }
        self.using.lock_shared().doing("lock unpacked layers")?;
        Ok(Some((layers, bytes)))
    }

    /// Removes this session's directory.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.own);
    }
}

/// Bytes on the disk of all that is in `path`; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let inside = if meta.is_dir() {
        fs::read_dir(path).into_iter().flatten().flatten()
    } else {
        return meta.blocks() * 512;
    };
    inside.map(|entry| size(&entry.path())).sum()
}

/// The lock under which directories are made and removed, held until it is dropped.
fn locked(path: &Path) -> Result<File> {
    let lock = File::create(path).doing(format_args!("make {}", path.display()))?;
    lock.lock().doing("lock the directory of unpacked layers")?;
    Ok(lock)
}

/// Unpacked layers hold programs with the setuid bit: nobody else may reach them.
fn make_private(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.doing(format_args!("make {}", dir.display()))
}

/// Removes what earlier boots unpacked under the same ids.
fn remove_other_boots(start: &Start, layers: &Path) {
    let suffix = format!("-{}", start.identity);
    let current = layers.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    remove_stale(&start.lowers, |name| {
        // A boot id is as long on every boot, so no identity is taken for the end of another one
        name.len() == start.boot.len() + suffix.len() && name.ends_with(&suffix) && name != current
    });
}

/// Removes the directories in `dir` that `are_ours` and that nobody holds. What can't be removed stays: it is in
/// nobody's way, and the next session tries again.
fn remove_stale(dir: &Path, are_ours: impl Fn(&str) -> bool) {
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
