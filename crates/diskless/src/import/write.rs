//! The directory on disk. It is made beside its place and gets its name when it is whole: a kill or an error leaves
//! nothing half-written behind.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::atomic::{directory_of, sync_dir};
use hoopy_base::beneath::Beneath;
use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use super::draft::{RootFile, SystemDraft};

/// A directory in the making.
#[derive(Debug)]
pub struct Staging {
    dir: TempDir,
    to: PathBuf,
}

/// A directory that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is there.
    #[error("{}: expected a new or an empty directory, found files in it", .0.display())]
    Exists(PathBuf),
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> WriteError + '_ {
    |source| WriteError::Io { path: path.to_owned(), source }
}

impl Staging {
    /// Begins the directory `to`: it is new, or has nothing in it but git's own.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn begin(to: &Path) -> Result<Self, WriteError> {
        if to.symlink_metadata().is_ok() {
            let entries = fs::read_dir(to).map_err(failed(to))?;
            let names = entries.collect::<Result<Vec<_>, _>>().map_err(failed(to))?;
            if names.iter().any(|entry| entry.file_name() != ".git") {
                return Err(WriteError::Exists(to.to_owned()));
            }
        }
        let parent = directory_of(to);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let dir =
            tempfile::Builder::new().prefix(".hoopy-import-").tempdir_in(parent).map_err(failed(parent))?;
        Ok(Self { dir, to: to.to_owned() })
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of the directory itself.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn file(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::write(&path, bytes).map_err(failed(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed(&path))
    }

    /// Writes `root/`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn root(&self, draft: &SystemDraft) -> Result<(), WriteError> {
        let root = self.path().join("root");
        fs::create_dir_all(&root).map_err(failed(&root))?;
        let beneath = Beneath::open(&root, 0o755).map_err(failed(&root))?;
        for (path, file) in &draft.files {
            write(&beneath, path.as_bytes(), file).map_err(failed(&root.join(path.as_path())))?;
        }
        for (path, target) in &draft.links {
            let made = beneath
                .place(path.as_bytes())
                .and_then(|(dir, name)| Ok(rustix::fs::symlinkat(target.as_slice(), dir, name)?));
            made.map_err(failed(&root.join(path.as_path())))?;
        }
        Ok(())
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn publish(self) -> Result<(), WriteError> {
        let to = self.to;
        let from = self.dir.path().to_owned();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o755)).map_err(failed(&from))?;
        sync(&from).map_err(failed(&from))?;
        if to.join(".git").symlink_metadata().is_ok() {
            let entries = fs::read_dir(&from).map_err(failed(&from))?;
            for entry in entries {
                let name = entry.map_err(failed(&from))?.file_name();
                fs::rename(from.join(&name), to.join(&name)).map_err(failed(&to))?;
            }
        } else {
            // Over an empty directory, too.
            fs::rename(&from, &to).map_err(failed(&to))?;
            let _ = self.dir.keep();
        }
        sync_dir(&to).map_err(failed(&to))
    }
}

fn write(beneath: &Beneath, path: &[u8], file: &RootFile) -> io::Result<()> {
    let (dir, name) = beneath.place(path)?;
    // What git does not keep of a mode is in [modes]; a secret is for this user alone.
    let mode = match file {
        RootFile { ignored: true, mode, .. } if mode & 0o111 != 0 => 0o700,
        RootFile { ignored: true, .. } => 0o600,
        RootFile { mode, .. } if mode & 0o111 != 0 => 0o755,
        _ => 0o644,
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode))?;
    let mut to = fs::File::from(to);
    to.set_permissions(fs::Permissions::from_mode(mode))?;
    to.write_all(&file.content.read()?)
}

/// Syncs the filesystem that `dir` is on: one call instead of one a file.
fn sync(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(dir)?)?)
}
