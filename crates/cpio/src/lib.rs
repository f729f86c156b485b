//! The `newc` archive, the one form of cpio that the Linux kernel unpacks as its initramfs.
//!
//! ```text
//! archive  entry* trailer                     always a multiple of 4 bytes long
//! entry    header | name NUL | 0..3 NUL | data | 0..3 NUL
//! header   "070701" and 13 numbers of 8 hexadecimal digits: 110 bytes
//! trailer  an entry named "TRAILER!!!" with nothing in it
//! ```
//!
//! Everything is aligned to 4 *in the buffer that the kernel is given*, which is why an uncompressed archive
//! may only start at such an offset ([`padding`] says how many zero bytes lead there); the archives written
//! here are a multiple of 4 themselves, so that they can stand end to end. A decompressed archive counts from
//! its own start.
//!
//! Names are bytes. The format has no extended attributes, and 32 bits for sizes and times.
//!
//! Source of the format: Linux `Documentation/driver-api/early-userspace/buffer-format.rst` and
//! `init/initramfs.c`.

pub mod codec;
mod read;
pub mod unpack;
mod write;

pub use read::{Entry, ReadError, Reader};
pub use write::{WriteError, Writer};

/// What a header starts with.
pub const MAGIC: &[u8; 6] = b"070701";

/// What it starts with where its last number is a sum over the file's data, as some writers have it.
pub const MAGIC_WITH_SUM: &[u8; 6] = b"070702";

/// The name of the entry that ends an archive. The kernel forgets its hard links here.
pub const TRAILER: &[u8] = b"TRAILER!!!";

/// The kernel's `PATH_MAX`: it silently skips an entry whose name, its NUL counted, or whose link target is
/// longer.
pub const PATH_MAX: usize = 4096;

/// What a header and the data after it are aligned to.
pub const ALIGNMENT: u64 = 4;

/// Magic and 13 numbers of 8 digits.
const HEADER_LEN: usize = 6 + 13 * 8;

/// The file types that a header's `mode` carries above its permission bits (`inode(7)`).
pub mod file_type {
    /// The bits of a mode which hold the type.
    pub const MASK: u32 = 0o170_000;
    /// A named pipe.
    pub const FIFO: u32 = 0o010_000;
    /// A character device.
    pub const CHAR: u32 = 0o020_000;
    /// A directory.
    pub const DIR: u32 = 0o040_000;
    /// A block device.
    pub const BLOCK: u32 = 0o060_000;
    /// A regular file.
    pub const FILE: u32 = 0o100_000;
    /// A symbolic link; its target is its data.
    pub const SYMLINK: u32 = 0o120_000;
}

/// What an archive says of one file, its size apart. The archive's own device number is always 0:0, so hard
/// links are files of one archive with the same `ino`, the same type and `nlink` of 2 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header<'a> {
    /// The path, without a leading slash.
    pub name: &'a [u8],
    /// Inode number: counts only for hard links.
    pub ino: u32,
    /// [File type](file_type) and permission bits.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// How many names the file has in this archive.
    pub nlink: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Major and minor number of a device file.
    pub rdev: (u32, u32),
}

/// The length of a trailer, which is that of an archive without entries.
pub const TRAILER_LEN: u64 = entry_len(TRAILER.len(), 0);

/// How long an entry is with its padding, for a name and data of so many bytes: an archive's length is that of
/// its entries and [`TRAILER_LEN`], and can be known before it is written.
pub const fn entry_len(name: usize, size: u64) -> u64 {
    let named = (HEADER_LEN + name + 1) as u64;
    named + padding(named) as u64 + size + padding(size) as u64
}

/// How many zero bytes lead from `offset` to the next place where an archive, a header or data may start.
pub const fn padding(offset: u64) -> usize {
    // Less than `ALIGNMENT`, so it fits.
    (offset.wrapping_neg() % ALIGNMENT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_leads_to_the_next_multiple_of_four() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
        assert_eq!(padding(u64::MAX), 1);
    }
}
