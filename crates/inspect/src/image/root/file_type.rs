//! The types that a file can have.

use std::fmt;

use hoopy_cpio::file_type;

/// A file's type. As text it is what messages call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Not in [`file_type`], since no archive of ours has one.
const SOCKET: u32 = 0o140_000;

impl FileType {
    /// By the bits of a mode; none where Linux does not know them.
    pub const fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & file_type::MASK {
            file_type::DIR => Self::Dir,
            file_type::FILE => Self::File,
            file_type::SYMLINK => Self::Symlink,
            file_type::CHAR => Self::Char,
            file_type::BLOCK => Self::Block,
            file_type::FIFO => Self::Fifo,
            SOCKET => Self::Socket,
            _ => return None,
        })
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dir => "a directory",
            Self::File => "a file",
            Self::Symlink => "a symbolic link",
            Self::Char => "a character device",
            Self::Block => "a block device",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
        })
    }
}
