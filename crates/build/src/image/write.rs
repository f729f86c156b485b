//! Writing what was described: literal bytes, and segments copied out of the store by the system, which shares
//! the blocks where the filesystem can.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use hoopy_base::atomic::{Readers, directory_of};
use hoopy_store::Store;
use hoopy_trust::authenticode::{Layout, Scan, Scanner};
use hoopy_trust::image::{ImageSigner, SignImageError};
use hoopy_uki::{Extent, Plan, Section};

use super::initramfs::Content;
use super::measured::each_part;
use super::{ImageDraft, ImageError, Initramfs, KernelFile};

/// How a finished image gets its name.
pub struct Publication<'a> {
    /// Who signs it.
    pub signer: Option<&'a ImageSigner>,
    /// Who may read it.
    pub readers: Readers,
}

/// Writes the unified kernel image `plan`, which has neither the initramfs nor the kernel, to `path`. Some of it may be
/// written already in a `draft`, which is asked for when nothing else is left to do: a draft made of the previous image
/// mostly has the kernel in its place, which is not read then. It is signed before it has its name.
///
/// # Errors
/// [`ImageError::Io`], [`ImageError::Sign`]; nothing is left at `path` then that was not there before.
pub fn uki_to(
    path: &Path,
    plan: &mut Plan,
    initramfs: &Initramfs,
    kernel: &KernelFile<'_>,
    store: &Store,
    publication: &Publication<'_>,
    draft: impl FnOnce() -> Option<ImageDraft>,
) -> Result<u64, ImageError> {
    let total = plan.checksum(|section| match section {
        Section::Linux => kernel.checksum(),
        _ => initramfs.checksum(),
    });
    plan.set_checksum(total);
    let (plan, signer) = (&*plan, publication.signer.filter(|signer| signer.signs_programs()));
    std::thread::scope(|scope| {
        // What is signed is what was meant, not what the file has; so nothing waits for that.
        let scanning = signer.map(|_| scope.spawn(|| scan(plan, initramfs, kernel, store)));
        let written = fill(path, plan, initramfs, kernel, store, draft);
        let scanned = scanning.map(|s| s.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let (draft, size) = written?;
        keep(draft, size, initramfs, publication, scanned.transpose()?, path)
    })
}

/// Writes what is not in the draft yet; gives where it ends.
fn fill(
    path: &Path,
    plan: &Plan,
    initramfs: &Initramfs,
    kernel: &KernelFile<'_>,
    store: &Store,
    draft: impl FnOnce() -> Option<ImageDraft>,
) -> Result<(ImageDraft, u64), ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    let mut draft = draft().map_or_else(|| new(path), Ok).map_err(io)?;
    let mut at = 0;
    for extent in plan.extents() {
        at = match extent {
            Extent::Literal(bytes) => {
                draft.write_at(at, bytes).map_err(io)?;
                at + bytes.len() as u64
            }
            Extent::External { section: Section::Linux, size } => {
                if !draft.has(at, *size, kernel.content()) {
                    draft.write_at(at, &kernel.bytes()?).map_err(io)?;
                }
                at + size
            }
            Extent::External { .. } => lay(&mut draft, at, initramfs, store).map_err(io)?,
        };
    }
    Ok((draft, at))
}

/// What the image's signatures are of.
fn scan(
    plan: &Plan,
    initramfs: &Initramfs,
    kernel: &KernelFile<'_>,
    store: &Store,
) -> Result<Scan, ImageError> {
    let layout = Layout::new(plan.headers(), plan.size()).map_err(SignImageError::from)?;
    let mut scanner = Scanner::new(layout);
    for extent in plan.extents() {
        match extent {
            Extent::Literal(bytes) => scanner.update(bytes),
            Extent::External { section: Section::Linux, .. } => scanner.update(&kernel.bytes()?),
            Extent::External { .. } => {
                for piece in &initramfs.pieces {
                    each_part(&piece.content, store, |part| scanner.update(part))?;
                }
            }
        }
    }
    Ok(scanner.finish())
}

/// Writes the initramfs on its own to `path`.
///
/// # Errors
/// [`ImageError::Io`].
pub fn initramfs_to(
    path: &Path,
    initramfs: &Initramfs,
    store: &Store,
    readers: Readers,
) -> Result<u64, ImageError> {
    let write = || {
        let mut draft = new(path)?;
        let end = lay(&mut draft, 0, initramfs, store)?;
        Ok((draft, end))
    };
    let (draft, end) = write().map_err(|source| ImageError::Io { path: path.to_owned(), source })?;
    keep(draft, end, initramfs, &Publication { signer: None, readers }, None, path)
}

fn new(path: &Path) -> io::Result<ImageDraft> {
    ImageDraft::empty(directory_of(path))
}

/// Puts a finished draft, which may be longer than what it came to, in its place; gives its size, signed. What holds secrets
/// in the clear is for its owner alone.
fn keep(
    draft: ImageDraft,
    size: u64,
    initramfs: &Initramfs,
    publication: &Publication<'_>,
    scan: Option<Scan>,
    path: &Path,
) -> Result<u64, ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    let mut pending = draft.into_pending();
    let readers = if initramfs.is_secret() { Readers::Owner } else { publication.readers };
    pending.file().set_len(size).map_err(io)?;
    let signed = publication.signer.zip(scan).map(|(by, scan)| by.sign_scanned(pending.file(), &scan));
    let signed = signed.transpose()?;
    pending.keep(path, readers).map_err(io)?;
    Ok(signed.unwrap_or(size))
}

/// Writes what is not there of the initramfs, which starts at `at`; gives where it ends.
fn lay(out: &mut ImageDraft, mut at: u64, initramfs: &Initramfs, store: &Store) -> io::Result<u64> {
    for piece in &initramfs.pieces {
        if !out.has(at, piece.size(), piece.digest()) {
            put(out.file_at(at)?, &piece.content, store)?;
        }
        at += piece.size();
    }
    Ok(at)
}

pub(super) fn put(out: &mut File, content: &Content, store: &Store) -> io::Result<()> {
    let segment = match content {
        Content::Bytes(bytes, _) => return out.write_all(bytes),
        Content::Secrets(archive, _) => return out.write_all(archive.as_bytes()),
        Content::Segment(segment) => segment,
    };
    let mut from = File::open(store.segment_path(segment.key))?;
    let copied = io::copy(&mut from, out)?;
    if copied == segment.size {
        return Ok(());
    }
    let message =
        format!("segment {} of the store has {copied} bytes, and had {}", segment.key, segment.size);
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
}
