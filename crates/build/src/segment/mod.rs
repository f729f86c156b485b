//! Segments: layers as compressed newc archives. An initramfs is segments laid end to end: the kernel unpacks
//! concatenated archives, each compressed on its own.
//!
//! Mostly a segment is one layer. Small packages share one ([`groups`]), and of a layer that is mostly compressed
//! already, the rest is a segment of its own ([`Plan::pieces`]).
//!
//! A segment's key is all that its bytes depend on (the layers, which entries are masked, the codec), so a
//! changed configuration file makes one tiny segment anew and leaves the others as they are in the store.

pub mod gather;
pub mod groups;
mod links;
pub mod maker;
mod pieces;
mod write;

use std::fmt;
use std::fs::File;

use hoopy_base::digest::{ContentId, Hasher, RecipeId, SegmentKey, of_reader};
use hoopy_cpio::codec::Codec;
use hoopy_store::layer::{Entry, Layer};
use hoopy_store::{Seal, Store};
use hoopy_uki::Checksum;
use serde::{Deserialize, Serialize};

pub use write::{SegmentError, write_archive};

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
    /// The layers, whose paths are all different, but for directories.
    pub members: Vec<Member>,
    /// How it is compressed.
    pub codec: Codec,
}

/// A layer in a segment.
#[derive(Debug, Clone)]
pub struct Member {
    /// The layer.
    pub layer: Layer,
    /// Indexes of the entries that are left out, ascending.
    pub masked: Vec<usize>,
}

/// Changes whenever the bytes written for the same plan do.
const VERSION: &str = "hoopy segment 4";

impl Member {
    /// What is left to write, with its place in the layer.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let mut masked = self.masked.iter().copied().peekable();
        let all = self.layer.entries.iter().enumerate();
        all.filter(move |(index, _)| masked.next_if_eq(index).is_none())
    }

    /// The bytes of the files that are left to write.
    pub fn size(&self) -> u64 {
        self.left().map(|(_, entry)| entry.size()).sum()
    }

    /// Whether nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.masked.len() == self.layer.entries.len()
    }
}

impl Plan {
    /// Of one layer.
    pub fn of(layer: Layer, masked: Vec<usize>, codec: Codec) -> Self {
        Self { members: vec![Member { layer, masked }], codec }
    }

    /// The key of the segment.
    pub fn key(&self) -> SegmentKey {
        let mut hasher = Hasher::new(VERSION);
        hasher.field(self.fitting_codec().to_string().as_bytes());
        // A layer's id and an index differ in length: no two plans give the same fields.
        for member in &self.members {
            hasher.field(member.layer.id.as_bytes());
            for index in &member.masked {
                hasher.field(&index.to_le_bytes());
            }
        }
        SegmentKey::from_bytes(hasher.finish())
    }

    /// The codec, for what it holds: what is compressed already gains nothing from a thorough search, and
    /// the modules of a kernel are half of an image.
    fn fitting_codec(&self) -> Codec {
        let packed: u64 = self.left().filter(|e| is_packed(e)).map(Entry::size).sum();
        if packed > self.size() / 2 { self.codec.hasty() } else { self.codec }
    }

    fn left(&self) -> impl Iterator<Item = &Entry> {
        self.members.iter().flat_map(|member| member.left().map(|(_, entry)| entry))
    }

    /// The bytes of the files that are left to write.
    fn size(&self) -> u64 {
        self.members.iter().map(Member::size).sum()
    }

    /// Whether anything is left to write.
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(Member::is_empty)
    }
}

/// The ids of these layers, as a span of work has them.
struct Layers<'a>(&'a [Member]);

impl fmt::Display for Layers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, member) in self.0.iter().enumerate() {
            write!(f, "{}{}", if nth > 0 { " " } else { "" }, member.layer.id)?;
        }
        Ok(())
    }
}

/// By its name, which is enough for a guess that can only cost time or some bytes.
fn is_packed(entry: &Entry) -> bool {
    let name = entry.path.name();
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
    let layers = Layers(&plan.members);
    let _span = tracing::debug_span!("compress", layers = %layers).entered();
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
    hoopy_store::segment_recipe(key)
}
