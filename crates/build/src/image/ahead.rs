//! Writing the next image while scripts still run: most of it is what the last one has at the same place.
//!
//! The last image says in its section `.hoopy` which bytes are which. It is copied, and sent to the disk, by threads of
//! their own. When it is known what the image is to be, whatever was not copied to its place is written over it. A guess
//! that was wrong costs time and nothing else. The kernel lies behind the initramfs, and yet is mostly where it was:
//! sections begin at multiples of 512 bytes, and a changed text makes a segment a few bytes longer.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use hoopy_base::atomic::Pending;
use hoopy_base::digest::ContentId;

use hoopy_uki::manifest::{self, Piece};

/// So much is copied before it is sent to the disk, which takes what comes meanwhile.
pub(super) const STRETCH: u64 = 8 << 20;

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
    let end = pieces.last().map_or(0, |piece| piece.range().end);
    let stretch = |Piece { offset, size, sha256, .. }: Piece| Stretch { offset, size, sha256 };
    let stretches = pieces.into_iter().filter(|piece| piece.size > 0).map(stretch).collect();
    let mut pending = Pending::new_in(last.parent().unwrap_or(Path::new(".")))?;
    let copied = sync_beside(pending.file())?;
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
    Ok(Some(Begun { pending, stretches, end: at }))
}

/// Sends `file` to the disk whenever it is told to, on a thread of its own, which goes on beside what is still to be
/// written.
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
