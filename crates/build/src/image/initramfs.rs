//! The initramfs: early archives, then segments, end to end.

use std::sync::Arc;
use std::sync::mpsc::channel;

use hoopy_base::digest::ContentId;
use hoopy_base::jobs::Task;
use hoopy_cpio::{Header, Writer, file_type};
use hoopy_secrets::Plaintext;
use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, Kind};
use hoopy_uki::Checksum;

use super::arrange::arrange;
use super::{ImageDraft, ImageError, InitramfsWriter};
use crate::context::Context;
use crate::segment::Segment;
use crate::segment::groups::Groups;
use crate::segment::maker::SegmentMaker;
use crate::stack::Stack;
use crate::stack::database::is_boot;

/// A part of an initramfs.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Where it comes from, as [`Origin::label`](crate::stack::Origin::label) calls it: of a group, each package.
    pub origins: Vec<String>,
    /// What it is.
    pub content: Content,
}

/// The bytes of a part.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bytes at hand, an archive that is not compressed, and their digest.
    Bytes(Arc<[u8]>, ContentId),
    /// A segment of the store.
    Segment(Segment),
    /// Secrets in the clear, in no store; and what stands for them, which is no digest of what they hold.
    Secrets(Arc<Plaintext>, ContentId),
}

/// The draft into which an initramfs is being written.
pub type Written = Task<Option<ImageDraft>>;

/// An initramfs, described.
#[derive(Debug, Clone)]
pub struct Initramfs {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

impl Content {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes, _) => bytes.len() as u64,
            Self::Segment(segment) => segment.size,
            Self::Secrets(archive, _) => archive.as_bytes().len() as u64,
        }
    }

    /// Whether it has secrets in the clear.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secrets(..))
    }

    /// The digest of these bytes, or what stands for them.
    pub fn digest(&self) -> ContentId {
        match self {
            Self::Bytes(_, digest) | Self::Secrets(_, digest) => *digest,
            Self::Segment(segment) => segment.content,
        }
    }
}

impl Piece {
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.content.size()
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> ContentId {
        self.content.digest()
    }
}

impl Initramfs {
    /// The whole size in bytes.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }

    /// Whether it has secrets in the clear.
    pub fn is_secret(&self) -> bool {
        self.pieces.iter().any(|piece| piece.content.is_secret())
    }

    /// Its part of the image's checksum, put together from those of its parts: none is read again.
    pub fn checksum(&self) -> Checksum {
        let mut sum = Checksum::new();
        for piece in &self.pieces {
            match &piece.content {
                Content::Bytes(bytes, _) => sum.update(bytes),
                Content::Secrets(archive, _) => sum.update(archive.as_bytes()),
                Content::Segment(segment) => sum.append(segment.sum),
            }
        }
        sum
    }

    /// The initramfs of `stack`, whose small packages share segments as `groups` says. `maker` makes those that the store
    /// has not got; meanwhile `writer` writes it into its draft, and may be at that still when all are there.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn of(
        stack: &Stack,
        groups: &Groups,
        maker: &SegmentMaker<'_>,
        writer: Option<InitramfsWriter>,
        context: Context<'_>,
    ) -> Result<(Self, Option<Written>), ImageError> {
        let arranged = arrange(stack, groups, maker.codec(), context.store)?;
        let (plans, origins): (Vec<_>, Vec<_>) = arranged.into_iter().map(|a| (a.plan, a.origins)).unzip();
        let mut pieces = microcode(stack, context.store)?;
        pieces.push(root(stack)?);
        let (made, coming) = channel();
        let first = pieces.clone();
        let write = |writer: InitramfsWriter| {
            context.jobs.begin_io("initramfs", move |_| writer.write(&first, &coming))
        };
        let written = writer.map(write);
        let segments = maker.realise(plans, &made);
        // Also where that failed: the writer, whose end is waited for, waits for segments as long as this is there
        drop(made);
        let segments = segments?;
        let segments = segments.into_iter().zip(origins);
        pieces
            .extend(segments.map(|(segment, origins)| Piece { origins, content: Content::Segment(segment) }));
        Ok((Self { pieces }, written))
    }
}

/// Early archives: the kernel looks for microcode from the first byte on, in raw cpio only
/// (Documentation/arch/x86/microcode.rst). Packages bring them ready made as `boot/*-ucode.img`.
fn microcode(stack: &Stack, store: &Store) -> Result<Vec<Piece>, ImageError> {
    let is_early = |path: &EntryPath| is_boot(path) && path.as_bytes().ends_with(b"-ucode.img");
    let mut pieces = Vec::new();
    for (path, entry, at) in stack.tree.iter().filter(|(path, ..)| is_early(path)) {
        let Kind::File { size, content } = entry.kind else { continue };
        let mut bytes = stack.read(path, store)?.unwrap_or_default();
        // What follows must begin where the kernel looks for a raw archive.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        // Archives come in whole blocks: mostly it is the file's own digest, which is known.
        let digest = if bytes.len() as u64 == size { content } else { ContentId::of(&bytes) };
        let origins = vec![stack.origins[at.layer].label()];
        pieces.push(Piece { origins, content: Content::Bytes(bytes.into(), digest) });
    }
    Ok(pieces)
}

/// The root directory itself, as an archive of its own. It is no path of any layer, and without it everybody may
/// write to it: a tmpfs starts with mode 1777 (mm/shmem.c).
fn root(stack: &Stack) -> Result<Piece, ImageError> {
    let newest = stack.tree.iter().map(|(_, entry, _)| entry.mtime).max().unwrap_or_default();
    let header = Header {
        name: b".",
        mode: file_type::DIR | 0o755,
        nlink: 2,
        mtime: u32::try_from(newest).unwrap_or(u32::MAX),
        ..Header::default()
    };
    let mut archive = Writer::new(Vec::new());
    archive.entry(&header, 0)?;
    let bytes = archive.finish()?;
    let digest = ContentId::of(&bytes);
    Ok(Piece { origins: vec!["/".to_owned()], content: Content::Bytes(bytes.into(), digest) })
}
