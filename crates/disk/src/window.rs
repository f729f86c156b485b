//! A range of a file as a file of its own: what is written to a partition stays in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

/// A range of a file. It has no cursor in common with the file, and reading and writing end at its end.
#[derive(Debug, Clone)]
pub struct Window<'a> {
    file: &'a File,
    start: u64,
    size: u64,
    position: u64,
}

impl<'a> Window<'a> {
    /// The `size` bytes of `file` from `start` on.
    pub fn new(file: &'a File, start: u64, size: u64) -> Self {
        Self { file, start, size, position: 0 }
    }

    /// How many bytes of `wanted` are left from the position on.
    fn left(&self, wanted: usize) -> usize {
        wanted.min(usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left(buffer.len());
        let buffer = buffer.get_mut(..left).unwrap_or_default();
        let read = self.file.read_at(buffer, self.start.saturating_add(self.position))?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..self.left(bytes.len())).unwrap_or_default();
        let written = self.file.write_at(bytes, self.start.saturating_add(self.position))?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let outside =
            || io::Error::new(io::ErrorKind::InvalidInput, "a place before the start of the partition");
        self.position = position.ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_outside_of_it() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let mut window = Window::new(&file, 2, 5);
        let mut text = String::new();
        window.read_to_string(&mut text).unwrap();
        assert_eq!(text, "23456");
        window.seek(SeekFrom::End(-2)).unwrap();
        assert!(window.write_all(b"abc").is_err());
        let mut all = [0; 10];
        file.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all, b"01234ab789");
        assert!(window.seek(SeekFrom::Current(-99)).is_err());
    }
}
