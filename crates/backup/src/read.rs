//! Reading the tar archive of a backup, entry by entry.

use std::io::{self, Read};

use super::error::BackupError;
use super::header::{BLOCK, Header, Kind};
use super::manifest::{self, MANIFEST, Manifest, is_plain};
use super::pax;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its manifest.
    pub manifest: Manifest,
    /// How many files, directories and links.
    pub entries: u64,
    /// How many of them are files.
    pub files: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Receives the entries of an archive, each with its content.
pub type Sink<'a> = dyn FnMut(&Header, &mut dyn Read) -> Result<(), BackupError> + 'a;

/// Reads all entries of `input`, in their order; what follows the end of the archive is left unread.
pub fn entries(input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), BackupError> {
    let mut records = Vec::new();
    loop {
        let mut block = [0; BLOCK];
        input.read_exact(&mut block).map_err(|e| BackupError::damaged(&e))?;
        if block == [0; BLOCK] {
            return Ok(());
        }
        let mut header = Header::decode(&block).map_err(BackupError::Damaged)?;
        if header.kind == Kind::Pax {
            records = extended(&header, input)?;
            continue;
        }
        pax::apply(&std::mem::take(&mut records), &mut header).map_err(BackupError::Damaged)?;
        if matches!(header.kind, Kind::Directory) && header.path.ends_with(b"/") {
            header.path.pop();
        }
        let mut content = Content { input, left: header.size };
        sink(&header, &mut content)?;
        let left = content.left;
        skip(input, left)?;
        skip(input, padding(header.size))?;
    }
}

/// How many bytes fill up the last block of a content of `size` bytes.
pub fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

fn extended(header: &Header, input: &mut dyn Read) -> Result<Vec<u8>, BackupError> {
    if header.size > pax::MAX {
        return Err(BackupError::Damaged(format!("a pax header of {} bytes", header.size)));
    }
    let mut records = vec![0; usize::try_from(header.size).unwrap_or_default()];
    input.read_exact(&mut records).map_err(|e| BackupError::damaged(&e))?;
    skip(input, padding(header.size))?;
    Ok(records)
}

fn skip(input: &mut dyn Read, bytes: u64) -> Result<(), BackupError> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink()).map_err(|e| BackupError::damaged(&e))?;
    if skipped == bytes { Ok(()) } else { Err(BackupError::damaged(&io::ErrorKind::UnexpectedEof.into())) }
}

/// The content of an entry; one that ends early is an error.
struct Content<'a> {
    input: &'a mut dyn Read,
    left: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.input.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Receives the entries of a backup, with its manifest.
pub type BackupSink<'a> = dyn FnMut(&Manifest, &Entry<'_>, &mut dyn Read) -> Result<(), BackupError> + 'a;

/// Reads the entries of a backup: the manifest first, then what lies below its directories. Those go to `sink`, each with the
/// number of its directory, and with its path below that.
pub fn backup(input: &mut dyn Read, sink: &mut BackupSink<'_>) -> Result<Contents, BackupError> {
    let mut contents: Option<Contents> = None;
    entries(input, &mut |header, content| {
        let Some(contents) = &mut contents else {
            let manifest = first(header, content)?;
            contents = Some(Contents { manifest, entries: 0, files: 0, bytes: 0 });
            return Ok(());
        };
        let entry = Entry::of(header, &contents.manifest)?;
        contents.entries += 1;
        contents.files += u64::from(matches!(header.kind, Kind::File | Kind::Hardlink));
        contents.bytes += header.size;
        sink(&contents.manifest, &entry, content)
    })?;
    contents.ok_or(BackupError::NotABackup { expected: MANIFEST, found: "an empty archive".to_owned() })
}

fn first(header: &Header, content: &mut dyn Read) -> Result<Manifest, BackupError> {
    if header.path != MANIFEST.as_bytes() || header.size > manifest::MAX {
        let found = String::from_utf8_lossy(&header.path).into_owned();
        return Err(BackupError::NotABackup { expected: MANIFEST, found });
    }
    let mut text = Vec::new();
    content.read_to_end(&mut text).map_err(|e| BackupError::damaged(&e))?;
    Manifest::parse(&text)
}

/// An entry below one of the directories.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The header, whose path and, for a hard link, whose target are below that directory.
    pub header: &'a Header,
    /// Which of the manifest's directories it is in.
    pub directory: usize,
    /// Its path below that; empty for the directory itself.
    pub path: &'a [u8],
    /// For a hard link, the same path of the file that it links to; otherwise empty.
    pub first: &'a [u8],
}

impl<'a> Entry<'a> {
    fn of(header: &'a Header, manifest: &Manifest) -> Result<Self, BackupError> {
        let stray = |path: &[u8]| BackupError::NotABackup {
            expected: "paths below the directories of its manifest",
            found: String::from_utf8_lossy(path).into_owned(),
        };
        let below = |path: &'a [u8]| {
            let found = manifest.directories.iter().enumerate().find_map(|(at, directory)| {
                let rest = path.strip_prefix(directory.as_bytes())?;
                if rest.is_empty() { Some((at, rest)) } else { Some((at, rest.strip_prefix(b"/")?)) }
            });
            found.filter(|_| is_plain(path)).ok_or_else(|| stray(path))
        };
        let (directory, path) = below(&header.path)?;
        let first = match header.kind {
            Kind::Hardlink => match below(&header.target)? {
                (same, first) if same == directory && !first.is_empty() => first,
                _ => return Err(stray(&header.target)),
            },
            _ => b"",
        };
        if path.is_empty() && header.kind != Kind::Directory {
            return Err(stray(&header.path));
        }
        Ok(Self { header, directory, path, first })
    }
}
