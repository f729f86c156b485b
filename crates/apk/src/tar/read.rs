//! Reading an archive as a stream: a header, then its data, then the next header.

use std::io::{self, Read};

use super::header::{self, Block};
use super::pax::Extended;
use super::{BLOCK, Entry, Kind, MAX_EXTENDED, MAX_NAME, TarError, shown};

/// Reads entries in order. Between two calls of [`Reader::next`] it is itself the reader of the entry's data.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Bytes of the current entry's data still to come, and of its padding.
    left: u64,
    padding: u64,
    position: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// An archive that begins where `inner` is.
    pub fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0, position: 0, ended: false }
    }

    /// The stream, after all that has been read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next entry; what is left of the last one's data is passed over. `None` at the end of the stream or
    /// at an end-of-archive block.
    ///
    /// # Errors
    /// [`TarError`].
    #[expect(clippy::should_implement_trait, reason = "it fails, and its data is read in between")]
    pub fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extended = Extended::default();
        loop {
            self.skip()?;
            let at = self.position;
            let Some(block) = self.block()? else { return Ok(None) };
            if block.iter().all(|&b| b == 0) {
                self.ended = true;
                return Ok(None);
            }
            if header::number(&block, header::CHECKSUM, "checksum").ok() != Some(header::checksum(&block)) {
                return Err(TarError::Checksum(at));
            }
            let size = header::number(&block, header::SIZE, "size")?;
            match block[header::TYPE] {
                b'x' => extended.parse(&self.extended(size)?)?,
                b'g' => drop(self.extended(size)?),
                b'L' => extended.path = Some(c_string(self.extended(size)?)),
                b'K' => extended.link = Some(c_string(self.extended(size)?)),
                _ => return self.entry(&block, size, extended).map(Some),
            }
        }
    }

    /// Whether an end-of-archive block has come. An archive without one may be the first half of another.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    fn entry(&mut self, block: &Block, size: u64, mut extended: Extended) -> Result<Entry, TarError> {
        let mut path = extended.sparse_name.take().or(extended.path.take()).unwrap_or_else(|| name(block));
        let is_dir_name = path.last() == Some(&b'/');
        while path.last() == Some(&b'/') {
            path.pop();
        }
        let link = extended.link.take().unwrap_or_else(|| header::text(block, header::LINK).to_vec());
        if let Some(long) = [path.len(), link.len()].into_iter().find(|&l| l > MAX_NAME) {
            return Err(TarError::NameTooLong(long));
        }
        let size = extended.size.unwrap_or(size);
        let kind = self.kind(block, &path, link, size, is_dir_name)?;
        let small = |field, name| {
            let number = header::number(block, field, name)?;
            u32::try_from(number).map_err(|_| TarError::Number(shown(&path), name))
        };
        let mut entry = Entry {
            mode: small(header::MODE, "mode")? & 0o7777,
            uid: small(header::UID, "uid")?,
            gid: small(header::GID, "gid")?,
            uname: shown(header::text(block, header::UNAME)),
            gname: shown(header::text(block, header::GNAME)),
            mtime: header::number(block, header::MTIME, "mtime")?,
            path,
            kind,
            xattrs: Default::default(),
            sha1: None,
        };
        if let (Kind::File(size), true) = (&entry.kind, extended.sparse) {
            entry.kind = Kind::Sparse(*size);
        }
        extended.apply(&mut entry)?;
        if block[header::TYPE] == header::SPARSE {
            self.skip_map(block)?;
        }
        if let Kind::File(size) | Kind::Sparse(size) = entry.kind {
            self.expect(size);
        }
        Ok(entry)
    }

    /// Passes over the blocks of a sparse file's map that do not fit into its header.
    fn skip_map(&mut self, block: &Block) -> Result<(), TarError> {
        let mut more = block[header::MORE_MAP] != 0;
        while more {
            let map = self.block()?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            more = map[header::MORE_MAP_BEHIND_MAP] != 0;
        }
        Ok(())
    }

    fn kind(
        &self,
        block: &Block,
        path: &[u8],
        link: Vec<u8>,
        size: u64,
        dir: bool,
    ) -> Result<Kind, TarError> {
        let device = |field, name| {
            let number = header::number(block, field, name)?;
            u32::try_from(number).map_err(|_| TarError::Number(shown(path), name))
        };
        Ok(match block[header::TYPE] {
            0 | b'0' | b'7' if dir => Kind::Dir,
            0 | b'0' | b'7' => Kind::File(size),
            b'1' => Kind::Hardlink(link),
            b'2' => Kind::Symlink(link),
            b'3' => Kind::Char(device(header::MAJOR, "major")?, device(header::MINOR, "minor")?),
            b'4' => Kind::Block(device(header::MAJOR, "major")?, device(header::MINOR, "minor")?),
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            header::SPARSE => Kind::Sparse(size),
            other => return Err(TarError::Kind(shown(path), other.into())),
        })
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn extended(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENDED {
            return Err(TarError::ExtendedTooLong(size));
        }
        self.expect(size);
        let mut bytes = vec![0; size as usize];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let rest = self.left.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())?;
        self.position += skipped;
        // The last file's padding is cut off where the archive's end is.
        if skipped < self.left {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// The next block, or `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                n => filled += n,
            }
        }
        self.position += BLOCK as u64;
        Ok(Some(block))
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let n = self.inner.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        self.position += n as u64;
        Ok(n)
    }
}

fn name(block: &Block) -> Vec<u8> {
    let name = header::text(block, header::NAME);
    let prefix = header::text(block, header::PREFIX);
    // GNU's own format (`ustar  `) has other things where ustar has the prefix.
    if prefix.is_empty() || &block[header::MAGIC] != b"ustar\x0000" {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
    bytes
}
