//! Getting the image that a machine booted: a deploy in the other direction.
//!
//! ```text
//! what the image says of itself ──▶ pieces ──┬─ in an image here, or in the store ──▶ copied ──┐
//!                                            └─ nowhere here ──▶ fetched, kept in the store ───┴──▶ a file
//! ```
//!
//! Each piece has the digest that the image says it has, wherever it comes from. The stub is left as zeros, and the
//! kernel where nobody wants it: what an image is compared by is its initramfs. So the file boots nothing, and is
//! not kept.

pub(super) mod error;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hoopy_base::atomic::Pending;
use hoopy_base::digest::{ContentId, of_reader};
use hoopy_base::report::{Event, Observer};
use hoopy_base::terminal::harmless_line;
use hoopy_store::{Store, StoreError};
use hoopy_uki::Section;
use hoopy_uki::manifest::{self, Piece};

use error::BootedError;

use super::error::DeployError;
use super::images::{self, RemoteImage, fetch_until};
use super::machine::Machine;
use super::ssh::Ssh;

/// How much is requested at once, and held in memory.
const BATCH: u64 = 16 << 20;

/// What is in no piece: headers, padding, the section `.hoopy` itself, which has [`manifest::MAX_SIZE`] at most.
const MAX_BETWEEN: u64 = manifest::MAX_SIZE + (4 << 20);

/// No image of ours is larger: a manifest that says more is not followed.
const MAX_IMAGE: u64 = 8 << 30;

/// A machine, and the images on its partition.
#[derive(Debug, Clone)]
pub struct MachineImages {
    /// The machine.
    pub machine: Machine,
    /// The images.
    pub images: Vec<RemoteImage>,
}

impl MachineImages {
    /// Asks. `esp` is where the EFI system partition is, if that is known.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn ask(ssh: &Ssh, esp: Option<&str>) -> Result<Self, DeployError> {
        let machine = Machine::ask(ssh, esp)?;
        let images = images::look(ssh, &machine)?;
        Ok(Self { machine, images })
    }

    /// The image that runs, where it is still there.
    pub fn running(&self) -> Option<&RemoteImage> {
        let name = self.machine.image.as_ref()?;
        self.images.iter().find(|image| image.name.as_ref() == Some(name))
    }

    /// Whether the file at `path` is the image that runs, by what both say they are made of.
    pub fn is_running(&self, path: &Path) -> bool {
        pieces_of(path).is_some_and(|own| self.running().is_some_and(|image| image.pieces == own))
    }
}

/// Where pieces are that need not be fetched.
#[derive(Debug)]
pub struct LocalPieces<'a> {
    /// Images.
    pub images: Vec<PathBuf>,
    /// What was fetched before; what is fetched now is kept there.
    pub store: &'a Store,
}

/// Writes the image that runs to the file `to`, which must not be there yet; its kernel too, where that is wanted.
/// Gives how many bytes were fetched. What was fetched `until` then is not fetched again the next time.
///
/// # Errors
/// [`DeployError`].
pub fn booted(
    ssh: &Ssh,
    seen: &MachineImages,
    at_hand: &LocalPieces<'_>,
    kernel: bool,
    until: Option<Instant>,
    observer: &dyn Observer,
    to: &Path,
) -> Result<u64, DeployError> {
    let machine = &seen.machine;
    let image = seen.running().ok_or_else(|| gone(seen))?;
    let between = between(image).filter(|_| !image.pieces.is_empty());
    let between = between
        .ok_or_else(|| BootedError::Undescribed { host: machine.host.clone(), file: image.path.clone() })?;
    let mut out = Out::new(to, image.size)?;
    let asked: Vec<_> = between.iter().map(|range| (image.path.as_str(), range.clone())).collect();
    for (range, bytes) in between.iter().zip(fetch_until(until, ssh, machine, &asked)?) {
        out.put(range.start, &mut bytes.as_slice())?;
    }
    let here = here(&at_hand.images);
    let is_wanted = |piece: &&Piece| {
        let (linux, stub) = (piece.section == Section::Linux.name(), piece.section == manifest::STUB);
        !stub && (kernel || !linux) && piece.size > 0
    };
    let mut lacking = Vec::new();
    for piece in image.pieces.iter().filter(is_wanted) {
        match find(piece, &here, at_hand.store) {
            Some(mut found) => out.put(piece.offset, &mut found)?,
            None => lacking.push(piece),
        }
    }
    let mut taker = Taker { machine, image, store: at_hand.store, out, growing: None };
    let total: u64 = lacking.iter().map(|piece| piece.size).sum();
    let mut done = 0;
    for batch in batches(&lacking) {
        observer.event(Event::Bytes(done, total));
        let asked: Vec<_> = batch.iter().map(|(_, range)| (image.path.as_str(), range.clone())).collect();
        for ((piece, _), bytes) in batch.iter().zip(fetch_until(until, ssh, machine, &asked)?) {
            done += bytes.len() as u64;
            taker.take(piece, &bytes)?;
        }
    }
    observer.event(Event::Bytes(0, 0));
    Ok(done)
}

fn gone(seen: &MachineImages) -> BootedError {
    BootedError::Gone {
        host: seen.machine.host.clone(),
        image: seen.machine.image.clone().unwrap_or_else(|| "no image of hoopy's".to_owned()),
        found: seen.images.iter().filter_map(|image| image.name.clone()).collect(),
    }
}

/// What of the file is in no piece; nothing where that is more than any image of ours has.
fn between(image: &RemoteImage) -> Option<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for piece in &image.pieces {
        ranges.push(at..piece.offset);
        at = piece.range().end;
    }
    ranges.push(at..image.size);
    ranges.retain(|range| !range.is_empty());
    let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    (total <= MAX_BETWEEN && image.size <= MAX_IMAGE).then_some(ranges)
}

