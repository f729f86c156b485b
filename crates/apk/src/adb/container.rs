//! The blocks of a file: the database and its signatures first, then the contents of files.
//!
//! A block is a header of 4 bytes (two bits of type, then the size with the header), or of 16 for large ones (type
//! 3, the real type, the size in 64 bits), the payload, and zeros up to a multiple of 8.

use std::io::{self, BufRead, Read};

use sha2::{Digest as _, Sha256, Sha512};

use super::AdbError;
use super::stream::Stream;

/// The database of Alpine's largest index is under 20 MB, a package's under 1 MB.
pub const MAX_ADB: u64 = 64 << 20;

/// A package is signed by its builder and perhaps its distribution.
pub const MAX_SIGNATURES: usize = 16;

/// `ADB_MAX_SIGNATURE_LEN` of apk-tools.
const MAX_SIGNATURE: u64 = 2048;

/// The header of the database: version, reserved, root value.
pub const HEADER: usize = 8;

/// The types of blocks, in the two upper bits of their header.
const ADB: u32 = 0;
const SIG: u32 = 1;
const DATA: u32 = 2;
const EXTENDED: u32 = 3;

/// What the payload of a block is padded to, together with its header.
const ALIGNMENT: u64 = 8;

/// What a file describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Index,
    Package,
}

impl Schema {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "indx",
            Self::Package => "pckg",
        }
    }
}

/// What trust in a file is decided on: the digests of its database, and who signed them.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The schema, which signatures cover as well.
    pub schema: [u8; 4],
    /// What an index knows a package by.
    pub sha256: [u8; 32],
    /// What signatures are over.
    pub sha512: [u8; 64],
    /// The payloads of the blocks SIG.
    pub signatures: Vec<Vec<u8>>,
}

/// The blocks DATA, still to be read.
#[derive(Debug)]
pub struct Blocks<R: BufRead> {
    stream: Stream<R>,
    /// Bytes of the current payload still to come, and of its padding.
    left: u64,
    padding: u64,
    /// A block DATA whose header has been read.
    ahead: bool,
}

/// Reads up to the first block DATA: the database, not yet looked at, and what is needed to decide on it.
pub fn open<R: BufRead>(reader: R, schema: Schema) -> Result<(Vec<u8>, Seal, Blocks<R>), AdbError> {
    let mut stream = Stream::open(reader)?;
    let mut found = [0; 4];
    stream.read_exact(&mut found)?;
    if found != *schema.as_str().as_bytes() {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(AdbError::Schema { expected: schema.as_str(), found });
    }
    let mut blocks = Blocks { stream, left: 0, padding: 0, ahead: false };
    if blocks.header()? != Some(ADB) {
        return Err(AdbError::Block("the first one is not the database"));
    }
    if blocks.left > MAX_ADB {
        return Err(AdbError::TooLarge(blocks.left));
    }
    let adb = blocks.payload()?;
    match adb.first() {
        _ if adb.len() < HEADER => return Err(AdbError::Block("a database without a header")),
        Some(0) => {}
        other => return Err(AdbError::Version(other.copied().unwrap_or_default())),
    }
    let mut signatures = Vec::new();
    loop {
        match blocks.header()? {
            None => break,
            Some(SIG) if signatures.len() >= MAX_SIGNATURES || blocks.left > MAX_SIGNATURE => {
                return Err(AdbError::Signatures);
            }
            Some(SIG) => signatures.push(blocks.payload()?),
            Some(DATA) => {
                blocks.ahead = true;
                break;
            }
            Some(_) => return Err(AdbError::Block("a block that is neither a signature nor data")),
        }
    }
    let (sha256, sha512) = (Sha256::digest(&adb).into(), Sha512::digest(&adb).into());
    Ok((adb, Seal { schema: found, sha256, sha512, signatures }, blocks))
}

impl<R: BufRead> Blocks<R> {
    /// Begins the next block DATA: which file it is (its directory's number, its own) and how many bytes. `None`
    /// at the end.
    pub fn next_data(&mut self) -> Result<Option<(u32, u32, u64)>, AdbError> {
        if !std::mem::take(&mut self.ahead) {
            match self.header()? {
                None => return Ok(None),
                Some(DATA) => {}
                Some(_) => return Err(AdbError::Block("something else between the data of files")),
            }
        }
        let mut head = [0; 8];
        self.left = self.left.checked_sub(8).ok_or(AdbError::Block("data that do not say whose they are"))?;
        self.stream.read_exact(&mut head)?;
        let [a, b, c, d, e, f, g, h] = head;
        Ok(Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]), self.left)))
    }

    /// Whether the file ends here.
    pub fn at_end(&mut self) -> Result<bool, AdbError> {
        self.skip()?;
        Ok(!self.ahead && self.stream.at_end()?)
    }

    /// Passes over what is left of the current block and reads the next one's header: its type.
    fn header(&mut self) -> Result<Option<u32>, AdbError> {
        self.skip()?;
        let mut head = [0; 4];
        match self.stream.read(&mut head[..1])? {
            0 => return Ok(None),
            _ => self.stream.read_exact(&mut head[1..])?,
        }
        let word = u32::from_le_bytes(head);
        let (kind, size, header) = if word >> 30 == EXTENDED {
            let mut rest = [0; 12];
            self.stream.read_exact(&mut rest)?;
            let [_, _, _, _, size @ ..] = rest;
            (word & 0x3fff_ffff, u64::from_le_bytes(size), 16)
        } else {
            (word >> 30, u64::from(word & 0x3fff_ffff), 4)
        };
        self.left = size.checked_sub(header).ok_or(AdbError::Block("one smaller than its own header"))?;
        self.padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
        Ok(Some(kind))
    }

    /// The payload, whose size has been checked. It grows as it is read, since a size can lie.
    fn payload(&mut self) -> Result<Vec<u8>, AdbError> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), AdbError> {
        if self.ahead {
            return Ok(());
        }
        io::copy(self, &mut io::sink())?;
        let mut padding = [0; ALIGNMENT as usize];
        let length = std::mem::take(&mut self.padding) as usize;
        Ok(self.stream.read_exact(padding.get_mut(..length).unwrap_or_default())?)
    }
}

impl<R: BufRead> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        // What lies ahead is not begun yet: it is not the content of a file that has none.
        if want == 0 || self.ahead {
            return Ok(0);
        }
        let n = self.stream.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}
