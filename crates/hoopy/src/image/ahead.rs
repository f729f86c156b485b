//! Writing the next image while scripts still run: most of it is what the last one has at the same place.
//!
//! The last image says in its section `.hoopy` which bytes are which. It is copied up to the end of its initramfs,
//! and sent to the disk, by threads of their own. When it is known what the image is to be, whatever was not copied
//! to its place is written over it. A guess that was wrong costs time and nothing else.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use hoopy_uki::Section;

use super::manifest::{self, Piece};
use crate::digest::ContentId;
use crate::store::Pending;

/// So much is copied before it is sent to the disk, which takes what comes meanwhile.
const STRETCH: u64 = 8 << 20;

/// The last image, and the next one that is begun with it.
#[derive(Debug)]
pub struct Ahead {
    last: PathBuf,
    copying: Option<JoinHandle<Option<Begun>>>,
    stop: Arc<AtomicBool>,
}

/// An image of which something is written.
#[derive(Debug)]
pub struct Begun {
    pending: Pending,
    /// What lies where, in the order of the file.
    pieces: Vec<Piece>,
    /// Up to here.
    end: u64,
}

impl Ahead {
    /// Of the image at `last`, which must be as it was written.
    pub fn of(last: PathBuf) -> Self {
        Self { last, copying: None, stop: Arc::default() }
    }

    /// Begins to write, unless it has begun.
    pub fn begin(&mut self) {
        if self.copying.is_none() {
            let (last, stop) = (self.last.clone(), self.stop.clone());
            let copying = thread::Builder::new().name("ahead".to_owned());
            self.copying = copying.spawn(move || copy(&last, &stop).ok().flatten()).ok();
        }
    }

    /// What was written, when all of it is; nothing where nothing was begun or could be written.
    pub fn finish(mut self) -> Option<Begun> {
        self.copying.take()?.join().ok()?
    }
}

impl Drop for Ahead {
    /// Nobody wants it any more.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(copying) = self.copying.take() {
            let _ = copying.join();
        }
    }
}

impl Begun {
    /// Nothing, in the directory `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn nothing(dir: &Path) -> io::Result<Self> {
        Ok(Self { pending: Pending::new_in(dir)?, pieces: Vec::new(), end: 0 })
    }

    /// Whether these bytes are written at `offset`.
    pub fn has(&self, offset: u64, size: u64, sha256: ContentId) -> bool {
        let found = self.pieces.binary_search_by_key(&offset, |piece| piece.offset);
        let piece = found.ok().and_then(|at| self.pieces.get(at));
        piece.is_some_and(|p| p.size == size && p.sha256 == sha256 && p.range().end <= self.end)
    }

    /// The file, to write the rest to.
    pub fn into_pending(self) -> Pending {
        self.pending
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

fn copy(last: &Path, stop: &AtomicBool) -> io::Result<Option<Begun>> {
    let mut from = File::open(last)?;
    let pieces = manifest::of_image(&mut from).ok().flatten().unwrap_or_default();
    // The kernel, which is behind it, moves with every byte that the initramfs gets longer.
    let initramfs = pieces.iter().filter(|piece| piece.section == Section::Initrd.name());
    let end = initramfs.map(|piece| piece.range().end).max().unwrap_or_default();
    let mut pending = Pending::new_in(last.parent().unwrap_or(Path::new(".")))?;
    let synced = pending.file().try_clone()?;
    let (copied, coming) = channel();
    let syncing = thread::Builder::new().name("sync".to_owned()).spawn(move || sync(&synced, &coming))?;
    from.seek(SeekFrom::Start(0))?;
    let mut at = 0;
    while at < end && !stop.load(Ordering::Relaxed) {
        let stretch = io::copy(&mut (&from).take(STRETCH.min(end - at)), pending.file())?;
        if stretch == 0 {
            break;
        }
        at += stretch;
        // Syncing is for speed here: the image is synced when it is whole.
        let _ = copied.send(());
    }
    drop(copied);
    // It goes on beside what is still to be written.
    drop(syncing);
    Ok(Some(Begun { pending, pieces, end: at }))
}

fn sync(file: &File, coming: &Receiver<()>) {
    while coming.recv().is_ok() {
        while coming.try_recv().is_ok() {}
        let _ = file.sync_data();
    }
}
