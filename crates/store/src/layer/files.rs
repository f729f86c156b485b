//! `root/` and `programs` as layers.
//!
//! Owner is root. Modes are whatever the caller makes of the files' own: git records only the execute bit, and what else
//! there is comes of the umask of whoever cloned.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hoopy_base::input;

use super::builder::Builder;
use super::stored::Layer;
use super::{BadPath, EntryPath, Kind};
use crate::{Store, StoreError};

/// Deeper trees than this are a mistake (a bind mount in a circle, say).
pub const MAX_DEPTH: usize = 128;

/// Files of the system directory that could not become a layer.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file could not be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name that an image cannot hold.
    #[error("{}: {source}", .path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        source: BadPath,
    },
    /// Neither file, directory nor symbolic link.
    #[error("{}: a socket, pipe or device: `root/` may hold files, directories and symbolic links", .0.display())]
    Special(PathBuf),
    /// `root/` is something else.
    #[error("{}: expected a directory, found another kind of file", .0.display())]
    NoDirectory(PathBuf),
    /// `root/` is a link to a place of this computer.
    #[error("{}: a link to {}, which is outside the system directory", .path.display(), .to.display())]
    LeadsOut {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// Directories nested too deep.
    #[error("{}: more than {MAX_DEPTH} directories deep", .0.display())]
    TooDeep(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file copied into the image.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The file on this machine.
    pub from: PathBuf,
    /// Its path in the image.
    pub to: EntryPath,
}

/// The mode in the image of a file or directory, by its path there and the mode that it has on this machine.
pub type ModeOf<'a> = &'a dyn Fn(&EntryPath, u32) -> u32;

/// The directory `root` as a layer.
///
/// # Errors
/// [`FilesError`].
pub fn skeleton(root: &Path, mode_of: ModeOf<'_>, mtime: u64, store: &Store) -> Result<Layer, FilesError> {
    let mut builder = Builder::new(store, mtime);
    if is_own_directory(root)? {
        walk(root, None, 0, mode_of, &mut builder)?;
    }
    Ok(builder.finish(store)?)
}

/// Whether there is a directory `root`. A link to one is as good, as long as it stays in the directory that holds the
/// link: a clone has nothing else, and `root -> /etc` would bring this computer's own files into the image.
fn is_own_directory(root: &Path) -> Result<bool, FilesError> {
    let io = |source| FilesError::Io { path: root.to_owned(), source };
    let kind = match fs::symlink_metadata(root) {
        Ok(found) => found.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io(e)),
    };
    if kind.is_symlink() {
        let dir = root.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let to = root.canonicalize().map_err(io)?;
        if !to.starts_with(dir.canonicalize().map_err(io)?) {
            return Err(FilesError::LeadsOut { path: root.to_owned(), to });
        }
    }
    if root.is_dir() { Ok(true) } else { Err(FilesError::NoDirectory(root.to_owned())) }
}

/// Files copied into the image, executable, as a layer.
///
/// # Errors
/// [`FilesError`].
pub fn copied<'a>(
    files: impl Iterator<Item = &'a Copied>,
    mtime: u64,
    store: &Store,
) -> Result<Layer, FilesError> {
    let mut builder = Builder::new(store, mtime);
    for file in files {
        add_file(&file.from, &file.to, 0o755, &mut builder)?;
    }
    Ok(builder.finish(store)?)
}

fn walk(
    dir: &Path,
    inside: Option<&EntryPath>,
    depth: usize,
    mode_of: ModeOf<'_>,
    builder: &mut Builder,
) -> Result<(), FilesError> {
    if depth > MAX_DEPTH {
        return Err(FilesError::TooDeep(dir.to_owned()));
    }
    let io = |source| FilesError::Io { path: dir.to_owned(), source };
    let mut names = fs::read_dir(dir)
        .map_err(io)?
        .map(|e| e.map(|e| e.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io)?;
    names.sort();
    for name in names {
        let path = dir.join(&name);
        let mut bytes = inside.map(|p| [p.as_bytes(), b"/"].concat()).unwrap_or_default();
        bytes.extend(name.as_bytes());
        let target =
            EntryPath::new(bytes).map_err(|source| FilesError::Path { path: path.clone(), source })?;
        add(&path, &target, depth, mode_of, builder)?;
    }
    Ok(())
}

fn add(
    path: &Path,
    target: &EntryPath,
    depth: usize,
    mode_of: ModeOf<'_>,
    builder: &mut Builder,
) -> Result<(), FilesError> {
    let io = |source| FilesError::Io { path: path.to_owned(), source };
    let meta = fs::symlink_metadata(path).map_err(io)?;
    let kind = meta.file_type();
    let mode = mode_of(target, meta.permissions().mode() & 0o7777);
    if kind.is_dir() {
        builder.add(target, Kind::Dir { opaque: false }, mode);
        walk(path, Some(target), depth + 1, mode_of, builder)
    } else if kind.is_symlink() {
        let link = fs::read_link(path).map_err(io)?;
        builder.add(target, Kind::Symlink(link.as_os_str().as_bytes().to_vec()), 0o777);
        Ok(())
    } else if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
        Err(FilesError::Special(path.to_owned()))
    } else {
        add_file(path, target, mode, builder)
    }
}

fn add_file(path: &Path, target: &EntryPath, mode: u32, builder: &mut Builder) -> Result<(), FilesError> {
    let io = |source| FilesError::Io { path: path.to_owned(), source };
    // Regular when it was looked at; by now it may be a pipe.
    let mut file = input::open(path).map_err(io)?;
    builder.add_file(target, mode, &mut file).map_err(io)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn root_is_a_directory_of_the_system_or_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        assert!(!is_own_directory(&root).unwrap());
        fs::create_dir(dir.path().join("files")).unwrap();
        symlink("files", &root).unwrap();
        assert!(is_own_directory(&root).unwrap());
        let refused = |target: &str| {
            fs::remove_file(&root).unwrap();
            symlink(target, &root).unwrap();
            is_own_directory(&root).unwrap_err()
        };
        assert!(matches!(refused("/etc"), FilesError::LeadsOut { .. }));
        assert!(matches!(refused(".."), FilesError::LeadsOut { .. }));
        assert!(matches!(refused("nothing"), FilesError::Io { .. }));
        fs::remove_file(&root).unwrap();
        fs::write(&root, "x").unwrap();
        assert!(matches!(is_own_directory(&root).unwrap_err(), FilesError::NoDirectory(_)));
    }
}
