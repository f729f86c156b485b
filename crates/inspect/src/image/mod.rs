//! Reading images: any unified kernel image, any initramfs, whoever made it.
//!
//! ```text
//! file ──parts──▶ sections, .ucode, .initrd ──split──▶ segments, entries ──root──▶ the tree that boots
//!                                                          │
//!                                                        unpack
//! ```
//!
//! Nothing in the file is trusted, and no content of a file is kept: what the tree holds says where it is, and
//! whoever wants it has the segment [unpacked again](contents). Memory is that of the names, which
//! [`split::Limits`] bounds.

pub mod contents;
pub mod describe;
pub mod extract;
pub mod packages;
pub mod page;

mod parts;
pub mod root;
mod source;
pub mod split;
pub mod trust;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hoopy_uki::Section;
use hoopy_uki::manifest;
use hoopy_uki::pe::{Headers, PeError};
use root::{FileType, Root};
use split::{Limits, Segment, Splitter, Stopped};

pub use packages::Packages;
pub use parts::Part;

/// A file that cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It could not be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It starts like an EFI program, and its headers lie.
    #[error("{}: {source}", .path.display())]
    Pe {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PeError,
    },
    /// It is neither an image nor an initramfs.
    #[error(
        "{}: neither an EFI program (MZ) nor an initramfs (cpio, or compressed with gzip, zstd, xz or lz4): it starts with \"{}\"",
        .path.display(), .start.escape_ascii()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        start: Vec<u8>,
    },
    /// The image has no such file.
    #[error("{}: no such file or directory in the image: {}", .image.display(), String::from_utf8_lossy(.path))]
    NoSuchPath {
        /// The image.
        image: PathBuf,
        /// The path.
        path: Vec<u8>,
    },
    /// It is no regular file.
    #[error("{}: {} is {what}, not a file", .image.display(), String::from_utf8_lossy(.path))]
    NotAFile {
        /// The image.
        image: PathBuf,
        /// The path.
        path: Vec<u8>,
        /// What it is.
        what: FileType,
    },
    /// A file could not be extracted.
    #[error("{}: {source}", .path.display())]
    Extract {
        /// Where it was to go.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An image, read through once.
#[derive(Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Of an EFI program: its headers.
    pub headers: Option<Headers>,
    /// The members of its initramfs, in order.
    pub segments: Vec<Segment>,
    /// What the kernel makes of them.
    pub root: Root,
    /// Where, and why, the initramfs could not be read to its end.
    pub stopped: Option<Stopped>,
    /// What the image says of itself that is not so.
    pub lies: Vec<String>,
    file: File,
}

impl Image {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`InspectError`] where it is no image at all. An initramfs that is damaged further on is one; see
    /// [`Image::stopped`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self, InspectError> {
        let io = |source| InspectError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        let mut image = Self {
            path: path.to_owned(),
            // Not what the metadata say: of a device they say nothing.
            size: (&file).seek(SeekFrom::End(0)).map_err(io)?,
            headers: None,
            segments: Vec::new(),
            root: Root::default(),
            stopped: None,
            lies: Vec::new(),
            file,
        };
        image.headers = image.read_headers()?;
        image.split(limits)?;
        image.name_segments();
        Ok(image)
    }

    fn read_headers(&self) -> Result<Option<Headers>, InspectError> {
        let head =
            self.bytes(0..self.size.min(hoopy_uki::pe::HEADERS_WITHIN as u64)).map_err(|e| self.io(e))?;
        if !head.starts_with(b"MZ") {
            // The kernel passes zeros over.
            let zeros = head.iter().take_while(|&&byte| byte == 0).count();
            let first = head.get(zeros..).unwrap_or_default();
            let known = first.starts_with(b"0") || hoopy_cpio::unpack::Packing::of(first).is_some();
            let start = head.get(..head.len().min(8)).unwrap_or_default().to_vec();
            let unknown = || InspectError::Unknown { path: self.path.clone(), start };
            return if known { Ok(None) } else { Err(unknown()) };
        }
        let bad = |source| InspectError::Pe { path: self.path.clone(), source };
        Headers::parse(&head, self.size).map(Some).map_err(bad)
    }

    /// What the kernel is given as its initramfs: the whole file, or the microcode and then the initramfs of a
    /// unified kernel image, each filled up to a multiple of 4.
    fn buffers(&self) -> Vec<Range<u64>> {
        let Some(headers) = &self.headers else { return std::iter::once(0..self.size).collect() };
        let sections = [Section::Ucode, Section::Initrd];
        sections.iter().filter_map(|section| headers.section(*section)).map(|s| s.data_range()).collect()
    }

    fn split(&mut self, limits: Limits) -> Result<(), InspectError> {
        let mut root = Root::default();
        let mut take = |found: split::Found<'_>| root.take(&found);
        let mut splitter = Splitter::new(limits, &mut take);
        for buffer in self.buffers() {
            let input = self.reader(buffer.clone()).map_err(|e| self.io(e))?;
            if let Err(stopped) = splitter.buffer(input, buffer.start) {
                self.stopped = Some(stopped);
                break;
            }
        }
        self.segments = splitter.segments;
        self.stopped = self.stopped.take().or_else(|| self.lacking(&root));
        self.root = root;
        Ok(())
    }

    /// What of the initramfs is not in the tree, though the kernel would make it.
    fn lacking(&self, root: &Root) -> Option<Stopped> {
        let (segment, path) = root.too_long.clone()?;
        let offset = self.segments.get(segment as usize)?.offset;
        Some(Stopped { offset, why: split::SplitError::TooLong { path, why: root::TOO_LONG } })
    }

    /// Names the segments: as the image says, else by the packages that all of their files are of.
    fn name_segments(&mut self) {
        let pieces = parts::pieces(self).unwrap_or_else(|e| {
            self.lies.push(e.to_string());
            Vec::new()
        });
        let guessed = packages::of_segments(self);
        for (segment, guess) in self.segments.iter_mut().zip(guessed) {
            segment.origins = match parts::origins(segment, &pieces) {
                Some((origins, true)) => origins.to_vec(),
                Some((origins, false)) => {
                    let (at, origin) = (segment.offset, manifest::in_short(origins));
                    self.lies
                        .push(format!("its .hoopy section says {origin} of byte {at}, with another digest"));
                    guess
                }
                None => guess,
            };
        }
    }

    /// Whether it has an initramfs.
    pub fn has_initramfs(&self) -> bool {
        !self.buffers().is_empty()
    }

    /// A part of the file. The file has one position: read one part after the other.
    fn reader(&self, range: Range<u64>) -> io::Result<impl Read + '_> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start))?;
        Ok(file.take(range.end.saturating_sub(range.start)))
    }

    /// A part of the file, whole: only for ranges that were bounded.
    fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader(range)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn io(&self, source: io::Error) -> InspectError {
        InspectError::Io { path: self.path.clone(), source }
    }
}
