//! Reading below a directory without leaving it: no symbolic link is followed, and only regular files are read.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags};

/// Opens the directory `path` below `root`.
///
/// # Errors
/// What the system says; also where a link is on the way.
pub fn directory(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut dir = root.try_clone()?;
    for part in path.components() {
        match part {
            Component::Normal(name) => dir = rustix::fs::openat(&dir, name, flags, Mode::empty())?,
            Component::CurDir => {}
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(dir)
}

/// The regular file `path` below `root`, of which `limit` bytes are read at most.
///
/// # Errors
/// What the system says; also where it is something else, or a link is on the way.
pub fn read(root: &OwnedFd, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let dir = directory(root, path.parent().unwrap_or(Path::new("")))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir.as_fd(), name, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
