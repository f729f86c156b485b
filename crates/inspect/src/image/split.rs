//! Splitting an initramfs into its members, as the kernel's unpacker goes through the buffer.
//!
//! ```text
//! buffer   (zero* member)* zero*
//! member   a raw archive, at a multiple of 4 | archives, compressed together as one gzip member, zstd frame, ...
//! ```
//!
//! Each is a segment here. At the first error the kernel stops, and keeps what it has; so does this.
//!
//! Source of the format: Linux `init/initramfs.c` (`unpack_to_rootfs`).

use std::io::{self, BufRead as _, BufReader, Read};

use hoopy_base::digest::ContentId;
use hoopy_cpio::{Entry, ReadError, Reader, file_type};
use serde::Serialize;

use super::source::Source;
use hoopy_cpio::unpack::{Bounded, Packing};

/// What an initramfs may hold. What is beyond is no system that a machine could boot, but could fill the memory of
/// the one that inspects it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes unpacked, all segments together.
    pub unpacked: u64,
    /// Entries, all segments together.
    pub entries: u64,
    /// Bytes of names and link targets, all segments together.
    pub names: u64,
    /// Segments.
    pub segments: usize,
}

impl Default for Limits {
    /// 32 GiB in two million files with 256 MiB of names: ten times the largest distribution's rescue system, in
    /// half a gigabyte of memory at the very worst.
    fn default() -> Self {
        Self { unpacked: 32 << 30, entries: 2_000_000, names: 256 << 20, segments: 65_536 }
    }
}

/// A member of the initramfs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Where it starts, counted from the start of the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub size: u64,
    /// How it is compressed.
    pub codec: Packing,
    /// Its bytes unpacked.
    pub unpacked: u64,
    /// How many entries it has.
    pub entries: u64,
    /// SHA-256 of its bytes in the file.
    pub sha256: ContentId,
    /// What it holds, as the image or its package database says: `musl-1.2.5-r21`. Small packages share a segment.
    /// Empty where nothing says.
    pub origins: Vec<String>,
}