/// What the image in this file says it is made of, if it is one and says so.
fn pieces_of(path: &Path) -> Option<Vec<Piece>> {
    manifest::of_image(&mut File::open(path).ok()?).ok().flatten()
}

type Here<'a> = HashMap<ContentId, (&'a Path, u64)>;

/// The pieces of these images, by what they say they are.
fn here(images: &[PathBuf]) -> Here<'_> {
    let mut here = Here::new();
    for path in images {
        for piece in pieces_of(path).unwrap_or_default() {
            here.entry(piece.sha256).or_insert((path, piece.offset));
        }
    }
    here
}

/// A piece that is at hand, and has its digest.
fn find(piece: &Piece, here: &Here<'_>, store: &Store) -> Option<Box<dyn Read>> {
    let in_image = || {
        let (path, offset) = here.get(&piece.sha256)?;
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::Start(*offset)).ok()?;
        let good = of_reader(&mut (&mut file).take(piece.size)).ok()? == (piece.sha256, piece.size);
        file.seek(SeekFrom::Start(*offset)).ok()?;
        good.then(|| Box::new(file.take(piece.size)) as Box<dyn Read>)
    };
    let in_store = || {
        let there = store.has_blob(piece.sha256, piece.size);
        let file = there.then(|| store.open_blob(piece.sha256).ok().flatten()).flatten();
        file.map(|file| Box::new(file) as Box<dyn Read>)
    };
    in_image().or_else(in_store)
}

/// What to ask for at once: whole pieces while they are small, parts of large ones.
fn batches<'a>(pieces: &[&'a Piece]) -> Vec<Vec<(&'a Piece, Range<u64>)>> {
    let mut all = Vec::new();
    let mut batch = Vec::new();
    let mut room = BATCH;
    for piece in pieces {
        let mut at = piece.offset;
        while at < piece.range().end {
            let end = piece.range().end.min(at + room);
            batch.push((*piece, at..end));
            room -= end - at;
            at = end;
            if room == 0 {
                all.push(std::mem::take(&mut batch));
                room = BATCH;
            }
        }
    }
    all.extend(Some(batch).filter(|batch| !batch.is_empty()));
    all
}

/// Keeps pieces as they come, in order, and puts them into the file.
struct Taker<'a> {
    machine: &'a Machine,
    image: &'a RemoteImage,
    store: &'a Store,
    out: Out,
    growing: Option<(Pending, u64)>,
}

impl Taker<'_> {
    fn take(&mut self, piece: &Piece, bytes: &[u8]) -> Result<(), DeployError> {
        let (mut pending, before) = match self.growing.take() {
            Some(growing) => growing,
            None => (self.store.pending().map_err(BootedError::from)?, 0),
        };
        let path = self.store.blob_path(piece.sha256);
        let io = |source| BootedError::Store(StoreError::Io { path: path.clone(), source });
        pending.file().write_all(bytes).map_err(io)?;
        let size = before + bytes.len() as u64;
        if size < piece.size {
            self.growing = Some((pending, size));
            return Ok(());
        }
        pending.file().rewind().map_err(io)?;
        let found = of_reader(pending.file()).map_err(io)?.0;
        if found != piece.sha256 {
            let (host, file) = (self.machine.host.clone(), self.image.path.clone());
            return Err(BootedError::Spoilt {
                host,
                file,
                origin: harmless_line(&manifest::in_short(&piece.origins)),
                found,
            }
            .into());
        }
        pending.file().rewind().map_err(io)?;
        self.out.put(piece.offset, pending.file())?;
        Ok(self.store.keep_blob(pending, piece.sha256).map_err(BootedError::from)?)
    }
}

/// The file that is written.
struct Out {
    path: PathBuf,
    file: File,
}

impl Out {
    fn new(path: &Path, size: u64) -> Result<Self, DeployError> {
        // The image may hold keys
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = made.and_then(|file| file.set_len(size).map(|()| file));
        let file = file.map_err(|source| DeployError::Image { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn put(&mut self, at: u64, bytes: &mut dyn Read) -> Result<(), DeployError> {
        let done = self.file.seek(SeekFrom::Start(at)).and_then(|_| io::copy(bytes, &mut self.file));
        done.map(drop).map_err(|source| DeployError::Image { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn piece(offset: u64, size: u64) -> Piece {
        let sha256 = ContentId::of(&offset.to_le_bytes());
        Piece { offset, size, sha256, section: ".initrd".to_owned(), origins: vec!["x".to_owned()] }
    }

    #[test]
    fn large_pieces_come_in_parts_and_small_ones_together() {
        let pieces = [piece(0, 10), piece(10, BATCH + 5), piece(BATCH + 15, 7)];
        let batches = batches(&pieces.iter().collect::<Vec<_>>());
        let ranges: Vec<Vec<Range<u64>>> =
            batches.iter().map(|b| b.iter().map(|(_, range)| range.clone()).collect()).collect();
        assert_eq!(ranges, [vec![0..10, 10..BATCH], vec![BATCH..BATCH + 15, BATCH + 15..BATCH + 22]]);
    }

    #[test]
    fn what_is_in_no_piece_is_little() {
        let image = |size, pieces| RemoteImage { size, pieces, ..RemoteImage::default() };
        let said = between(&image(100, vec![piece(10, 20), piece(30, 5), piece(40, 60)])).unwrap();
        assert_eq!(said, [0..10, 35..40]);
        assert_eq!(between(&image(1 << 30, vec![piece(10, 20)])), None);
    }
}
