//! Where helpers keep files, and how what others left behind is found and removed.
//!
//! ```text
//! lowers/
//!   <boot id>-<identity>/      held shared by every session that uses it; its working directory
//!     lock                     held while stale directories are removed
//!     <layer id>/              an unpacked layer, complete
//!     work-<pid>-<time>/       held by its session: what is in the making
//! ```
//!
//! Nothing here is synced to disk: the boot's id in the name makes what a power cut may have torn unreachable,
//! and it goes at the next start ([`crate::leftovers`]). The user's own tools can't remove files of subordinate
//! ids, so this is a helper's work. Paths are relative: the way here may lead through directories of root's.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoopy_base::digest::LayerId;

use super::Result;
use crate::leftovers::{remove_other_boots, remove_stale};
use crate::wire::{Doing as _, Start};

/// The file in a directory of unpacked layers whose lock is held while some of them are removed.
const LOCK: &str = "lock";

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
}

impl Work {
    /// Makes this session's directory below the working one, after removing what dead ones left.
    pub(super) fn open(start: &Start) -> Result<Self> {
        let layers = PathBuf::from(".");
        let _locked = locked(&layers)?;
        if !start.root {
            remove_other_boots(&start.lowers, &start.boot, &start.identity);
        }
        let using = File::open(&layers).doing("open the directory of unpacked layers")?;
        using.lock_shared().doing("lock the directory of unpacked layers")?;
        remove_stale(&layers, |name| name.starts_with("work-"));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let own = layers.join(format!("work-{}-{now}", std::process::id()));
        make_private(&own)?;
        let held = File::open(&own).doing(format_args!("open {}", own.display()))?;
        held.lock().doing(format_args!("lock {}", own.display()))?;
        Ok(Self { layers, own, using, _held: held })
    }

    /// Removes all unpacked layers but those of `keep`; gives how many and their size. None when another session
    /// uses them.
    pub(super) fn clear(&self, keep: &[LayerId]) -> Result<Option<(u64, u64)>> {
        let keep: HashSet<String> = keep.iter().map(ToString::to_string).collect();
        let _locked = locked(&self.layers)?;
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
            let kept = entry.file_name().to_str().is_some_and(|name| keep.contains(name) || name == LOCK);
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

/// The lock under which directories are removed, held until it is dropped.
fn locked(layers: &Path) -> Result<File> {
    let lock = File::create(layers.join(LOCK)).doing("make a file in the directory of unpacked layers")?;
    lock.lock().doing("lock the directory of unpacked layers")?;
    Ok(lock)
}

/// Unpacked layers hold programs with the setuid bit: nobody else may reach them.
fn make_private(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.doing(format_args!("make {}", dir.display()))
}
