//! The initramfs: early archives, then segments, end to end.

use hoopy_uki::Checksum;

use super::ImageError;
use crate::layer::{EntryPath, Kind};
use crate::report::Observer;
use crate::segment::codec::Codec;
use crate::segment::{self, Plan, Segment};
use crate::stack::{Stack, database::is_boot};
use crate::store::Store;

/// A part of an initramfs.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Bytes at hand: an early archive.
    Bytes(Vec<u8>),
    /// A segment of the store.
    Segment(Segment),
}

/// An initramfs, described.
#[derive(Debug, Clone)]
pub struct Initramfs {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

impl Piece {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Segment(segment) => segment.size,
        }
    }
}

impl Initramfs {
    /// The whole size in bytes.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }

    /// Its part of the image's checksum, put together from those of its parts: none is read again.
    pub fn checksum(&self) -> Checksum {
        let mut sum = Checksum::new();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => sum.update(bytes),
                Piece::Segment(segment) => sum.append(segment.sum),
            }
        }
        sum
    }

    /// The initramfs of `stack`, with segments made where the store has not got them.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn of(
        stack: &Stack,
        codec: Codec,
        store: &Store,
        observer: &dyn Observer,
    ) -> Result<Self, ImageError> {
        let plans: Vec<Plan> = stack
            .tree
            .layers()
            .iter()
            .enumerate()
            .map(|(i, layer)| Plan { layer: layer.clone(), masked: stack.tree.masked(i, &is_boot), codec })
            .filter(|plan| !plan.is_empty())
            .collect();
        let mut pieces = microcode(stack, store)?;
        pieces.extend(segment::realise(&plans, store, observer)?.into_iter().map(Piece::Segment));
        Ok(Self { pieces })
    }
}

/// Early archives: the kernel looks for microcode from the first byte on, in raw cpio only
/// (Documentation/arch/x86/microcode.rst). Packages bring them ready made as `boot/*-ucode.img`.
fn microcode(stack: &Stack, store: &Store) -> Result<Vec<Piece>, ImageError> {
    let is_early = |path: &EntryPath| is_boot(path) && path.as_bytes().ends_with(b"-ucode.img");
    let mut pieces = Vec::new();
    for (path, entry, _) in stack.tree.iter() {
        if is_early(path) && matches!(entry.kind, Kind::File { .. }) {
            let mut bytes = stack.read(path, store)?.unwrap_or_default();
            // What follows must begin where the kernel looks for a raw archive.
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            pieces.push(Piece::Bytes(bytes));
        }
    }
    Ok(pieces)
}
