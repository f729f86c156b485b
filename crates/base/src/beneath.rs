//! Writing below a directory, never out of it, whatever paths say and whatever lies there: directories are walked by
//! descriptor (`openat` with `O_NOFOLLOW`), so that a symbolic link in the way is refused, also one that somebody puts
//! there meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A directory to write below.
#[derive(Debug)]
pub struct Beneath {
    top: OwnedFd,
    /// With what rights directories are made.
    mode: Mode,
}

impl Beneath {
    /// Opens `top`; directories below it are made with `mode`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(top: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { top: rustix::fs::open(top, flags, Mode::empty())?, mode: Mode::from_raw_mode(mode) })
    }

    /// The directory at `path`, made with all above it.
    ///
    /// # Errors
    /// When something else is in the way.
    pub fn directory(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut dir = self.top.try_clone()?;
        for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            // The tree has no such names; whoever changes it must not make this write elsewhere.
            if name == b".." || name == b"." {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            match rustix::fs::mkdirat(&dir, name, self.mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            dir = rustix::fs::openat(&dir, name, flags, Mode::empty()).map_err(|e| match e {
                Errno::LOOP | Errno::NOTDIR => in_the_way(),
                other => other.into(),
            })?;
        }
        Ok(dir)
    }

    /// The directory that `path` is in, and its name there.
    ///
    /// # Errors
    /// When something else is in the way.
    pub fn place<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
        let cut = path.iter().rposition(|&byte| byte == b'/');
        let (above, name) = cut.map_or((&b""[..], path), |cut| (&path[..cut], &path[cut + 1..]));
        Ok((self.directory(above)?, name))
    }
}

fn in_the_way() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "a symbolic link or a file is where a directory must be")
}
