//! A draft of an image: a file of which something is written before it is known what all of it will be.
//!
//! While scripts run, the previous image is copied: most of the next one is what that has at the same place. Its section
//! `.hoopy` says which bytes are which. The copy is sent to the disk meanwhile. When it is known what the image is to be,
//! whatever was not copied to its place is written over it. A guess that was wrong costs time and nothing else. The kernel lies behind the initramfs, and yet is mostly where it was:
//! sections begin at multiples of 512 bytes, and a changed text makes a segment a few bytes longer.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use hoopy_base::atomic::{Pending, directory_of};
use hoopy_base::digest::ContentId;
use hoopy_base::jobs::{Jobs, Stop, Task};
use hoopy_uki::manifest::{self, Piece};

/// How much is copied before it is sent to the disk, so that the disk writes while more is copied.
pub(super) const STRETCH: u64 = 8 << 20;

/// An image of which something is written.
#[derive(Debug)]
pub struct ImageDraft {
    pending: Pending,
    /// What lies where, in the order of the file.
    stretches: Vec<Stretch>,
    /// Up to here.
    end: u64,
}

/// What is written of an image.
#[derive(Debug)]
struct Stretch {
    offset: u64,
    size: u64,
    sha256: ContentId,
}

impl ImageDraft {
    /// Begins to copy the image at `previous`, which must be as it was written. Nothing comes of it where it cannot be
    /// copied.
    pub fn of_previous(previous: PathBuf, jobs: &Jobs) -> Task<Option<Self>> {
        jobs.begin_io("draft image", move |stop| copy(&previous, stop).ok().flatten())
    }

    /// Nothing, in the directory `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn empty(dir: &Path) -> io::Result<Self> {
        Ok(Self { pending: Pending::new_in(dir)?, stretches: Vec::new(), end: 0 })
    }

    /// Whether these bytes are written at `offset`.
    pub fn has(&self, offset: u64, size: u64, sha256: ContentId) -> bool {
        let found = self.stretches.binary_search_by_key(&offset, |stretch| stretch.offset);
        let stretch = found.ok().and_then(|at| self.stretches.get(at));
        stretch.is_some_and(|s| s.size == size && s.sha256 == sha256 && offset + size <= self.end)
    }

    /// Notes that these bytes were written at `offset`, behind all the others.
    pub(super) fn note(&mut self, offset: u64, size: u64, sha256: ContentId) {
        // What has no bytes needs no place, and two at one offset could not be told apart.
        if size > 0 {
            self.stretches.push(Stretch { offset, size, sha256 });
            self.end = offset + size;
        }
    }

    /// The file, to write the rest to.
    pub fn into_pending(self) -> Pending {
        self.pending
    }

    /// Writes these bytes at `offset`.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file_at(offset)?.write_all(bytes)
    }

    /// The file, to write at `offset`.
    ///
    /// # Errors
    /// What the system says.
    pub fn file_at(&mut self, offset: u64) -> io::Result<&mut File> {
        let file = self.pending.file();
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }
}

fn copy(previous: &Path, stop: &Stop) -> io::Result<Option<ImageDraft>> {
    let mut from = File::open(previous)?;
    let pieces = manifest::of_image(&mut from).ok().flatten().unwrap_or_default();
    let end = pieces.last().map_or(0, |piece| piece.range().end);
    let stretch = |Piece { offset, size, sha256, .. }: Piece| Stretch { offset, size, sha256 };
    let stretches = pieces.into_iter().filter(|piece| piece.size > 0).map(stretch).collect();
    let mut pending = Pending::new_in(directory_of(previous))?;
    let copied = sync_beside(pending.file())?;
    from.seek(SeekFrom::Start(0))?;
    let mut at = 0;
    while at < end && !stop.is_set() {
        let stretch = io::copy(&mut (&from).take(STRETCH.min(end - at)), pending.file())?;
        if stretch == 0 {
            break;
        }
        at += stretch;
        // Syncing is for speed here: the image is synced when it is whole.
        let _ = copied.send(());
    }
    Ok(Some(ImageDraft { pending, stretches, end: at }))
}

/// Sends `file` to the disk whenever something is sent, on a thread of its own, which goes on while more is written.
pub(super) fn sync_beside(file: &File) -> io::Result<Sender<()>> {
    let file = file.try_clone()?;
    let (written, coming) = channel();
    thread::Builder::new().name("sync".to_owned()).spawn(move || sync(&file, &coming))?;
    Ok(written)
}

fn sync(file: &File, coming: &Receiver<()>) {
    while coming.recv().is_ok() {
        while coming.try_recv().is_ok() {}
        let _ = file.sync_data();
    }
}
