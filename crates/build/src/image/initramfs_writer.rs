//! Writing the initramfs while its segments are made, for an image without a previous one to copy
//! ([`super::ImageDraft::of_previous`]).
//!
//! Where the initramfs begins is known before what is in it. Segments come in any order and are written in theirs, and
//! sent to the disk meanwhile. What fails here fails again, and is reported, when the image is written.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use hoopy_store::Store;

use super::draft::{ImageDraft, STRETCH, sync_beside};
use super::initramfs::{Content, Piece};
use super::measured::Beginning;
use super::write::put;
use crate::segment::Segment;

/// Writes the initramfs of a new draft.
#[derive(Debug)]
pub struct InitramfsWriter {
    draft: ImageDraft,
    /// Where the next piece goes.
    at: u64,
    store: Arc<Store>,
    /// Where it is said that something may go to the disk.
    written: Sender<()>,
    /// So much was written since.
    since: u64,
    /// Its hash, where a policy is signed for that.
    measured: Option<Beginning>,
}

impl InitramfsWriter {
    /// An image in the directory `dir`, whose initramfs begins at `at`, and is hashed where it `is_measured`.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(dir: &Path, at: u64, is_measured: bool, store: &Arc<Store>) -> io::Result<Self> {
        let mut draft = ImageDraft::empty(dir)?;
        let written = sync_beside(draft.file_at(0)?)?;
        let measured = is_measured.then(Beginning::new);
        Ok(Self { draft, at, store: Arc::clone(store), written, since: 0, measured })
    }

    /// Writes `first`, and behind it the segments that are `made`, until there are no more. Nothing where it cannot be
    /// written.
    pub fn write(mut self, first: &[Piece], made: &Receiver<(usize, Segment)>) -> Option<ImageDraft> {
        first.iter().try_for_each(|piece| self.put(&piece.content)).ok()?;
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        for (index, segment) in made {
            waiting.insert(index, segment);
            while let Some(segment) = waiting.remove(&next) {
                self.put(&Content::Segment(segment)).ok()?;
                next += 1;
            }
        }
        Some(self.draft)
    }

    fn put(&mut self, content: &Content) -> io::Result<()> {
        put(self.draft.file_at(self.at)?, content, &self.store)?;
        self.draft.note(self.at, content.size(), content.digest());
        self.at += content.size();
        self.since += content.size();
        // What fails here fails again when the policy is signed.
        if let Some(measured) = &mut self.measured
            && measured.push(content, &self.store).is_err()
        {
            self.measured = None;
        }
        if self.since >= STRETCH {
            self.since = 0;
            // For speed alone: the image is synced when it is whole.
            let _ = self.written.send(());
        }
        Ok(())
    }
}
