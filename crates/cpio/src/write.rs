//! Writing an archive, entry by entry, to anything that takes bytes.
//!
//! Invariant: what `finish` returned without an error is an archive that the kernel unpacks whole. All that it
//! would skip without a word (names too long, ...) is refused here.

use std::io::{self, Write};

use crate::{ALIGNMENT, HEADER_LEN, Header, MAGIC, PATH_MAX, TRAILER, file_type, padding};

/// An entry that the format, or the kernel, has no room for; or output that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A size over 32 bits.
    #[error("{name}: {size} bytes; a file in an initramfs holds at most {max}", max = u32::MAX)]
    TooLarge {
        /// The entry.
        name: String,
        /// In bytes.
        size: u64,
    },
    /// A path longer than the kernel takes.
    #[error("{name}: a path of {len} bytes; the kernel takes at most {max}", max = PATH_MAX - 1)]
    NameTooLong {
        /// The entry.
        name: String,
        /// In bytes.
        len: usize,
    },
    /// A symbolic link whose target is empty or longer than the kernel takes.
    #[error("{name}: a link target of {size} bytes; the kernel takes 1 to {max}", max = PATH_MAX - 1)]
    BadTarget {
        /// The entry.
        name: String,
        /// In bytes.
        size: u64,
    },
    /// An empty name, one with a NUL in it, or the trailer's.
    #[error("{0:?} cannot be the name of a file in a cpio archive")]
    BadName(String),
    /// Less data than the entry's size.
    #[error("{name}: {missing} bytes short of the size that was announced")]
    Short {
        /// The entry.
        name: String,
        /// In bytes.
        missing: u64,
    },
    /// More data than the entry's size.
    #[error("{name}: more data than the size that was announced")]
    Long {
        /// The entry.
        name: String,
    },
    /// The output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes an archive. After [`entry`](Self::entry), exactly its size of data goes in through [`Write`]; then
/// the next entry, and at the end [`finish`](Self::finish). An archive in which a call failed is not usable.
///
/// Small writes reach the output as they are: give it a buffer of its own.
pub struct Writer<W> {
    output: W,
    position: u64,
    /// The entry that data belongs to, for messages.
    name: Vec<u8>,
    /// Bytes of data that are still to come.
    remaining: u64,
}

impl<W: Write> Writer<W> {
    /// An archive that starts where `output` stands.
    pub fn new(output: W) -> Self {
        Self { output, position: 0, name: Vec::new(), remaining: 0 }
    }

    /// Starts an entry with `size` bytes of data to follow. A symbolic link's data is its target; of files that
    /// are hard links of each other, one carries the data and the others have size 0.
    ///
    /// # Errors
    /// When the entry before has not got all its data, when this one does not fit the format, and when the
    /// output fails.
    pub fn entry(&mut self, header: &Header<'_>, size: u64) -> Result<(), WriteError> {
        self.close_entry()?;
        let size = check(header, size)?;
        self.header(header, size)?;
        self.name.clear();
        self.name.extend_from_slice(header.name);
        self.remaining = size.into();
        Ok(())
    }

    /// Ends the archive and gives back the output, which is not flushed.
    ///
    /// # Errors
    /// When the last entry has not got all its data, and when the output fails.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.close_entry()?;
        self.header(&Header { name: TRAILER, nlink: 1, ..Header::default() }, 0)?;
        Ok(self.output)
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn close_entry(&mut self) -> Result<(), WriteError> {
        if self.remaining != 0 {
            return Err(WriteError::Short { name: lossy(&self.name), missing: self.remaining });
        }
        Ok(self.align()?)
    }

    fn header(&mut self, header: &Header<'_>, size: u32) -> io::Result<()> {
        let (rdev_major, rdev_minor) = header.rdev;
        // `check` has bounded the name.
        let name_len = header.name.len() as u32 + 1;
        let mut bytes = Vec::with_capacity(HEADER_LEN + header.name.len() + 1 + ALIGNMENT as usize);
        bytes.extend_from_slice(MAGIC);
        #[rustfmt::skip]
        let fields = [
            header.ino, header.mode, header.uid, header.gid, header.nlink, header.mtime, size,
            0, 0, rdev_major, rdev_minor, name_len, 0,
        ];
        for field in fields {
            write!(bytes, "{field:08X}")?;
        }
        bytes.extend_from_slice(header.name);
        bytes.push(0);
        self.put(&bytes)?;
        self.align()
    }

