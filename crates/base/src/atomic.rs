//! Writing a file so that a kill or a power cut at any instant leaves the old one or the new one, whole:
//! write under a temporary name, sync, rename, sync the directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use tempfile::NamedTempFile;

/// A file being written. Dropped, it is gone; kept, it is there whole. Where the filesystem can (open(2),
/// `O_TMPFILE`), it has no name before that, and so no kill can leave it behind.
#[derive(Debug)]
pub struct Pending {
    inner: Inner,
    /// Its rights once it has its name.
    mode: u32,
}

#[derive(Debug)]
enum Inner {
    Unnamed { file: File, dir: PathBuf },
    Named(NamedTempFile),
}

impl Pending {
    /// A new one in `dir`, which must be on the filesystem where it will be kept.
    ///
    /// # Errors
    /// What the system says.
    pub fn new_in(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(dir, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) if Path::new("/proc/self/fd").is_dir() => {
                Ok(Self { inner: Inner::Unnamed { file: fd.into(), dir: dir.to_owned() }, mode: FOR_ALL })
            }
            _ => {
                let named = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)?;
                Ok(Self { inner: Inner::Named(named), mode: FOR_ALL })
            }
        }
    }

    /// The file, to write to.
    pub fn file(&mut self) -> &mut File {
        match &mut self.inner {
            Inner::Unnamed { file, .. } => file,
            Inner::Named(named) => named.as_file_mut(),
        }
    }

    /// Says what rights it gets with its name. Until then it is its owner's alone.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = mode;
    }

    /// Syncs it and gives it its name, over whatever had that name.
    ///
    /// # Errors
    /// What the system says; the file is gone then.
    pub fn keep(mut self, path: &Path) -> io::Result<()> {
        self.file().sync_all()?;
        self.name(path)?;
        sync_dir(path)
    }

    /// Gives it its name, and leaves it to the system when it is written. A kill finds the old file or the new
    /// one; after a power cut it may be torn, so this is for what its reader checks and can make again.
    ///
    /// # Errors
    /// As [`Pending::keep`].
    pub fn name(mut self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(self.mode);
        self.file().set_permissions(mode)?;
        match self.inner {
            Inner::Named(named) => named.persist(path).map(drop).map_err(|e| e.error),
            Inner::Unnamed { file, dir } => match link(&file, path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => replace(&file, &dir, path),
                result => result,
            },
        }
    }
}

/// What is kept is for whoever may enter the directory, unless it is said.
const FOR_ALL: u32 = 0o644;

/// What a temporary name begins with.
const PREFIX: &str = ".hoopy-";

/// Gives `file` the name `path`, which must be free.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// A link cannot replace a name, a rename can.
fn replace(file: &File, dir: &Path, path: &Path) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let other = dir.join(format!("{PREFIX}{}-{count}", std::process::id()));
    // One of a killed process that had the same number.
    let _ = fs::remove_file(&other);
    link(file, &other)?;
    fs::rename(&other, path).inspect_err(|_| {
        let _ = fs::remove_file(&other);
    })
}

/// Makes the names in the directory of `path` durable: a rename is not, until its directory is synced.
///
/// # Errors
/// What the system says.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

/// Writes `bytes` to `path` in place of what it held.
///
/// # Errors
/// What the system says; `path` is as it was then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut pending = Pending::new_in(dir)?;
    pending.file().write_all(bytes)?;
    pending.keep(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn what_is_dropped_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut pending = Pending::new_in(dir.path()).unwrap();
        pending.file().write_all(b"half").unwrap();
        drop(pending);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn what_is_kept_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for text in ["first", "second"] {
            replace_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["f"]);
    }
}
