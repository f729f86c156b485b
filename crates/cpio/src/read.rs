//! Reading archives that stand end to end, from any source: nothing in them is trusted.
//!
//! Reading is streaming, and never allocates more than one name. Like the kernel it skips zero bytes between
//! archives; at a byte that starts no archive (a compressed member, say) it stops without consuming it.

use std::io::{self, BufRead, Read};

use crate::{HEADER_LEN, Header, MAGIC, MAGIC_WITH_SUM, PATH_MAX, TRAILER, padding};

/// Bytes that are not an archive. Offsets count from where the reader started.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something else where a header should be.
    #[error("no newc header at byte {offset}: expected \"070701\", found \"{}\"", found.escape_ascii())]
    BadMagic {
        /// Where.
        offset: u64,
        /// What stands there.
        found: [u8; 6],
    },
    /// A header's number that is not 8 hexadecimal digits.
    #[error("the header at byte {offset} has \"{}\" for its {field}: not 8 hexadecimal digits", found.escape_ascii())]
    BadNumber {
        /// Where the header starts.
        offset: u64,
        /// Which.
        field: &'static str,
        /// What stands there.
        found: [u8; 8],
    },
    /// A name of an impossible length, or without its NUL.
    #[error(
        "the header at byte {offset} has a name of {len} bytes: expected 2 to {PATH_MAX} that end in NUL"
    )]
    BadName {
        /// Where the header starts.
        offset: u64,
        /// Its length as announced, NUL included.
        len: u32,
    },
    /// An archive that starts where the kernel would not see it.
    #[error("an archive at byte {offset}, which is not a multiple of 4")]
    Misaligned {
        /// Where.
        offset: u64,
    },
    /// The bytes end before the trailer.
    #[error("the archive ends at byte {offset}, before its trailer")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// The source failed.
    #[error(transparent)]
    Io(io::Error),
}

/// An entry as it stands in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path, without its NUL.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u32,
    /// [File type](crate::file_type) and permission bits.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// How many names the file says it has.
    pub nlink: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Bytes of data.
    pub size: u32,
    /// Major and minor number of the device it was on.
    pub dev: (u32, u32),
    /// Major and minor number of a device file.
    pub rdev: (u32, u32),
    /// Which of the archives it is in, from 0.
    pub archive: u32,
}

impl Entry {
    /// The entry as a [`Writer`](crate::Writer) takes it.
    pub fn header(&self) -> Header<'_> {
        Header {
            name: &self.name,
            ino: self.ino,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            nlink: self.nlink,
            mtime: self.mtime,
            rdev: self.rdev,
        }
    }
}

/// Reads archives. After [`next_entry`](Self::next_entry) the entry's data comes out through [`Read`]; what is
/// not read of it is skipped.
pub struct Reader<R> {
    input: R,
    position: u64,
    /// Bytes of the current entry's data that are still to be read.
    remaining: u64,
    in_archive: bool,
    archive: u32,
    /// Whether it stops behind the first trailer.
    single: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads what `input` has from where it stands, which counts as offset 0.
    pub fn new(input: R) -> Self {
        Self { input, position: 0, remaining: 0, in_archive: false, archive: 0, single: false }
    }

    /// The same, and stops directly behind the first trailer, so that whoever splits a buffer knows where each
    /// archive ends.
    pub fn single(input: R) -> Self {
        Self { single: true, ..Self::new(input) }
    }

