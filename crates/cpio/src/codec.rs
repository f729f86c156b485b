//! How a segment is compressed: five ways, each such that the Linux kernel unpacks segments laid end to end.
//!
//! What the kernel asks of a member of the initramfs buffer, and what is done here about it:
//!
//! | codec  | one decoder call takes | chosen                                                               |
//! |--------|------------------------|----------------------------------------------------------------------|
//! | `zstd` | one frame              | window of 8 MiB at most (the kernel allocates it at boot); checksum on |
//! | `gzip` | one member             | no file name, time 0, system "unknown"                               |
//! | `xz`   | one stream             | CRC32 (the kernel has no CRC64 or SHA-256), 1 MiB dictionary, no filters |
//! | `lz4`  | legacy frames until a block of length zero | blocks of 8 MiB, four zero bytes at the end      |
//! | `none` | an archive             | the caller starts it at a multiple of 4 ([`crate::padding`])    |
//!
//! Invariant: the same bytes, size and codec give the same output on every machine. So there are no worker
//! threads (their number shows in zstd's output); cores are used by compressing segments side by side. And
//! data reaches the compressors in pieces of one size (how it is cut shows in deflate's output).
//!
//! Source of the constraints: Linux `init/initramfs.c`, `lib/decompress_*.c`, `lib/xz`, `usr/Kconfig`.

pub(crate) mod lz4;
mod zstd;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use lzma_rust2::{CheckType, XzOptions, XzWriter};

/// The kernel's decoder allocates the dictionary at boot; this is what the kernel's own build uses for it.
const XZ_DICTIONARY: u32 = 1 << 20;

/// How much a compressor is given at once. Part of the output's identity: see the invariant above.
const PIECE: usize = 128 << 10;

/// "Unknown" (RFC 1952): the building machine must not show.
const GZIP_SYSTEM: u8 = 255;

/// A way to compress a segment. Written `zstd:5`, `gzip:6`, `xz:6`, `lz4`, `none`; the level may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Zstandard.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: i32,
    },
    /// Deflate.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u32,
    },
    /// LZMA2.
    Xz {
        /// 0 (fast) to 9 (small).
        level: u32,
    },
    /// LZ4 in its legacy frame.
    Lz4,
    /// As it is.
    None,
}

/// A text that names no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// An unknown name.
    #[error("no compression is called {0:?}: expected zstd, gzip, xz, lz4, none or best")]
    Unknown(String),
    /// A level that it does not have.
    #[error("{name} has no level {level:?}: expected {lowest} to {highest}")]
    Level {
        /// Of the codec.
        name: &'static str,
        /// As written.
        level: String,
        /// The fastest.
        lowest: i32,
        /// The smallest.
        highest: i32,
    },
    /// A level for a codec without levels.
    #[error("{name} has no levels: write {name:?}")]
    NoLevels {
        /// Of the codec.
        name: &'static str,
    },
}

/// A kernel that cannot unpack a codec's output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this kernel cannot unpack an initramfs compressed with {codec}: its configuration lacks {option}=y; it can unpack {}",
    if able.is_empty() { "none at all".to_owned() } else { able.join(", ") }
)]
pub struct KernelCannotUnpack {
    /// The codec that was asked for.
    pub codec: Codec,
    /// What the kernel lacks.
    pub option: &'static str,
    /// Names of those which it can unpack.
    pub able: Vec<&'static str>,
}

impl Codec {
    /// One of each, at its usual level, the recommended first.
    pub const ALL: [Self; 5] =
        [Self::Zstd { level: 5 }, Self::Gzip { level: 6 }, Self::Xz { level: 6 }, Self::Lz4, Self::None];

    /// The same with little effort, where a level was not asked for that says that time does not matter.
    pub const fn hasty(self) -> Self {
        match self {
            Self::Zstd { level: 2..=9 } => Self::Zstd { level: 1 },
            other => other,
        }
    }

