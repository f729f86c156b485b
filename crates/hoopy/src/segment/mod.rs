//! Segments: a layer as one compressed newc archive. An initramfs is segments laid end to end: the kernel
//! unpacks concatenated archives, each compressed on its own.
//!
//! A segment's key is all that its bytes depend on (the layer, which entries are masked, the codec), so a
//! changed configuration file makes one tiny segment anew and leaves the others as they are in the store.

pub mod codec;
pub mod eager;
mod links;
mod parts;
mod write;

pub use write::{SegmentError, write_archive};

use std::fs::File;

use hoopy_uki::Checksum;
use serde::{Deserialize, Serialize};

use crate::digest::{ContentId, Hasher, RecipeId, SegmentKey, of_reader};
use crate::layer::{Entry, Layer};
use crate::report::spans;
use crate::store::{Seal, Store};
use codec::Codec;

/// A segment in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its key.
    pub key: SegmentKey,
    /// The digest of its compressed bytes.
    pub content: ContentId,
    /// Its compressed size in bytes.
    pub size: u64,
    /// Its part of the image's checksum.
    pub sum: Checksum,
}

/// What the store remembers of a segment.
#[derive(Serialize, Deserialize)]
struct Remembered {
    content: ContentId,
    sum: Checksum,
    seal: Seal,
}

/// What a segment is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The layer.
    pub layer: Layer,
    /// Indexes of the entries that are left out, ascending.
    pub masked: Vec<usize>,
    /// How it is compressed.
    pub codec: Codec,
}

/// Changes whenever the bytes written for the same plan do.
const VERSION: &str = "hoopy segment 3";

impl Plan {
    /// The key of the segment.
    pub fn key(&self) -> SegmentKey {
        let mut hasher = Hasher::new(VERSION);
        hasher.field(self.layer.id.as_bytes());
        hasher.field(self.fitting_codec().to_string().as_bytes());
        for index in &self.masked {
            hasher.field(&index.to_le_bytes());
        }
        SegmentKey::from_bytes(hasher.finish())
    }

    /// The codec, for what the layer holds: what is compressed already gains nothing from a thorough search, and
    /// the modules of a kernel are half of an image.
    fn fitting_codec(&self) -> Codec {
        let total: u64 = self.layer.entries.iter().map(Entry::size).sum();
        let packed = self.layer.entries.iter().filter(|e| is_packed(e.path.name()));
        let packed: u64 = packed.map(Entry::size).sum();
        if packed > total / 2 { self.codec.hasty() } else { self.codec }
    }

    /// The bytes of the files that are left to write.
    fn size(&self) -> u64 {
        let masked = self.masked.iter().filter_map(|&i| self.layer.entries.get(i)).map(Entry::size);
        Layer::data_size(&self.layer.entries) - masked.sum::<u64>()
    }

    /// Whether anything is left to write.
    pub fn is_empty(&self) -> bool {
        self.masked.len() == self.layer.entries.len()
    }
}

/// By its name, which is enough for a guess that can only cost time or some bytes.
fn is_packed(name: &[u8]) -> bool {
    [&b".gz"[..], b".xz", b".zst", b".bz2", b".lz4"].iter().any(|ending| name.ends_with(ending))
}

/// The segment of `plan`: the store's, or a new one.
///
/// # Errors
/// [`SegmentError`].
fn realise_one(plan: &Plan, store: &Store) -> Result<Segment, SegmentError> {
    let key = plan.key();
    if let Some(segment) = recall(key, store)? {
        return Ok(segment);
    }
    let _span = spans::span(spans::Work::Segment, || spans::What::Layer(plan.layer.id));
    let mut pending = store.pending()?;
    let (content, sum) = write::compress(plan, store, pending.file())?;
    store.keep_segment(pending, key)?;
    remember(key, content, sum, store)?;
    Ok(Segment { key, content, size: sum.len(), sum })
}

/// The store's segment, where it is whole. Its digest is taken where the seal does not vouch for it.
fn recall(key: SegmentKey, store: &Store) -> Result<Option<Segment>, SegmentError> {
    let Some(known) = store.recall::<Remembered>(recipe(key)) else { return Ok(None) };
    let Ok(mut file) = File::open(store.segment_path(key)) else { return Ok(None) };
    let segment = Segment { key, content: known.content, size: known.sum.len(), sum: known.sum };
    if store.is_sealed(&file, &known.seal) {
        return Ok(Some(segment));
    }
    if of_reader(&mut file)?.0 != known.content {
        return Ok(None);
    }
    // Where it cannot be sealed anew, it is digested each time.
    let _ = remember(key, known.content, known.sum, store);
    Ok(Some(segment))
}

fn remember(key: SegmentKey, content: ContentId, sum: Checksum, store: &Store) -> Result<(), SegmentError> {
    // Sealed under its own name: a rename counts as a change.
    let seal = store.seal(&File::open(store.segment_path(key))?)?;
    Ok(store.remember(recipe(key), &Remembered { content, sum, seal })?)
}

fn recipe(key: SegmentKey) -> RecipeId {
    crate::store::segment_recipe(key)
}
