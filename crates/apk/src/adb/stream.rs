//! What a file of apk 3 holds, whichever way it is compressed.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::inflate::Inflate;
use super::{AdbError, MAGIC};

/// The largest window of zstd that is allocated: what `zstd` itself takes without being asked.
const MAX_WINDOW_LOG: u32 = 27;

/// The bytes from the schema on.
pub enum Stream<R: BufRead> {
    Plain(R),
    Deflate(Inflate<R>),
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
}

impl<R: BufRead> fmt::Debug for Stream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Deflate(_) => "Deflate",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl<R: BufRead> Stream<R> {
    /// Reads the magic, outside and in.
    pub fn open(mut inner: R) -> Result<Self, AdbError> {
        let mut stream = match magic(&mut inner)? {
            b'.' => return Ok(Self::Plain(inner)),
            b'd' => Self::Deflate(Inflate::new(inner)),
            _ => {
                let mut spec = [0; 2];
                inner.read_exact(&mut spec)?;
                match spec[0] {
                    0 => Self::Plain(inner),
                    1 => Self::Deflate(Inflate::new(inner)),
                    2 => Self::Zstd(Box::new(zstd_decoder(inner)?)),
                    other => return Err(AdbError::Compression(other)),
                }
            }
        };
        match magic(&mut stream)? {
            b'.' => Ok(stream),
            _ => Err(AdbError::Block("a file compressed twice")),
        }
    }

    /// Whether nothing is left, neither of the compressed stream nor behind it.
    pub fn at_end(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(inner) => Ok(inner.fill_buf()?.is_empty()),
            Self::Deflate(inflate) => inflate.at_end(),
            Self::Zstd(decoder) => {
                Ok(decoder.read(&mut [0])? == 0 && decoder.get_mut().fill_buf()?.is_empty())
            }
        }
    }
}

fn zstd_decoder<R: BufRead>(inner: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(inner)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// `ADB` and the letter behind it.
fn magic(from: &mut impl Read) -> Result<u8, AdbError> {
    let mut found = [0; 4];
    from.read_exact(&mut found)?;
    match found {
        [a, b, c, letter @ (b'.' | b'd' | b'c')] if [a, b, c] == *MAGIC => Ok(letter),
        _ => Err(AdbError::Magic(found)),
    }
}

impl<R: BufRead> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Deflate(inflate) => inflate.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
