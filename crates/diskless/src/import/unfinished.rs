//! Directories of imports that were not finished: nothing of them stays, and git sees nothing of them.
//!
//! An import works in `.hoopy-import-XXXXXX` beside the directory that it makes, or within it where that is there. From the first file on, that one has a
//! `.gitignore` with `*`, so whatever ends the import, `git add` does not take its passwords. A signal removes it
//! ([`Unfinished::remove`]); what a kill or a power cut left, the next import beside it removes. Each holds a lock on its
//! directory (flock(2)) as long as it works, so that none removes another's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hoopy_base::atomic::{Readers, replace_file};
use hoopy_base::input::read_up_to;
use rustix::fs::{FlockOperation, flock};

/// How the names of such directories begin.
const PREFIX: &str = ".hoopy-import-";

/// What is put behind its name before it is removed.
const ENDED: &str = "-ended";

/// Keeps git from all that is beside it.
const ALL: &[u8] = b"# `hoopy import` has not finished this directory.\n*\n";

/// What is removed of one directory that is just being filled, again and again for so long.
const TRIES: u32 = 50;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The directory of an import while it is not finished, for whoever has to remove it.
#[derive(Debug, Clone, Default)]
pub struct Unfinished(Arc<Mutex<Option<PathBuf>>>);

impl Unfinished {
    /// Removes the directory, where there is one, and leaves the import waiting: the program has to end then.
    pub fn remove(&self) {
        let mut dir = self.hold();
        if let Some(dir) = dir.take() {
            // The import writes on, faster than files are removed: it must not find its directory any more.
            let mut gone = dir.clone().into_os_string();
            gone.push(ENDED);
            for _ in 0..TRIES {
                let _ = fs::rename(&dir, &gone);
                let _ = fs::remove_dir_all(&gone);
                // It may just have made a directory with all above it, or have one open.
                if !dir.exists() && !Path::new(&gone).exists() {
                    break;
                }
                pause();
            }
        }
        std::mem::forget(dir);
    }

    /// As long as this is held, nobody removes the directory.
    pub(super) fn hold(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new directory in `parent`, of which git sees nothing; and what holds its lock.
pub(super) fn begin(parent: &Path, unfinished: &Unfinished) -> io::Result<(PathBuf, File)> {
    // From its making to its lock, a directory looks as if it had been left behind.
    let making = File::open(parent)?;
    if (0..TRIES).any(|_| locked(&making) || !pause()) {
        remove_stale(parent);
    }
    let mut known = unfinished.hold();
    let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
    let lock = File::open(dir.path())?;
    // A filesystem without locks has none that are left behind, either: nobody can tell them.
    locked(&lock);
    hide(dir.path())?;
    let dir = dir.keep();
    *known = Some(dir.clone());
    Ok((dir, lock))
}

/// Takes the lock of a directory, where nobody has it.
fn locked(dir: &File) -> bool {
    flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Waits; gives true.
fn pause() -> bool {
    std::thread::sleep(PAUSE);
    true
}

/// Keeps git from all in `dir`.
pub(super) fn hide(dir: &Path) -> io::Result<()> {
    replace_file(&dir.join(".gitignore"), ALL, Readers::Exactly(0o644))
}

/// Removes what imports left in `parent` that were killed.
fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if is_name(&entry.file_name()) && is_stale(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a directory of this name is one of them.
pub(super) fn is_name(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// Whether no import works in `dir`, and one of this user's did.
fn is_stale(dir: &Path) -> io::Result<bool> {
    let meta = dir.symlink_metadata()?;
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    if !meta.is_dir() || !own || meta.permissions().mode() & 0o700 != 0o700 {
        return Ok(false);
    }
    // Killed before it wrote its first file; or a directory of somebody's that only has such a name.
    let begun = read_up_to(&dir.join(".gitignore"), ALL.len() as u64).is_ok_and(|text| text == ALL);
    let is_temporary = |name: &OsStr| name.as_encoded_bytes().starts_with(b".hoopy-");
    let is_empty = || {
        fs::read_dir(dir)
            .is_ok_and(|mut all| all.all(|one| one.is_ok_and(|one| is_temporary(&one.file_name()))))
    };
    Ok((begun || is_empty()) && locked(&File::open(dir)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Instant;

    use super::*;

    /// No test waits longer.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn what_a_killed_import_left_is_removed_and_what_is_not_one_or_at_work_stays() {
        let parent = tempfile::tempdir().unwrap();
        let (left, lock) = begin(parent.path(), &Unfinished::default()).unwrap();
        fs::create_dir(left.join("root")).unwrap();
        drop(lock);
        let empty = parent.path().join(".hoopy-import-empty1");
        fs::create_dir(&empty).unwrap();
        fs::write(empty.join(".hoopy-1-0"), "").unwrap();
        let own = parent.path().join(".hoopy-import-notes");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("x"), "").unwrap();
        fs::write(own.join(".gitignore"), "x\n").unwrap();
        let link = parent.path().join(".hoopy-import-link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        let (first, _first_lock) = begin(parent.path(), &Unfinished::default()).unwrap();
        let (second, _second_lock) = begin(parent.path(), &Unfinished::default()).unwrap();
        assert!(!left.exists() && !empty.exists());
        assert!(first.is_dir() && second.is_dir() && own.join("x").is_file() && link.is_symlink());
        assert_eq!(names(&first), [".gitignore"]);
    }

    #[test]
    fn a_signal_removes_the_directory_although_it_is_being_filled() {
        let parent = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::default();
        let (dir, _lock) = begin(parent.path(), &unfinished).unwrap();
        let filling = dir.clone();
        let started = Instant::now();
        let filler = std::thread::spawn(move || {
            let write = |n: &u32| fs::write(filling.join(format!("{n}")), "x").is_ok();
            (0..).take_while(|n| write(n) && started.elapsed() < PATIENCE).count()
        });
        std::thread::sleep(Duration::from_millis(5));
        unfinished.remove();
        assert!(filler.join().unwrap() > 0 && started.elapsed() < PATIENCE);
        assert!(names(parent.path()).is_empty());
    }
}
