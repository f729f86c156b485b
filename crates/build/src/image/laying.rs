//! Writing an image while its segments are made: the initramfs of an image that has no predecessor to begin it with
//! ([`super::Ahead`]).
//!
//! Where the initramfs begins is known before what is in it. Segments come in any order and are written in theirs, and
//! sent to the disk meanwhile. What goes wrong here goes wrong again, and is told, when the image is written.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};

use hoopy_store::Store;

use super::ahead::{Begun, STRETCH, sync_beside};
use super::initramfs::{Content, Piece};
use super::write::put;
use crate::segment::Segment;

/// An image of which nothing is written but what was laid.
#[derive(Debug)]
pub struct Laying<'s> {
    begun: Begun,
    /// Where the next piece goes.
    at: u64,
    store: &'s Store,
    /// Told of what may go to the disk.
    written: Sender<()>,
    /// So much was written since.
    since: u64,
}

impl<'s> Laying<'s> {
    /// An image in the directory `dir`, whose initramfs begins at `at`.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(dir: &Path, at: u64, store: &'s Store) -> io::Result<Self> {
        let mut begun = Begun::nothing(dir)?;
        let written = sync_beside(begun.file_at(0)?)?;
        Ok(Self { begun, at, store, written, since: 0 })
    }

    /// Lays `first`, and behind it the segments that are `made`, until there are no more. Nothing where it cannot be
    /// written.
    pub fn lay(mut self, first: &[Piece], made: &Receiver<(usize, Segment)>) -> Option<Begun> {
        first.iter().try_for_each(|piece| self.put(&piece.content)).ok()?;
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        for (index, segment) in made {
            waiting.insert(index, segment);
            while let Some(segment) = waiting.remove(&next) {
                self.put(&Content::Segment(segment)).ok()?;
                next += 1;
            }
        }
        Some(self.begun)
    }

    fn put(&mut self, content: &Content) -> io::Result<()> {
        put(self.begun.file_at(self.at)?, content, self.store)?;
        self.begun.note(self.at, content.size(), content.digest());
        self.at += content.size();
        self.since += content.size();
        if self.since >= STRETCH {
            self.since = 0;
            // For speed alone: the image is synced when it is whole.
            let _ = self.written.send(());
        }
        Ok(())
    }
}