/// Where, and why, the initramfs cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("the initramfs cannot be unpacked from byte {offset} of the file on: {why}")]
pub struct Stopped {
    /// Where the segment starts, counted from the start of the file.
    pub offset: u64,
    /// Why.
    pub why: SplitError,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Neither an archive nor compressed.
    #[error("expected a cpio archive, plain or compressed, found {}", .0.escape_ascii())]
    Magic(Vec<u8>),
    /// A raw archive where the kernel does not look for one.
    #[error("expected an uncompressed archive at a multiple of 4, found one at byte {0} of the initramfs")]
    Misaligned(u64),
    /// A codec of the kernel's that is not read.
    #[error("compressed with {0}, which hoopy cannot read")]
    Codec(&'static str),
    /// Something behind the archives of a compressed member.
    #[error("expected an archive after byte {0} of the unpacked data")]
    Junk(u64),
    /// More than [`Limits`].
    #[error("more than {0}, too much for a system that boots")]
    TooMuch(String),
    /// A path that the kernel would make and hoopy does not.
    #[error("{}: {why}", String::from_utf8_lossy(.path))]
    TooLong {
        /// Its name in the archive.
        path: Vec<u8>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is in it is no archive.
    #[error(transparent)]
    Archive(#[from] ReadError),
    /// The file could not be read, or not decompressed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An entry, and where it is.
#[derive(Debug)]
pub struct Found<'a> {
    /// What the archive says.
    pub entry: &'a Entry,
    /// The segment, counted from 0.
    pub segment: u32,
    /// Where its data starts in what the segment unpacks to.
    pub data: u64,
    /// Of a symbolic link: its data.
    pub target: &'a [u8],
}

/// Takes the entries of an initramfs, one by one.
pub type Sink<'a> = &'a mut dyn FnMut(Found<'_>);

/// Goes through initramfs buffers, and gathers their segments.
pub struct Splitter<'a> {
    /// What was found so far.
    pub segments: Vec<Segment>,
    limits: Limits,
    unpacked: u64,
    entries: u64,
    names: u64,
    sink: Sink<'a>,
}

impl<'a> Splitter<'a> {
    /// Hands entries to `sink`.
    pub fn new(limits: Limits, sink: Sink<'a>) -> Self {
        Self { segments: Vec::new(), limits, unpacked: 0, entries: 0, names: 0, sink }
    }

    /// Goes through one buffer, which starts at `base` in the file.
    ///
    /// # Errors
    /// [`Stopped`]; segments and entries before that are as they would be without it.
    pub fn buffer(&mut self, input: impl Read, base: u64) -> Result<(), Stopped> {
        let mut source = Source::new(input, true);
        loop {
            let at = source.consumed();
            match self.next(&mut source, base) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(why) => return Err(Stopped { offset: base + at, why }),
            }
        }
    }

    /// One member, or the zeros before one; whether anything was left.
    fn next<R: Read>(&mut self, source: &mut Source<R>, base: u64) -> Result<bool, SplitError> {
        skip_zeros(source)?;
        let at = source.consumed();
        let start = source.peek(6)?;
        let packing = match start {
            [] => return Ok(false),
            [b'0', ..] if !at.is_multiple_of(hoopy_cpio::ALIGNMENT) => {
                return Err(SplitError::Misaligned(at));
            }
            [b'0', ..] => Packing::None,
            _ => match Packing::of(start) {
                Some(Ok(packing)) => packing,
                Some(Err(name)) => return Err(SplitError::Codec(name)),
                None => return Err(SplitError::Magic(start.to_vec())),
            },
        };
        if self.segments.len() >= self.limits.segments {
            return Err(SplitError::TooMuch(format!("{} segments", self.limits.segments)));
        }
        source.take_digest();
        let before = (self.entries, self.unpacked);
        let read = match packing {
            Packing::None => self.raw(source),
            _ => self.compressed(packing, source),
        };
        // Also where it is cut short: files before that are there.
        self.segments.push(Segment {
            offset: base + at,
            size: source.consumed() - at,
            codec: packing,
            unpacked: self.unpacked - before.1,
            entries: self.entries - before.0,
            sha256: source.take_digest(),
            origins: Vec::new(),
        });
        read.map(|()| true)
    }

    fn raw<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), SplitError> {
        // It is no larger than the file, so nothing bounds it; and not one byte more may be read.
        let mut reader = Reader::single(source);
        let read = self.entries(&mut reader);
        self.unpacked = self.unpacked.saturating_add(reader.position());
        read
    }

    fn compressed<R: Read>(&mut self, packing: Packing, source: &mut Source<R>) -> Result<(), SplitError> {
        let room = self.limits.unpacked.saturating_sub(self.unpacked);
        let bounded = Bounded::new(packing.decode(source)?, room);
        let mut reader = Reader::new(BufReader::with_capacity(64 << 10, bounded));
        let read = self.entries(&mut reader);
        let position = reader.position();
        self.unpacked = self.unpacked.saturating_add(position);
        read?;
        // Also reads what stands behind the data: checksums, an index.
        if !reader.into_inner().fill_buf()?.is_empty() {
            return Err(SplitError::Junk(position));
        }
        Ok(())
    }

    fn entries<R: io::BufRead>(&mut self, reader: &mut Reader<R>) -> Result<(), SplitError> {
        let mut target = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            let data = reader.position();
            target.clear();
            let is_link = entry.mode & file_type::MASK == file_type::SYMLINK;
            // The kernel passes longer ones over.
            if is_link && entry.size as usize <= hoopy_cpio::PATH_MAX {
                reader.by_ref().take(entry.size.into()).read_to_end(&mut target)?;
            }
            self.entries += 1;
            self.names += (entry.name.len() + target.len()) as u64;
            if self.entries > self.limits.entries {
                return Err(SplitError::TooMuch(format!("{} files", self.limits.entries)));
            }
            if self.names > self.limits.names {
                return Err(SplitError::TooMuch(format!("{} bytes of names", self.limits.names)));
            }
            let segment = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
            (self.sink)(Found { entry: &entry, segment, data, target: &target });
        }
        Ok(())
    }
}

fn skip_zeros<R: Read>(source: &mut Source<R>) -> io::Result<()> {
    loop {
        let held = source.fill_buf()?;
        let zeros = held.iter().take_while(|&&byte| byte == 0).count();
        let ended = held.is_empty() || zeros < held.len();
        source.consume(zeros);
        if ended {
            return Ok(());
        }
    }
}