    fn align(&mut self) -> io::Result<()> {
        let zeros = [0; ALIGNMENT as usize];
        self.put(zeros.get(..padding(self.position)).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    /// Data of the entry last started; more than its size is an error that wraps [`WriteError::Long`].
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() as u64 > self.remaining {
            return Err(io::Error::other(WriteError::Long { name: lossy(&self.name) }));
        }
        let written = self.output.write(data)?;
        self.position += written as u64;
        self.remaining -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn check(header: &Header<'_>, size: u64) -> Result<u32, WriteError> {
    let name = || lossy(header.name);
    if header.name.is_empty() || header.name == TRAILER || header.name.contains(&0) {
        return Err(WriteError::BadName(name()));
    }
    if header.name.len() >= PATH_MAX {
        return Err(WriteError::NameTooLong { name: name(), len: header.name.len() });
    }
    let is_link = header.mode & file_type::MASK == file_type::SYMLINK;
    if is_link && !(1..PATH_MAX as u64).contains(&size) {
        return Err(WriteError::BadTarget { name: name(), size });
    }
    u32::try_from(size).map_err(|_| WriteError::TooLarge { name: name(), size })
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{TRAILER_LEN, entry_len};

    fn file(name: &[u8]) -> Header<'_> {
        Header { name, mode: file_type::FILE | 0o644, nlink: 1, ..Header::default() }
    }

    fn refusal(header: &Header<'_>, size: u64) -> String {
        Writer::new(Vec::new()).entry(header, size).unwrap_err().to_string()
    }

    #[test]
    fn an_archive_is_as_long_as_foretold_and_a_multiple_of_four() {
        for len in 0..9 {
            let mut writer = Writer::new(Vec::new());
            writer.entry(&file(&vec![b'n'; len + 1]), len as u64).unwrap();
            writer.write_all(&vec![b'd'; len]).unwrap();
            let written = writer.finish().unwrap().len() as u64;
            assert_eq!(written, entry_len(len + 1, len as u64) + TRAILER_LEN);
            assert_eq!(written % 4, 0);
        }
    }

    #[test]
    fn names_the_file_that_is_too_large() {
        assert_eq!(
            refusal(&file(b"var/big"), 1 << 32),
            "var/big: 4294967296 bytes; a file in an initramfs holds at most 4294967295"
        );
    }

    #[test]
    fn refuses_names_that_the_kernel_would_skip_or_misread() {
        assert!(refusal(&file(b""), 0).contains("cannot be the name"));
        assert!(refusal(&file(b"a\0b"), 0).contains("cannot be the name"));
        assert!(refusal(&file(b"TRAILER!!!"), 0).contains("cannot be the name"));
        assert!(refusal(&file(&[b'n'; 4096]), 0).contains("at most 4095"));
        assert!(Writer::new(Vec::new()).entry(&file(&[b'n'; 4095]), 0).is_ok());
    }

    #[test]
    fn refuses_link_targets_that_the_kernel_would_skip() {
        let link = Header { mode: file_type::SYMLINK | 0o777, ..file(b"l") };
        assert!(refusal(&link, 4096).contains("1 to 4095"));
        assert!(refusal(&link, 0).contains("1 to 4095"));
    }

    #[test]
    fn the_announced_size_is_exact() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&file(b"a"), 3).unwrap();
        assert!(writer.write_all(b"four").unwrap_err().to_string().contains("a: more data"));
        writer.write_all(b"12").unwrap();
        assert_eq!(
            writer.entry(&file(b"b"), 0).unwrap_err().to_string(),
            "a: 1 bytes short of the size that was announced"
        );
    }
}
