//! Writing a file so that a kill or a power cut at any instant leaves the old one or the new one, whole:
//! write under a temporary name, sync, rename, sync the directory.
//!
//! Until a file has its name, only its owner can read it; then whoever [`Readers`] says. A file with a secret in it is
//! never open to others, not even while it is empty: whoever opens an empty file can read what comes later.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use tempfile::NamedTempFile;

/// Who may read a file once it has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone: it holds what others may not read.
    Owner,
    /// Whoever the umask allows.
    Umask,
    /// Whoever the umask allows, but nobody who may not read a file with this mode, which it was made from.
    AtMost(u32),
    /// As this mode says, whatever the umask: in a directory that several users share.
    Exactly(u32),
}

impl Readers {
    /// Those of the file `path`, for what is made from it.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Ok(Self::AtMost(fs::metadata(path)?.mode() & 0o777))
    }

    /// The mode of a file for them in `dir`.
    fn mode(self, dir: &Path) -> io::Result<u32> {
        match self {
            Self::Owner => Ok(PRIVATE),
            Self::Umask => new_mode(dir, NEW),
            Self::AtMost(mode) => Ok(new_mode(dir, NEW)? & (mode | PRIVATE)),
            Self::Exactly(mode) => Ok(mode),
        }
    }
}

/// What the owner alone may read and write.
const PRIVATE: u32 = 0o600;

/// What programs ask for when they make a file that runs nothing.
const NEW: u32 = 0o666;

/// What becomes of `mode` where a new file in `dir` asks for it: the umask and the directory's default ACL (acl(5)) count.
/// An empty file without a name is made to find out, since no process can read its umask without changing it.
///
/// # Errors
/// When no file can be made there.
pub fn new_mode(dir: &Path, mode: u32) -> io::Result<u32> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let meta = match rustix::fs::open(dir, flags, Mode::from_raw_mode(mode)) {
        Ok(fd) => File::from(fd).metadata()?,
        Err(_) => {
            let permissions = fs::Permissions::from_mode(mode);
            let named = tempfile::Builder::new().prefix(PREFIX).permissions(permissions).tempfile_in(dir)?;
            named.as_file().metadata()?
        }
    };
    Ok(meta.mode() & 0o777)
}

/// A file being written. Dropped, it is gone; kept, it is there whole. Where the filesystem can (open(2),
/// `O_TMPFILE`), it has no name before that, and so no kill can leave it behind.
#[derive(Debug)]
pub struct Pending(Inner);

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
        match rustix::fs::open(dir, flags, Mode::from_raw_mode(PRIVATE)) {
            Ok(fd) if Path::new("/proc/self/fd").is_dir() => {
                Ok(Self(Inner::Unnamed { file: fd.into(), dir: dir.to_owned() }))
            }
            _ => {
                let named = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)?;
                Ok(Self(Inner::Named(named)))
            }
        }
    }

    /// The file, to write to.
    pub fn file(&mut self) -> &mut File {
        match &mut self.0 {
            Inner::Unnamed { file, .. } => file,
            Inner::Named(named) => named.as_file_mut(),
        }
    }

    /// Syncs it and gives it its name, over whatever had that name.
    ///
    /// # Errors
    /// What the system says; the file is gone then.
    pub fn keep(mut self, path: &Path, readers: Readers) -> io::Result<()> {
        self.file().sync_all()?;
        self.name(path, readers)?;
        sync_dir(path)
    }

    /// Gives it its name, and leaves it to the system when it is written. A kill finds the old file or the new
    /// one; after a power cut it may be torn, so this is for what its reader checks and can make again.
    ///
    /// # Errors
    /// As [`Pending::keep`].
    pub fn name(mut self, path: &Path, readers: Readers) -> io::Result<()> {
        if readers != Readers::Owner {
            let mode = readers.mode(directory_of(path))?;
            self.file().set_permissions(fs::Permissions::from_mode(mode))?;
        }
        match self.0 {
            Inner::Named(named) => named.persist(path).map(drop).map_err(|e| e.error),
            Inner::Unnamed { file, dir } => match link(&file, path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => replace(&file, &dir, path),
                result => result,
            },
        }
    }
}

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
    File::open(directory_of(path))?.sync_all()
}

/// The directory that `path` is in: for a bare name, the working directory.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `bytes` to `path` in place of what it held.
///
/// # Errors
/// What the system says; `path` is as it was then.
pub fn replace_file(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut pending = Pending::new_in(directory_of(path))?;
    pending.file().write_all(bytes)?;
    pending.keep(path, readers)
}

/// Writes `bytes` to `path` for those who could read what it held; a new file is for whoever the umask allows.
///
/// # Errors
/// As [`replace_file`].
pub fn edit_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let readers = before.map_or(Readers::Umask, |meta| Readers::Exactly(meta.mode() & 0o777));
    replace_file(path, bytes, readers)
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
            replace_file(&path, text.as_bytes(), Readers::Umask).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["f"]);
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_has_the_readers_that_it_is_kept_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        // What this process' umask makes of it
        fs::write(dir.path().join("new"), "").unwrap();
        let new = mode(&dir.path().join("new"));
        let cases = [
            (Readers::Umask, new),
            (Readers::Owner, 0o600),
            (Readers::AtMost(0o600), 0o600),
            (Readers::AtMost(0o640), new & 0o640 | 0o600),
            (Readers::AtMost(0o755), new & 0o755 | 0o600),
            (Readers::Exactly(0o664), 0o664),
        ];
        for (readers, expected) in cases {
            replace_file(&path, b"x", readers).unwrap();
            assert_eq!(mode(&path), expected, "{readers:?}");
        }
    }

    #[test]
    fn an_edited_file_keeps_its_readers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace_file(&path, b"x", Readers::Owner).unwrap();
        edit_file(&path, b"y").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"y".to_vec()));
    }

    #[test]
    fn only_the_owner_can_read_a_file_that_is_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut unnamed = Pending::new_in(dir.path()).unwrap();
        let mut named = Pending(Inner::Named(tempfile::NamedTempFile::new_in(dir.path()).unwrap()));
        for pending in [&mut unnamed, &mut named] {
            assert_eq!(pending.file().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }
}
