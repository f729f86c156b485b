//! What the guest answers: archives, which are read as hostile.
//!
//! The first archive has how the script ended, what it wrote, and which changed directories do not hide what is
//! below them. The second, after a success, is an overlay's upper directory: a character device 0:0 is a deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek as _, SeekFrom, Write as _};

use hoopy_cpio::{Entry as Packed, ReadError, Reader, file_type};

use super::error::MachineError;
use crate::digest::HashingWriter;
use crate::layer::{Entry, EntryPath, Kind, Owner};
use crate::sandbox::{Captured, MAX_ENTRIES, MAX_OUTPUT};
use crate::store::Store;

/// The name that shows through directories which hide nothing.
const SEEN: &[u8] = b"/.hoopy-seen";

/// A list of as many paths as may change, of usual length.
const MERGED_MAX: u64 = 256 << 20;

/// `0` to `255` and a newline, with room for surprises.
const STATUS_MAX: u64 = 16;

/// How a script ended, and what it changed.
pub(super) struct Answer {
    pub(super) status: i32,
    pub(super) captured: Captured,
}

/// An answer could not be read.
pub(super) enum Failure {
    /// The guest or the pipe failed.
    Pipe(io::Error),
    /// Something else did.
    Other(MachineError),
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        Self::Other(error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(e) => Self::Pipe(e),
            ReadError::Truncated { .. } => Self::Pipe(io::ErrorKind::UnexpectedEof.into()),
            other => Self::Other(MachineError::Answer(other.to_string())),
        }
    }
}

/// Reads up to the line that follows the archives. `most` bounds what is written to disk.
pub(super) fn read(from: impl BufRead, most: u64, store: &Store) -> Result<Answer, Failure> {
    let mut reader = Reader::new(from);
    let mut result = Changes::new(most, store)?;
    let (mut status, mut output, mut merged) = (None, Vec::new(), BTreeSet::new());
    while let Some(packed) = reader.next_entry()? {
        if packed.archive > 0 {
            result.add(&packed, &mut reader)?;
            continue;
        }
        match &packed.name[..] {
            b"status" => {
                status = String::from_utf8_lossy(&text(&mut reader, STATUS_MAX)?).trim().parse().ok()
            }
            b"output" => output = text(&mut reader, MAX_OUTPUT as u64)?,
            b"merged" => merged = directories(&text(&mut reader, MERGED_MAX)?),
            _ => return Err(MachineError::Answer(format!("a file {:?}", lossy(&packed.name))).into()),
        }
    }
    let status =
        status.ok_or_else(|| MachineError::Answer("it does not say how the script ended".to_owned()))?;
    let (entries, contents) = result.finish(&merged, store)?;
    Ok(Answer { status, captured: Captured { entries, contents, output } })
}

fn text(from: &mut impl Read, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes).map_err(Failure::Pipe)?;
    Ok(bytes)
}

