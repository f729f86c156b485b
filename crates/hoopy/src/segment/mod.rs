//! Segments: a layer as one compressed newc archive. An initramfs is segments laid end to end: the kernel
//! unpacks concatenated archives, each compressed on its own.
//!
//! A segment's key is all that its bytes depend on (the layer, which entries are masked, the codec), so a
//! changed configuration file makes one tiny segment anew and leaves the others as they are in the store.

pub mod codec;
mod links;
mod write;

pub use write::{SegmentError, write_archive};

use std::fs;

use crate::digest::{Hasher, SegmentKey};
use crate::layer::Layer;
use crate::report::{Event, Observer};
use crate::store::Store;
use codec::Codec;

/// A segment in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its key.
    pub key: SegmentKey,
    /// Its compressed size in bytes.
    pub size: u64,
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
const VERSION: &str = "hoopy segment 1";

impl Plan {
    /// The key of the segment.
    pub fn key(&self) -> SegmentKey {
        let mut hasher = Hasher::new(VERSION);
        hasher.field(self.layer.id.as_bytes());
        hasher.field(self.codec.to_string().as_bytes());
        for index in &self.masked {
            hasher.field(&index.to_le_bytes());
        }
        SegmentKey::from_bytes(hasher.finish())
    }

    /// Whether anything is left to write.
    pub fn is_empty(&self) -> bool {
        self.masked.len() == self.layer.entries.len()
    }
}

/// Makes the segments that the store has not, on as many threads as there are cores, the largest first.
/// Gives them in the order of `plans`.
///
/// # Errors
/// The first [`SegmentError`].
pub fn realise(plans: &[Plan], store: &Store, observer: &dyn Observer) -> Result<Vec<Segment>, SegmentError> {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(plans[i].layer.unpacked_size()));
    let made = crate::parallel::map(&order, |&i| realise_one(&plans[i], store))?;
    let mut segments: Vec<(usize, Segment)> = order.into_iter().zip(made).collect();
    segments.sort_by_key(|(i, _)| *i);
    observer.event(Event::Bytes(0, 0));
    Ok(segments.into_iter().map(|(_, s)| s).collect())
}

fn realise_one(plan: &Plan, store: &Store) -> Result<Segment, SegmentError> {
    let key = plan.key();
    if let Ok(meta) = fs::metadata(store.segment_path(key)) {
        return Ok(Segment { key, size: meta.len() });
    }
    let mut pending = store.pending()?;
    let size = write::compress(plan, store, pending.file())?;
    store.keep_segment(pending, key)?;
    Ok(Segment { key, size })
}
