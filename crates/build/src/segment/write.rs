//! From a layer to a newc archive, compressed as it is written.
//!
//! The kernel reads it in order (init/initramfs.c), so: a directory stands before what it holds; a hard link's
//! bytes stand under the first of its names that is not masked. A directory that several layers have is written once,
//! and again only where it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use hoopy_base::digest::{ContentId, HashingWriter};
use hoopy_cpio::{Header, WriteError, Writer, file_type};
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::{Store, StoreError};
use hoopy_uki::Checksum;

use super::Plan;
use super::links::{Group, groups};

/// A segment that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The layer's contents could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be written.
    #[error("an initramfs segment could not be written: {0}")]
    Write(#[from] io::Error),
}

/// What holds no more than this becomes an archive in memory first: a codec that knows the size needs less of it, and
/// most segments are small.
const SMALL: u64 = super::groups::FULL;

/// Writes the plan's segment to `out`; gives its digest, and its part of the image's checksum.
pub(super) fn compress(
    plan: &Plan,
    store: &Store,
    out: &mut File,
) -> Result<(ContentId, Checksum), SegmentError> {
    let out = Summing { inner: HashingWriter::new(out), sum: Checksum::new() };
    let out = BufWriter::with_capacity(256 << 10, out);
    let codec = plan.fitting_codec();
    let encoder = if plan.size() <= SMALL {
        // Headers and names of most files have less than that.
        let mut archive = Vec::with_capacity((plan.size() + plan.left().count() as u64 * 192) as usize);
        write_archive(plan, store, &mut archive)?;
        let mut encoder = codec.encode(out, Some(archive.len() as u64))?;
        encoder.write_all(&archive)?;
        encoder
    } else {
        let mut encoder = codec.encode(out, None)?;
        write_archive(plan, store, &mut encoder)?;
        encoder
    };
    let summing = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    let (_, content, _) = summing.inner.finish();
    Ok((content, summing.sum))
}

/// Writes the plan's archive, not compressed, with its trailer.
///
/// # Errors
/// [`SegmentError`].
pub fn write_archive(plan: &Plan, store: &Store, out: impl Write) -> Result<(), SegmentError> {
    let mut written = Written { cpio: Writer::new(out), directories: HashMap::new(), inodes: FIRST_INODE };
    for member in &plan.members {
        let masked: BTreeSet<usize> = member.masked.iter().copied().collect();
        let entries = &member.layer.entries;
        let groups = groups(entries, &|i| masked.contains(&i));
        let (masked, early) = (&masked, BTreeSet::new());
        let mut archive = Archive { written: &mut written, entries, masked, groups, early };
        let mut index = 0;
        member.layer.stream(store, &mut |entry, content| {
            archive.entry(index, entry, content)?;
            index += 1;
            Ok(())
        })?;
        written.inodes = written.inodes.saturating_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
    }
    written.cpio.finish().map_err(refused)?;
    Ok(())
}

/// Inode 0 is what some readers take for none.
const FIRST_INODE: u32 = 1;

/// What is written of the archive.
struct Written<'a, W: Write> {
    cpio: Writer<W>,
    /// Mode, owner and group, as the kernel has them by now.
    directories: HashMap<&'a EntryPath, (u32, u32, u32)>,
    /// The inode number of the layer's first entry.
    inodes: u32,
}

/// A layer being written.
struct Archive<'w, 'a, W: Write> {
    written: &'w mut Written<'a, W>,
    entries: &'a [Entry],
    masked: &'w BTreeSet<usize>,
    groups: BTreeMap<usize, Group>,
    /// Entries written before their turn: a later name of a file whose first name is masked, and its parents.
    early: BTreeSet<usize>,
}

impl<W: Write> Archive<'_, '_, W> {
    fn entry(&mut self, index: usize, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        if let Some(group) = self.groups.remove(&index) {
            return self.linked(&group, entry, content);
        }
        if self.masked.contains(&index) || self.early.contains(&index) {
            return Ok(());
        }
        match &entry.kind {
            // Written with its group, when the bytes passed by.
            Kind::Hardlink(_) | Kind::Whiteout => Ok(()),
            _ => self.write(entry, entry.size(), 1, index, content),
        }
    }

    /// All names of one file at once, since the bytes pass by only now.
    fn linked(&mut self, group: &Group, source: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let nlink = group.names.len() as u32;
        let Some(&ino) = group.names.first() else { return Ok(()) };
        for (nth, &index) in group.names.iter().enumerate() {
            self.parents(index)?;
            self.early.insert(index);
            let name = Entry { path: self.entries[index].path.clone(), ..source.clone() };
            let size = if nth == 0 { source.size() } else { 0 };
            self.write(&name, size, nlink, ino, content)?;
        }
        Ok(())
    }

    /// The directories of the layer above an entry written before its turn.
    fn parents(&mut self, index: usize) -> io::Result<()> {
        let path = &self.entries[index].path;
        for (i, entry) in self.entries.iter().enumerate() {
            let above = entry.is_dir() && path.is_within(entry.path.as_bytes());
            if above && i < index && !self.masked.contains(&i) && self.early.insert(i) {
                self.write(entry, 0, 1, i, &mut io::empty())?;
            }
        }
        Ok(())
    }

    /// Writes an entry; `index` is its place in the layer, or that of another name of the same file.
    fn write(
        &mut self,
        e: &Entry,
        size: u64,
        nlink: u32,
        index: usize,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        if let Some(Entry { path, .. }) = self.entries.get(index).filter(|_| e.is_dir())
            && self.written.directories.insert(path, e.access()) == Some(e.access())
        {
            return Ok(());
        }
        let (kind, target, rdev) = match &e.kind {
            Kind::Dir { .. } => (file_type::DIR, None, (0, 0)),
            Kind::File { .. } | Kind::Hardlink(_) => (file_type::FILE, None, (0, 0)),
            Kind::Symlink(target) => (file_type::SYMLINK, Some(target), (0, 0)),
            Kind::Char { major, minor } => (file_type::CHAR, None, (*major, *minor)),
            Kind::Block { major, minor } => (file_type::BLOCK, None, (*major, *minor)),
            Kind::Fifo | Kind::Whiteout => (file_type::FIFO, None, (0, 0)),
        };
        let header = Header {
            name: e.path.as_bytes(),
            ino: self.written.inodes.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)),
            mode: kind | e.mode,
            uid: e.user.id,
            gid: e.group.id,
            nlink: if e.is_dir() { 2 } else { nlink },
            mtime: u32::try_from(e.mtime).unwrap_or(u32::MAX),
            rdev,
        };
        match target {
            Some(target) => {
                self.written.cpio.entry(&header, target.len() as u64).map_err(refused)?;
                self.written.cpio.write_all(target)
            }
            None => {
                self.written.cpio.entry(&header, size).map_err(refused)?;
                if size > 0 {
                    io::copy(content, &mut self.written.cpio)?;
                }
                Ok(())
            }
        }
    }
}

fn refused(e: WriteError) -> io::Error {
    match e {
        WriteError::Io(e) => e,
        other => io::Error::other(other),
    }
}

/// Sums what passes.
struct Summing<W> {
    inner: W,
    sum: Checksum,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.sum.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
