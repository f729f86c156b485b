//! Who may use the store, and how.
//!
//! ```text
//! STORE/gate   held shared while a build is let in; held alone while somebody waits to have the store alone
//! STORE/lock   held shared by every build while it runs; held alone by whoever removes what builds may use
//! ```
//!
//! A build never sees a file go that it found there: whoever collects or mends has the store alone. So that builds
//! that follow each other without a gap cannot keep it waiting for ever, it closes the gate: those that run end, new
//! ones wait. It opens it again after a while, since nobody should wait long for somebody else's long build.
//! Both are flock(2) locks: the kernel drops them with the process, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::access::{Access, is_refusal};
use super::{StoreError, at};

/// How long the gate is kept closed at a time: longer than most builds take.
const CLOSED: Duration = Duration::from_secs(5);
/// How long it is open in between: enough for all that wait to come in.
const OPEN: Duration = Duration::from_secs(1);
/// How often to check whether the last build has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Lets a build in. What killed builds left under `tmp/` is swept where nobody else is in.
pub(super) fn shared(root: &Path, access: Access) -> Result<Option<File>, StoreError> {
    let (Some(gate), Some(lock)) = (open(root, "gate", access)?, open(root, "lock", access)?) else {
        return Ok(None);
    };
    gate.lock_shared().map_err(at(root))?;
    match lock.try_lock() {
        Ok(()) => sweep(&root.join("tmp"))?,
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(at(root)(e)),
    }
    // Also turns the exclusive lock into a shared one.
    lock.lock_shared().map_err(at(root))?;
    Ok(Some(lock))
}

/// The store, held alone until this is dropped.
#[derive(Debug)]
pub(super) struct Alone {
    _gate: File,
    _lock: File,
}

/// Waits until no build runs, and keeps new ones out. `waiting` is called once, when there is one to wait for.
pub(super) fn alone(root: &Path, waiting: &dyn Fn()) -> Result<Alone, StoreError> {
    let access = Access::of(&fs::metadata(root).map_err(at(root))?);
    let unwritable = || at(root)(io::ErrorKind::ReadOnlyFilesystem.into());
    let gate = open(root, "gate", access)?.ok_or_else(unwritable)?;
    let lock = open(root, "lock", access)?.ok_or_else(unwritable)?;
    let mut told = false;
    loop {
        gate.lock().map_err(at(root))?;
        let closed = Instant::now();
        while closed.elapsed() < CLOSED {
            match lock.try_lock() {
                Ok(()) => return Ok(Alone { _gate: gate, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(at(root)(e)),
            }
            if !told {
                waiting();
                told = true;
            }
            sleep(LOOK);
        }
        gate.unlock().map_err(at(root))?;
        sleep(OPEN);
    }
}

/// The file of a lock. None in a store that cannot be written to and has none: nobody removes anything there.
fn open(root: &Path, name: &str, access: Access) -> Result<Option<File>, StoreError> {
    let path = root.join(name);
    let mut options = OpenOptions::new();
    let made = options.create(true).truncate(false).write(true).mode(access.file_mode()).open(&path);
    match made {
        Ok(file) => Ok(Some(file)),
        // Another user's: a lock needs no right to write.
        Err(e) if is_refusal(&e) => match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(at(&path)),
        },
        Err(e) => Err(at(&path)(e)),
    }
}

/// Removes what killed builds left in `tmp`; what another user left where this one may not is left to that one.
pub(super) fn sweep(tmp: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(tmp) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at(tmp))?,
    };
    for entry in entries {
        let path = entry.map_err(at(tmp))?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(e) if !is_refusal(&e) && e.kind() != io::ErrorKind::NotFound => return Err(at(&path)(e)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn whoever_wants_it_alone_waits_for_those_inside_and_keeps_others_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (first, waits, entered) =
            (shared(root, Access::Owner).unwrap(), AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|threads| {
            let alone = threads.spawn(|| alone(root, &|| waits.store(true, Ordering::SeqCst)).unwrap());
            while !waits.load(Ordering::SeqCst) {
                sleep(LOOK);
            }
            let second = threads.spawn(|| {
                let second = shared(root, Access::Owner).unwrap();
                entered.store(true, Ordering::SeqCst);
                second
            });
            drop(first);
            let alone = alone.join().unwrap();
            sleep(LOOK);
            assert!(!entered.load(Ordering::SeqCst), "a build came in where somebody is alone");
            drop(alone);
            assert!(second.join().unwrap().is_some());
        });
    }
}
