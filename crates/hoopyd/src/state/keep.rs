//! What the filesystem keeps, and how it gets there: whole or not at all, whenever the power fails.
//!
//! A directory is copied under another name, all of it is on the disk (`syncfs`), and then it gets its name. A restore is
//! unpacked whole, is on the disk, and then the archive gets the name `restore.ready`: from there on only directories are
//! renamed, and each step can be seen to be done. `hoopy_boot::state` draws what lies where.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::atomic::sync_dir;
use hoopy_boot::state::{BEFORE, HOME, KEPT, NEW, READY, RESTORE, RESTORING, stored_name};

use crate::error::AgentError;

/// hoopy's own directory on the filesystem.
#[derive(Debug)]
pub struct Keep(PathBuf);

impl Keep {
    /// That of the filesystem at `on`. What a copy left that was cut short is removed.
    ///
    /// # Errors
    /// [`AgentError::Io`].
    pub fn open(on: &Path) -> Result<Self, AgentError> {
        let keep = Self(on.join(HOME));
        for (dir, mode) in [(keep.0.clone(), 0o700), (keep.at(KEPT), 0o755)] {
            // A restore that is half done has no state for a moment.
            if dir == keep.at(KEPT) && keep.at(READY).exists() {
                continue;
            }
            match DirBuilder::new().mode(mode).create(&dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(AgentError::io("make", dir)(error));
                }
                _ => {}
            }
        }
        remove(&keep.at(NEW))?;
        Ok(keep)
    }

    /// That of a filesystem which is only read, such as a snapshot.
    pub fn of(on: &Path) -> Self {
        Self(on.join(HOME))
    }

    /// A file of that directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether there is any state.
    pub fn has_any(&self) -> bool {
        fs::read_dir(self.at(KEPT)).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Where the state of a directory lies.
    pub fn place(&self, path: &str) -> PathBuf {
        self.at(KEPT).join(stored_name(path))
    }

    /// The same; where there is none yet, `image` is copied to it. Says whether it was.
    ///
    /// # Errors
    /// [`AgentError`]; then there is still none.
    pub fn directory(&self, path: &str, image: &Path) -> Result<(PathBuf, bool), AgentError> {
        let place = self.place(path);
        match fs::symlink_metadata(&place) {
            Ok(meta) if meta.is_dir() => return Ok((place, false)),
            Ok(_) => {
                let kind = io::ErrorKind::NotADirectory.into();
                return Err(AgentError::io("open", place)(kind));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AgentError::io("open", place)(error));
            }
            Err(_) => {}
        }
        let new = self.at(NEW);
        remove(&new)?;
        if image.is_dir() {
            hoopy_backup::copy(image, &new)?;
        } else {
            fs::create_dir(&new).map_err(AgentError::io("make", &new))?;
        }
        sync_all(&new)?;
        self.rename(&new, &place)?;
        Ok((place, true))
    }

    /// Puts a backup in place of the state, where one is there to be restored. Says whether one was.
    ///
    /// # Errors
    /// [`AgentError`]; then the state is as it was, and the next boot tries again.
    pub fn finish_restore(&self) -> Result<bool, AgentError> {
        let (restore, ready, restoring) = (self.at(RESTORE), self.at(READY), self.at(RESTORING));
        if !ready.exists() {
            if !restore.exists() {
                return Ok(false);
            }
            self.unpack(&restore, &restoring)?;
            self.rename(&restore, &ready)?;
        }
        if restoring.exists() {
            let (kept, before) = (self.at(KEPT), self.at(BEFORE));
            if kept.exists() {
                remove(&before)?;
                self.rename(&kept, &before)?;
            }
            self.rename(&restoring, &kept)?;
        }
        fs::remove_file(&ready).map_err(AgentError::io("remove", &ready))?;
        sync_dir(&ready).map_err(AgentError::io("write", &self.0))?;
        Ok(true)
    }

    fn unpack(&self, restore: &Path, restoring: &Path) -> Result<(), AgentError> {
        remove(restoring)?;
        let open = || File::open(restore).map_err(AgentError::io("read", restore));
        let manifest = hoopy_backup::check(open()?)?.manifest;
        DirBuilder::new().mode(0o755).create(restoring).map_err(AgentError::io("make", restoring))?;
        let unpacked = hoopy_backup::unpack(open()?, &manifest, restoring);
        if unpacked.is_err() {
            // It may be room that it lacks.
            let _ = remove(restoring);
        }
        unpacked?;
        sync_all(restoring)
    }

    /// Renames, and sees that the disk has it.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), AgentError> {
        let renamed = fs::rename(from, to).and_then(|()| sync_dir(to)).and_then(|()| sync_dir(from));
        renamed.map_err(AgentError::io("rename", from))
    }
}

/// Everything of this filesystem is on the disk.
fn sync_all(dir: &Path) -> Result<(), AgentError> {
    let synced = File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
    synced.map_err(AgentError::io("write", dir))
}

fn remove(dir: &Path) -> Result<(), AgentError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(AgentError::io("remove", dir)(error)),
        _ => Ok(()),
    }
}
