//! Writing an archive: ustar, with a PAX header before an entry that needs one.

use std::io::{self, Write};

use super::header::{self, Block, put_number, put_text};
use super::{BLOCK, Entry, Kind, pax};

/// Largest number that seven octal digits hold.
const MAX_SMALL: u32 = 0o7_777_777;

/// Writes entries in order. After [`Writer::entry`] it takes the entry's data, exactly as many bytes as it has.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    left: u64,
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// An archive that begins where `inner` is.
    pub fn new(inner: W) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// Begins an entry.
    ///
    /// # Errors
    /// When the last one's data is not complete, or what `inner` fails with.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.pad()?;
        let extended = extended(entry);
        if !extended.is_empty() {
            let mut block = blank(b"PaxHeaders", b'x', extended.len() as u64);
            seal(&mut block);
            self.inner.write_all(&block)?;
            self.begin(extended.len() as u64);
            self.write_all(&extended)?;
            self.pad()?;
        }
        let mut block = block(entry);
        seal(&mut block);
        self.inner.write_all(&block)?;
        if let Kind::File(size) = entry.kind {
            self.begin(size);
        }
        Ok(())
    }

    /// Ends the archive, with its end-of-archive blocks or, for a control member, without.
    ///
    /// # Errors
    /// When the last entry's data is not complete, or what `inner` fails with.
    pub fn finish(mut self, end: bool) -> io::Result<W> {
        self.pad()?;
        if end {
            self.inner.write_all(&[0; 2 * BLOCK])?;
        }
        Ok(self.inner)
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
    }

    fn pad(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file is shorter than its entry says",
            ));
        }
        self.inner.write_all(&[0; BLOCK][..self.padding])?;
        self.padding = 0;
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file is longer than its entry says"));
        }
        let n = self.inner.write(bytes)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn extended(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    if entry.path.len() > header::NAME.len() {
        pax::put(&mut out, b"path", &entry.path);
    }
    if let Kind::Symlink(target) | Kind::Hardlink(target) = &entry.kind
        && target.len() > header::LINK.len()
    {
        pax::put(&mut out, b"linkpath", target);
    }
    for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
        if id > MAX_SMALL {
            pax::put(&mut out, key, id.to_string().as_bytes());
        }
    }
    if let Some(sha1) = &entry.sha1 {
        pax::put(&mut out, b"APK-TOOLS.checksum.SHA1", data_encoding::HEXLOWER.encode(sha1).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        pax::put(&mut out, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    out
}

fn blank(name: &[u8], kind: u8, size: u64) -> Block {
    let mut block = [0; BLOCK];
    put_text(&mut block, header::NAME, name);
    put_text(&mut block, header::MAGIC, b"ustar\x0000");
    block[header::TYPE] = kind;
    put_number(&mut block, header::SIZE, size);
    for field in [header::MODE, header::UID, header::GID, header::MTIME, header::MAJOR, header::MINOR] {
        put_number(&mut block, field, 0);
    }
    block
}

fn block(entry: &Entry) -> Block {
    let (kind, size, link, device): (u8, u64, &[u8], (u32, u32)) = match &entry.kind {
        Kind::File(size) => (b'0', *size, b"", (0, 0)),
        Kind::Hardlink(target) => (b'1', 0, target, (0, 0)),
        Kind::Symlink(target) => (b'2', 0, target, (0, 0)),
        Kind::Char(major, minor) => (b'3', 0, b"", (*major, *minor)),
        Kind::Block(major, minor) => (b'4', 0, b"", (*major, *minor)),
        Kind::Dir => (b'5', 0, b"", (0, 0)),
        Kind::Fifo => (b'6', 0, b"", (0, 0)),
        Kind::Sparse(size) => (header::SPARSE, *size, b"", (0, 0)),
    };
    let mut block = blank(&entry.path, kind, size);
    put_text(&mut block, header::LINK, link);
    put_number(&mut block, header::MODE, entry.mode.into());
    put_number(&mut block, header::UID, entry.uid.min(MAX_SMALL).into());
    put_number(&mut block, header::GID, entry.gid.min(MAX_SMALL).into());
    put_number(&mut block, header::MTIME, entry.mtime);
    put_number(&mut block, header::MAJOR, device.0.into());
    put_number(&mut block, header::MINOR, device.1.into());
    put_text(&mut block, header::UNAME, entry.uname.as_bytes());
    put_text(&mut block, header::GNAME, entry.gname.as_bytes());
    block
}

fn seal(block: &mut Block) {
    let sum = format!("{:06o}\0 ", header::checksum(block));
    block[header::CHECKSUM].copy_from_slice(sum.as_bytes());
}
