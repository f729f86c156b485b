//! What the guest answers: archives, which are read as hostile.
//!
//! The first archive has how the script ended, what it wrote, and which changed directories do not hide what is
//! below them. The second, after a success, is an overlay's upper directory: a character device 0:0 is a deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek as _, SeekFrom, Write as _};

use hoopy_base::digest::HashingWriter;
use hoopy_cpio::{Entry as Packed, ReadError, Reader, file_type};
use hoopy_sandbox::{Captured, MAX_OUTPUT, Names};
use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath, Kind, Owner};

use super::error::MachineError;

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
    let mut changes = Changes::new(most, store)?;
    let (mut status, mut output, mut merged) = (None, Vec::new(), BTreeSet::new());
    while let Some(packed) = reader.next_entry()? {
        if packed.archive > 0 {
            changes.add(&packed, &mut reader)?;
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
    let status = match status {
        Some(status) => status,
        None if reader.position() == 0 => return Err(Failure::Pipe(io::ErrorKind::UnexpectedEof.into())),
        None => return Err(MachineError::Answer("it does not say how the script ended".to_owned()).into()),
    };
    let (entries, contents) = changes.finish(&merged, store)?;
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
    /// How much the names take.
    names: Names,
    contents: File,
    written: u64,
    most: u64,
}

impl Changes {
    fn new(most: u64, store: &Store) -> Result<Self, MachineError> {
        let contents = scratch(store)?;
        let (entries, linked) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { entries, linked, names: Names::default(), contents, written: 0, most })
    }

    fn add(&mut self, packed: &Packed, data: &mut impl Read) -> Result<(), Failure> {
        let path = EntryPath::new(&packed.name).map_err(MachineError::from)?;
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
        self.names.entry(&entry).map_err(|e| MachineError::Answer(e.to_string()))?;
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
    store.scratch().into_file().map_err(MachineError::io("make a temporary file"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::ContentId;
    use hoopy_cpio::{Header, Writer};

    use super::*;

    /// Name, mode with its type, inode number, number of names, content.
    type File<'a> = (&'a str, u32, u32, u32, &'a str);

    const RESULT: [File<'_>; 3] = [
        ("status", 0o100_644, 1, 1, "0\n"),
        ("output", 0o100_644, 2, 1, "said"),
        ("merged", 0o100_644, 3, 1, "./etc/.hoopy-seen\n"),
    ];

    fn archive(files: &[File<'_>]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for &(name, mode, ino, nlink, content) in files {
            let header = Header { name: name.as_bytes(), mode, ino, nlink, ..Header::default() };
            writer.entry(&header, content.len() as u64).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn take(bytes: &[u8], most: u64) -> Result<Answer, String> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        read(bytes, most, &store).map_err(|failure| match failure {
            Failure::Pipe(e) => format!("pipe: {}", e.kind()),
            Failure::Other(e) => e.to_string(),
        })
    }

    #[test]
    fn gives_what_changed_in_order_with_links_and_deletions() {
        let changed = archive(&[
            ("./etc", 0o040_755, 1, 2, ""),
            ("./etc/gone", 0o020_000, 9, 2, ""),
            ("./new", 0o040_700, 2, 2, ""),
            ("./z", 0o100_600, 5, 1, "zz"),
            ("./b", 0o104_755, 7, 2, ""),
            ("./a", 0o104_755, 7, 2, "one"),
        ]);
        let answer = take(&[archive(&RESULT), changed, b"end\n".to_vec()].concat(), 100).unwrap();
        let mut captured = answer.captured;
        let shown: Vec<_> = captured.entries.iter().map(|e| (e.path.to_string(), e.kind.clone())).collect();
        let file =
            |text: &str| Kind::File { size: text.len() as u64, content: ContentId::of(text.as_bytes()) };
        let expected = [
            ("a", file("one")),
            ("b", Kind::Hardlink(EntryPath::new("a").unwrap())),
            ("etc", Kind::Dir { opaque: false }),
            ("etc/gone", Kind::Whiteout),
            ("new", Kind::Dir { opaque: true }),
            ("z", file("zz")),
        ];
        assert_eq!(shown, expected.map(|(path, kind)| (path.to_owned(), kind)));
        assert_eq!((captured.entries[0].mode, answer.status), (0o4755, 0));
        assert_eq!(captured.output, b"said");
        let mut contents = String::new();
        captured.contents.read_to_string(&mut contents).unwrap();
        assert_eq!(contents, "onezz");
    }

    #[test]
    fn a_guest_cannot_reach_out_of_the_image_or_fill_the_disk() {
        let with = |file: File<'_>| take(&[archive(&RESULT), archive(&[file])].concat(), 10).map(drop);
        let outside = with(("../x", 0o100_644, 1, 1, "")).unwrap_err();
        assert!(outside.contains("could leave the root"), "{outside}");
        let large = with(("./x", 0o100_644, 1, 1, "more than ten bytes")).unwrap_err();
        assert!(large.contains("more than 10 bytes"), "{large}");
    }

    #[test]
    fn an_answer_cut_short_is_the_end_of_the_machine() {
        let whole = [archive(&RESULT), archive(&[("./z", 0o100_600, 5, 1, "zz")])].concat();
        assert_eq!(take(b"", 100).map(drop), Err("pipe: unexpected end of file".to_owned()));
        // Where the first archive is whole and the second has not begun, it is the line `end` that is missed
        let between = archive(&RESULT).len();
        for end in (0..whole.len()).filter(|end| *end != between) {
            assert!(take(&whole[..end], 100).is_err(), "cut at {end}");
        }
        assert!(take(b"end\n", 100).is_err());
    }
}
