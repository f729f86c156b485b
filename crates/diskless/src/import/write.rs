//! The directory on disk. It is made beside its place and gets its name when it is whole: a kill or an error leaves
//! nothing half-written behind, and nothing that git sees ([`unfinished`](super::unfinished)). Where there is a directory already, it is
//! made within that, and moved out at the end, name by name: such a directory may be a filesystem of its own, or the one in which
//! the user's shell is. `hoopy.toml` is the last: what a power cut leaves halfway is no system, and has the rest in the hidden directory.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::atomic::{Readers, directory_of, replace_file, sync_dir};
use hoopy_base::beneath::Beneath;
use rustix::fs::{Mode, OFlags};

use super::draft::{RootFile, SystemDraft};
use super::unfinished::{self, Unfinished};

/// What makes a directory a system.
const LAST: &str = "hoopy.toml";

/// A directory in the making.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    to: PathBuf,
    /// Whether it was made within its place.
    within: bool,
    /// What its `.gitignore` will say.
    pub ignored: String,
    unfinished: Unfinished,
    _lock: fs::File,
}

/// A directory that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is there.
    #[error("{}: expected a new or an empty directory, found files in it", .0.display())]
    Exists(PathBuf),
    /// Half of an import is there.
    #[error(
        "{}: an import into it was ended while it moved its files there: expected a new or an empty directory", .0.display()
    )]
    Half(PathBuf),
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
    pub fn begin(to: &Path, unfinished: &Unfinished) -> Result<Self, WriteError> {
        let within = to.symlink_metadata().is_ok();
        if within {
            let entries = fs::read_dir(to).map_err(failed(to))?;
            let names = entries.collect::<Result<Vec<_>, _>>().map_err(failed(to))?;
            // The last one is of an ext filesystem that was just made.
            let is_fine = |name: &OsStr| name == ".git" || unfinished::is_name(name) || name == "lost+found";
            let has = |is: &dyn Fn(&OsStr) -> bool| names.iter().any(|entry| is(&entry.file_name()));
            if has(&|name| !is_fine(name)) {
                let is_half = has(&unfinished::is_name) && !has(&|name| name == LAST);
                return Err(if is_half { WriteError::Half } else { WriteError::Exists }(to.to_owned()));
            }
        }
        let place = if within { to } else { directory_of(to) };
        fs::create_dir_all(place).map_err(failed(place))?;
        let (dir, lock) = unfinished::begin(place, unfinished).map_err(failed(place))?;
        let (to, unfinished) = (to.to_owned(), unfinished.clone());
        Ok(Self { dir, to, within, ignored: String::new(), unfinished, _lock: lock })
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.dir
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

    /// Gives it its name. Its own `.gitignore` is there before anything that this has to hide.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn publish(self) -> Result<(), WriteError> {
        let (from, to) = (&self.dir, &self.to);
        fs::set_permissions(from, fs::Permissions::from_mode(0o755)).map_err(failed(from))?;
        sync(from).map_err(failed(from))?;
        let mut unfinished = self.unfinished.hold();
        if self.within {
            self.hide_secrets_in(to)?;
            let entries: io::Result<Vec<_>> = fs::read_dir(from).map_err(failed(from))?.collect();
            let mut names: Vec<_> =
                entries.map_err(failed(from))?.iter().map(fs::DirEntry::file_name).collect();
            names.sort_by_key(|name| name == LAST);
            for name in names.iter().filter(|name| *name != ".gitignore") {
                if name == LAST {
                    sync_dir(to).map_err(failed(to))?;
                }
                fs::rename(from.join(name), to.join(name)).map_err(failed(to))?;
            }
        } else {
            self.hide_secrets_in(from)?;
            fs::rename(from, to).map_err(failed(to))?;
            *unfinished = None;
        }
        sync_dir(to).map_err(failed(to))
    }

    /// Writes the `.gitignore` into `dir`.
    fn hide_secrets_in(&self, dir: &Path) -> Result<(), WriteError> {
        let path = dir.join(".gitignore");
        replace_file(&path, self.ignored.as_bytes(), Readers::Exactly(0o644)).map_err(failed(&path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(dir) = self.unfinished.hold().take() {
            let _ = fs::remove_dir_all(dir);
        }
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