    /// The next entry, or nothing at the end of the input or before a byte that starts no archive: then
    /// [`into_inner`](Self::into_inner) stands there. Trailers are not reported.
    ///
    /// # Errors
    /// When what stands there is not an entry, or the source fails.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        self.skip(self.remaining)?;
        self.remaining = 0;
        loop {
            if self.in_archive {
                self.skip(padding(self.position) as u64)?;
            } else if self.single && self.archive > 0 || !self.find_archive()? {
                return Ok(None);
            }
            let entry = self.entry()?;
            if entry.name != TRAILER {
                self.remaining = entry.size.into();
                return Ok(Some(entry));
            }
            // A trailer has no data; one that claims some is skipped over like any entry's.
            self.skip(entry.size.into())?;
            self.in_archive = false;
            self.archive = self.archive.saturating_add(1);
        }
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The source, where reading stopped.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Skips zero bytes; whether an archive follows them.
    fn find_archive(&mut self) -> Result<bool, ReadError> {
        loop {
            let buffer = self.input.fill_buf().map_err(ReadError::Io)?;
            let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
            let next = buffer.get(zeros).copied();
            let ended = buffer.is_empty();
            self.input.consume(zeros);
            self.position += zeros as u64;
            match next {
                Some(b'0') if padding(self.position) != 0 => {
                    return Err(ReadError::Misaligned { offset: self.position });
                }
                Some(b'0') => {
                    self.in_archive = true;
                    return Ok(true);
                }
                Some(_) => return Ok(false),
                None if ended => return Ok(false),
                None => {}
            }
        }
    }

    fn entry(&mut self) -> Result<Entry, ReadError> {
        let offset = self.position;
        let magic = self.array::<6>()?;
        // A sum over the data, where there is one, is passed over.
        if &magic != MAGIC && &magic != MAGIC_WITH_SUM {
            return Err(ReadError::BadMagic { offset, found: magic });
        }
        let mut number = |field| {
            let found = self.array::<8>()?;
            hexadecimal(&found).ok_or(ReadError::BadNumber { offset, field, found })
        };
        let (ino, mode) = (number("inode")?, number("mode")?);
        let (uid, gid) = (number("user")?, number("group")?);
        let (nlink, mtime, size) = (number("link count")?, number("time")?, number("size")?);
        let dev = (number("device (major)")?, number("device (minor)")?);
        let rdev = (number("device file (major)")?, number("device file (minor)")?);
        let name_len = number("name length")?;
        number("checksum")?;
        let name = self.name(offset, name_len)?;
        let archive = self.archive;
        Ok(Entry { name, ino, mode, uid, gid, nlink, mtime, size, dev, rdev, archive })
    }

    /// A name and the padding behind it. More than one NUL is allowed: some writers align data that way.
    fn name(&mut self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError> {
        let bad = || ReadError::BadName { offset, len };
        let usable = usize::try_from(len).ok().filter(|len| (2..=PATH_MAX).contains(len));
        let mut name = vec![0; usable.ok_or_else(bad)?];
        self.exact(&mut name)?;
        let end = name.iter().position(|&byte| byte == 0).ok_or_else(bad)?;
        let padded = name.get(end..).unwrap_or_default();
        if end == 0 || padded.iter().any(|&byte| byte != 0) {
            return Err(bad());
        }
        name.truncate(end);
        self.skip(padding(self.position) as u64)?;
        Ok(name)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        const { assert!(N <= HEADER_LEN) };
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Truncated { offset: self.position },
            _ => ReadError::Io(error),
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<(), ReadError> {
        while count > 0 {
            let available = self.input.fill_buf().map_err(ReadError::Io)?.len();
            if available == 0 {
                return Err(ReadError::Truncated { offset: self.position });
            }
            let step = usize::try_from(count).map_or(available, |count| count.min(available));
            self.input.consume(step);
            self.position += step as u64;
            count -= step as u64;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Reader<R> {
    /// Data of the entry last returned; an input that ends before it is `UnexpectedEof`.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.remaining).map_or(into.len(), |left| left.min(into.len()));
        let read = self.input.read(into.get_mut(..want).unwrap_or_default())?;
        if read == 0 && want != 0 {
            let error = ReadError::Truncated { offset: self.position };
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        self.position += read as u64;
        self.remaining -= read as u64;
        Ok(read)
    }
}

/// Digits only: `from_str_radix` alone would take a sign.
fn hexadecimal(digits: &[u8; 8]) -> Option<u32> {
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16)?;
    }
    Some(value)
}
