//! Decompressing one member of an initramfs, such that the input stands exactly behind it afterwards: the next one
//! starts there.
//!
//! Source of the constraints: Linux `init/initramfs.c`, `lib/decompress.c` (magics), `lib/decompress_*.c`.

use std::io::{self, BufRead, Read};

use crate::codec::lz4;
use lz4_flex::block::decompress_into;
use lzma_rust2::XzReader;
use serde::Serialize;

/// How a member is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    None,
    /// Deflate.
    Gzip,
    /// Zstandard.
    Zstd,
    /// LZMA2.
    Xz,
    /// LZ4's legacy frames.
    Lz4,
}

/// What the kernel knows members by: its own table, of which these two bytes are all that it looks at.
const MAGICS: [([u8; 2], Result<Packing, &str>); 8] = [
    ([0x1F, 0x8B], Ok(Packing::Gzip)),
    ([0x1F, 0x9E], Ok(Packing::Gzip)),
    ([0x42, 0x5A], Err("bzip2")),
    ([0x5D, 0x00], Err("lzma")),
    ([0xFD, 0x37], Ok(Packing::Xz)),
    ([0x89, 0x4C], Err("lzo")),
    ([0x02, 0x21], Ok(Packing::Lz4)),
    ([0x28, 0xB5], Ok(Packing::Zstd)),
];

/// The largest window that the kernel allocates for zstd (`ZSTD_WINDOWLOG_MAX` of `lib/decompress_unzstd.c`).
const ZSTD_WINDOW_LOG: u32 = 27;

/// The same for a dictionary of xz, and what the decoder needs beside it, in KiB.
const XZ_MEMORY_KIB: u32 = (128 << 10) + 1024;

impl Packing {
    /// How what starts like `bytes` is compressed; a name where it is, and hoopy cannot read it; nothing where no
    /// kernel could.
    pub fn of(bytes: &[u8]) -> Option<Result<Self, &'static str>> {
        MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, packing)| *packing)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
        }
    }

    /// What is in the member at which `input` stands. Read to its end, it has consumed the member and no more.
    ///
    /// # Errors
    /// When the decoder cannot be made.
    pub fn decode<'a, R: BufRead + 'a>(self, input: R) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Xz => Box::new(XzReader::new_mem_limit(input, false, XZ_MEMORY_KIB)),
            Self::Lz4 => Box::new(Lz4::new(input)),
        })
    }
}

/// Reads legacy frames: to a block of length zero, as the kernel does, or to the end of the input.
struct Lz4<R> {
    input: R,
    packed: Vec<u8>,
    block: Vec<u8>,
    /// How much of the block was given out, and how much it holds.
    given: usize,
    filled: usize,
    ended: bool,
}

impl<R: BufRead> Lz4<R> {
    fn new(input: R) -> Self {
        Self { input, packed: Vec::new(), block: Vec::new(), given: 0, filled: 0, ended: false }
    }

    /// The next block's length. Another frame may begin anywhere between blocks.
    fn length(&mut self) -> io::Result<Option<usize>> {
        loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(None);
            }
            let mut word = [0; 4];
            self.input.read_exact(&mut word)?;
            match u32::from_le_bytes(word) {
                0 => return Ok(None),
                _ if word == lz4::MAGIC => {}
                len if len as usize <= lz4_flex::block::get_maximum_output_size(lz4::BLOCK) => {
                    return Ok(Some(len as usize));
                }
                len => {
                    let message = format!("an lz4 block of {len} bytes, more than 8 MiB can become");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let Some(len) = self.length()? else {
            self.ended = true;
            return Ok(());
        };
        self.packed.resize(len, 0);
        self.input.read_exact(&mut self.packed)?;
        self.block.resize(lz4::BLOCK, 0);
        let bad = |e| io::Error::new(io::ErrorKind::InvalidData, format!("a damaged lz4 block: {e}"));
        self.filled = decompress_into(&self.packed, &mut self.block).map_err(bad)?;
        self.given = 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.filled && !self.ended {
            self.fill()?;
        }
        let held = self.block.get(self.given..self.filled).unwrap_or_default();
        let count = held.len().min(into.len());
        if let (Some(into), Some(held)) = (into.get_mut(..count), held.get(..count)) {
            into.copy_from_slice(held);
        }
        self.given += count;
        Ok(count)
    }
}

/// Passes through what a member unpacks to, counted, and no more than a bound: a few kilobytes can unpack to
/// terabytes.
pub struct Bounded<R> {
    inner: R,
    /// Bytes that passed.
    pub passed: u64,
    bound: u64,
}

impl<R: Read> Bounded<R> {
    /// Lets `bound` bytes pass.
    pub fn new(inner: R, bound: u64) -> Self {
        Self { inner, passed: 0, bound }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.passed += read as u64;
        if self.passed > self.bound {
            return Err(io::Error::new(io::ErrorKind::InvalidData, BOMB));
        }
        Ok(read)
    }
}

/// What is said where the bound is passed.
pub const BOMB: &str = "it unpacks to more than any machine has memory for";