/// The directories in which the mark was seen.
fn directories(list: &[u8]) -> BTreeSet<Vec<u8>> {
    let dirs = list.split(|&b| b == b'\n').filter_map(|line| line.strip_suffix(SEEN)?.strip_prefix(b"./"));
    dirs.map(<[u8]>::to_vec).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where a file's bytes are among the contents as they came.
type Place = u64;

/// What came so far.
struct Changes {
    entries: BTreeMap<EntryPath, (Entry, Place)>,
    /// The names of each file that has several, by its inode number.
    linked: BTreeMap<u32, Vec<EntryPath>>,
    contents: File,
    written: u64,
    most: u64,
}

impl Changes {
    fn new(most: u64, store: &Store) -> Result<Self, MachineError> {
        let contents = scratch(store)?;
        Ok(Self { entries: BTreeMap::new(), linked: BTreeMap::new(), contents, written: 0, most })
    }

    fn add(&mut self, packed: &Packed, data: &mut impl Read) -> Result<(), Failure> {
        let path = EntryPath::new(&packed.name).map_err(MachineError::from)?;
        if self.entries.len() >= MAX_ENTRIES {
            let what = format!("a script changed more than {MAX_ENTRIES} paths");
            return Err(MachineError::Answer(what).into());
        }
        let Some(kind) = self.kind(packed, data)? else { return Ok(()) };
        if packed.nlink > 1 && packed.mode & file_type::MASK == file_type::FILE {
            self.linked.entry(packed.ino).or_default().push(path.clone());
        }
        let place = self.written - packed_size(&kind);
        let entry = match kind {
            Kind::Whiteout => Entry::new(path.clone(), kind, 0),
            kind => Entry {
                mode: packed.mode & 0o7777,
                user: Owner::id(packed.uid),
                group: Owner::id(packed.gid),
                mtime: packed.mtime.into(),
                ..Entry::new(path.clone(), kind, 0)
            },
        };
        self.entries.insert(path, (entry, place));
        Ok(())
    }

    fn kind(&mut self, packed: &Packed, data: &mut impl Read) -> Result<Option<Kind>, Failure> {
        let (major, minor) = packed.rdev;
        Ok(Some(match packed.mode & file_type::MASK {
            // Which of them hide what is below is told apart later
            file_type::DIR => Kind::Dir { opaque: false },
            file_type::FILE => self.file(packed, data)?,
            file_type::SYMLINK => Kind::Symlink(text(data, hoopy_cpio::PATH_MAX as u64)?),
            file_type::CHAR if (major, minor) == (0, 0) => Kind::Whiteout,
            file_type::CHAR => Kind::Char { major, minor },
            file_type::BLOCK => Kind::Block { major, minor },
            file_type::FIFO => Kind::Fifo,
            // A socket means nothing without the process that listened on it
            _ => return Ok(None),
        }))
    }

    fn file(&mut self, packed: &Packed, data: &mut impl Read) -> Result<Kind, Failure> {
        let size = u64::from(packed.size);
        if self.written + size > self.most {
            let what = format!("a script changed files of more than {} bytes in all", self.most);
            return Err(MachineError::Answer(what).into());
        }
        let mut hashing = HashingWriter::new(&mut self.contents);
        io::copy(&mut data.take(size), &mut hashing).map_err(Failure::Pipe)?;
        let (_, content, passed) = hashing.finish();
        if passed != size {
            return Err(Failure::Pipe(io::ErrorKind::UnexpectedEof.into()));
        }
        self.written += size;
        Ok(Kind::File { size, content })
    }

    /// Entries in the order of their paths, with their contents in that order.
    fn finish(
        mut self,
        merged: &BTreeSet<Vec<u8>>,
        store: &Store,
    ) -> Result<(Vec<Entry>, File), MachineError> {
        self.link();
        let io = |e| MachineError::io("take what a script changed")(e);
        let mut contents = scratch(store)?;
        let mut entries = Vec::with_capacity(self.entries.len());
        for (mut entry, place) in self.entries.into_values() {
            if let Kind::Dir { opaque } = &mut entry.kind {
                *opaque = !merged.contains(entry.path.as_bytes());
            }
            if entry.size() > 0 {
                self.contents.seek(SeekFrom::Start(place)).map_err(io)?;
                io::copy(&mut (&self.contents).take(entry.size()), &mut contents).map_err(io)?;
            }
            entries.push(entry);
        }
        contents.flush().and_then(|()| contents.rewind()).map_err(io)?;
        Ok((entries, contents))
    }

    /// Of the names of one file the archive gives the bytes to one. In a layer that is the first, and the others
    /// refer to it.
    fn link(&mut self) {
        for names in self.linked.values_mut() {
            names.sort_unstable();
            names.dedup();
            let full = names.iter().filter_map(|n| self.entries.get(n)).find(|(e, _)| e.size() > 0).cloned();
            let [first, others @ ..] = names.as_slice() else { continue };
            if let (Some((full, place)), Some(slot)) = (full, self.entries.get_mut(first)) {
                *slot = (Entry { path: first.clone(), ..full }, place);
            }
            for name in others {
                if let Some((entry, _)) = self.entries.get_mut(name) {
                    entry.kind = Kind::Hardlink(first.clone());
                }
            }
        }
    }
}

fn packed_size(kind: &Kind) -> u64 {
    if let Kind::File { size, .. } = kind { *size } else { 0 }
}

fn scratch(store: &Store) -> Result<File, MachineError> {
    store.scratch().map_err(|e| MachineError::io("make a temporary file")(io::Error::other(e)))
}
