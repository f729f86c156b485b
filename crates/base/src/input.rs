//! Files that a user wrote: read whole, and no further than such a file can be.
//!
//! A system directory comes from git, and may be somebody else's. A `hoopy.toml` that is a link to `/dev/zero` has no
//! end, and one that is a FIFO never begins: so only regular files are read, up to a limit of their kind.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::size;

/// Which kind of file it is, and so how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Written by hand: `hoopy.toml`, `packages`, `fstab`. The longest are some hundred lines.
    Text,
    /// A script, which may bring data in itself: `setup.sh`.
    Script,
}

impl Kind {
    /// The most that is read.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Text => 1 << 20,
            Self::Script => 64 << 20,
        }
    }
}

/// Opens a regular file; whatever else has its name is refused, without waiting for it.
///
/// # Errors
/// What opening fails with; [`io::ErrorKind::InvalidInput`] where it is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a file, found a device, pipe or socket",
        ));
    }
    Ok(file)
}

/// Reads a file whole.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] where it is larger than such a file can be.
pub fn read(path: &Path, kind: Kind) -> io::Result<Vec<u8>> {
    read_up_to(path, kind.limit())
}

/// Reads a file of at most `limit` bytes whole.
///
/// # Errors
/// As [`read`].
pub fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A file may grow while it is read.
    open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it is larger than {}, more than such a file can have", size::show(limit));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Reads a text whole.
///
/// # Errors
/// As [`read`]; [`io::ErrorKind::InvalidData`] where it is not UTF-8.
pub fn read_text(path: &Path, kind: Kind) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read(path, kind)?).map_err(not_text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_has_no_end_or_never_begins_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink("/dev/zero", at("zero")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        for name in ["zero", "fifo", "socket", "sparse", "none", "."] {
            let error = read(&at(name), Kind::Text).unwrap_err();
            assert!(name == "none" || !error.to_string().is_empty(), "{name}: {error}");
        }
        std::fs::write(at("text"), "a\n").unwrap();
        symlink("text", at("link")).unwrap();
        assert_eq!(read_text(&at("link"), Kind::Text).unwrap(), "a\n");
        assert_eq!(read_up_to(&at("text"), 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
