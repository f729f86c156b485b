//! Writing a file so that a kill or a power cut at any instant leaves the old one or the new one, whole:
//! write under a temporary name, sync, rename, sync the directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// A file being written. Dropped, it is removed; kept, it is on disk whole.
#[derive(Debug)]
pub struct Pending(NamedTempFile);

impl Pending {
    /// A new one in `dir`, which must be on the filesystem where it will be kept.
    ///
    /// # Errors
    /// What the system says.
    pub fn new_in(dir: &Path) -> io::Result<Self> {
        tempfile::Builder::new().prefix(".hoopy-").tempfile_in(dir).map(Self)
    }

    /// The file, to write to.
    pub fn file(&mut self) -> &mut File {
        self.0.as_file_mut()
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Syncs it and gives it its name, over whatever had that name.
    ///
    /// # Errors
    /// What the system says; the temporary file is removed then.
    pub fn keep(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.name(path)?;
        sync_dir(path)
    }

    /// Gives it its name, and leaves it to the system when it is written. A kill finds the old file or the new
    /// one; after a power cut it may be torn, so this is for what its reader checks and can make again.
    ///
    /// # Errors
    /// As [`Pending::keep`].
    pub fn name(self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        // tempfile makes files 0600: what is kept is for whoever may enter the directory.
        self.0.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        self.0.persist(path).map_err(|e| e.error)?;
        Ok(())
    }
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