    /// Whether it takes about a second for a megabyte or two.
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Zstd { level: 16.. } | Self::Xz { .. })
    }

    /// Its name without a level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "zstd",
            Self::Gzip { .. } => "gzip",
            Self::Xz { .. } => "xz",
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }

    /// What its output starts with, and the kernel knows it by.
    pub const fn magic(self) -> &'static [u8] {
        match self {
            Self::Zstd { .. } => &[0x28, 0xB5, 0x2F, 0xFD],
            Self::Gzip { .. } => &[0x1F, 0x8B],
            Self::Xz { .. } => &[0xFD, b'7', b'z', b'X', b'Z', 0],
            Self::Lz4 => &lz4::MAGIC,
            Self::None => crate::MAGIC,
        }
    }

    /// The codec, at its usual level, whose output starts like `bytes`.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| bytes.starts_with(codec.magic()))
    }

    /// The kernel's build option without which it cannot unpack this.
    pub const fn kernel_option(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "CONFIG_RD_ZSTD",
            Self::Gzip { .. } => "CONFIG_RD_GZIP",
            Self::Xz { .. } => "CONFIG_RD_XZ",
            Self::Lz4 => "CONFIG_RD_LZ4",
            Self::None => "CONFIG_BLK_DEV_INITRD",
        }
    }

    /// Whether a kernel built with this configuration (its `/boot/config-*`) unpacks this.
    ///
    /// # Errors
    /// When it does not; the error says what it could unpack.
    pub fn check_kernel_config(self, config: &str) -> Result<(), KernelCannotUnpack> {
        let has = |codec: Self| {
            let set = |line: &str| line.trim_end().strip_suffix("=y") == Some(codec.kernel_option());
            config.lines().any(set)
        };
        if has(self) {
            return Ok(());
        }
        let able = Self::ALL.into_iter().filter(|&codec| has(codec)).map(Self::name).collect();
        Err(KernelCannotUnpack { codec: self, option: self.kernel_option(), able })
    }

    /// Compresses what is written to the encoder into `output`, as one member of the initramfs.
    ///
    /// `size` is how much that will be, where it is known: zstd then takes no more window and time than so
    /// much needs, which is what makes small segments cheap (4 KiB at level 19: 1.5 ms, not 67), and a
    /// different amount is an error. It shows in the output: always give it, or never.
    ///
    /// # Errors
    /// When the encoder cannot be made, or the output fails.
    pub fn encode<W: Write>(self, output: W, size: Option<u64>) -> io::Result<Encoder<W>> {
        let inner = match self {
            Self::Zstd { level } => Inner::Zstd(zstd::encoder(output, level, size)?),
            Self::Gzip { level } => {
                let header = GzBuilder::new().mtime(0).operating_system(GZIP_SYSTEM);
                Inner::Gzip(header.write(output, Compression::new(level)))
            }
            Self::Xz { level } => {
                let mut options = XzOptions::with_preset(level);
                options.set_check_sum_type(CheckType::Crc32);
                options.lzma_options.dict_size = XZ_DICTIONARY;
                Inner::Xz(Box::new(XzWriter::new(output, options)?))
            }
            Self::Lz4 => Inner::Lz4(lz4::Encoder::new(output)?),
            Self::None => Inner::None(output),
        };
        Ok(Encoder { inner, pending: Vec::with_capacity(PIECE) })
    }
}

/// Smaller than gzip at its usual level in a third of the time (26 MB of an installed system, its modules left out:
/// 10.8 MB in 0.5 s against 11.4 MB in 1.6 s); level 19 saves another 12% in 30 times as long.
impl Default for Codec {
    fn default() -> Self {
        Self::Zstd { level: 5 }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Zstd { level } => write!(f, ":{level}"),
            Self::Gzip { level } | Self::Xz { level } => write!(f, ":{level}"),
            Self::Lz4 | Self::None => Ok(()),
        }
    }
}

impl FromStr for Codec {
    type Err = CodecError;

    fn from_str(text: &str) -> Result<Self, CodecError> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let known = Self::ALL.into_iter().find(|codec| codec.name() == name);
        let codec = known.ok_or_else(|| CodecError::Unknown(text.to_owned()))?;
        level.map_or(Ok(codec), |level| codec.at_level(level))
    }
}

impl Codec {
    fn at_level(self, text: &str) -> Result<Self, CodecError> {
        let name = self.name();
        let within = |lowest: i32, highest: i32| {
            let level = text.parse().ok().filter(|level| (lowest..=highest).contains(level));
            level.ok_or_else(|| CodecError::Level { name, level: text.to_owned(), lowest, highest })
        };
        Ok(match self {
            Self::Zstd { .. } => Self::Zstd { level: within(1, 22)? },
            Self::Gzip { .. } => Self::Gzip { level: within(1, 9)?.unsigned_abs() },
            Self::Xz { .. } => Self::Xz { level: within(0, 9)?.unsigned_abs() },
            Self::Lz4 | Self::None => return Err(CodecError::NoLevels { name }),
        })
    }
}

/// Compresses what is written to it. Without [`finish`](Self::finish) its output is cut short.
pub struct Encoder<W: Write> {
    inner: Inner<W>,
    /// What the compressor has not been given yet, less than a [`PIECE`].
    pending: Vec<u8>,
}

enum Inner<W: Write> {
    Zstd(::zstd::stream::write::Encoder<'static, W>),
    Gzip(GzEncoder<W>),
    Xz(Box<XzWriter<W>>),
    Lz4(lz4::Encoder<W>),
    None(W),
}

impl<W: Write> Encoder<W> {
    /// Writes what is left and gives back the output, which is not flushed.
    ///
    /// # Errors
    /// When the output fails, or the size that was promised is not the size that came.
    pub fn finish(mut self) -> io::Result<W> {
        self.pass_on()?;
        match self.inner {
            Inner::Zstd(encoder) => encoder.finish(),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Xz(encoder) => encoder.finish(),
            Inner::Lz4(encoder) => encoder.finish(),
            Inner::None(output) => Ok(output),
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let compressor: &mut dyn Write = match &mut self.inner {
            Inner::Zstd(encoder) => encoder,
            Inner::Gzip(encoder) => encoder,
            Inner::Xz(encoder) => encoder,
            Inner::Lz4(encoder) => encoder,
            Inner::None(output) => output,
        };
        compressor.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(PIECE - self.pending.len());
        self.pending.extend_from_slice(data.get(..taken).unwrap_or_default());
        if self.pending.len() == PIECE {
            self.pass_on()?;
        }
        Ok(taken)
    }

    /// Does nothing: a flush in the middle would show in the output.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
