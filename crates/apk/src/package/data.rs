//! The data member: the package's files as a stream, each checked on the way.
//!
//! What is refused here would leave the root or be lost in silence: paths that are absolute or hold `..`, a path
//! below what the package itself made a link or a file, a path twice, a hard link to nothing.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use sha1::{Digest as _, Sha1};

use super::PackageError;
use crate::gzip::{Digests, Member};
use crate::tar::{self, TarError};

/// Ten times what the largest package of Alpine has.
pub const MAX_FILES: usize = 1 << 20;

/// What a package's files may have together: an image lives in memory, and no package of Alpine has a tenth.
pub const MAX_DATA: u64 = 16 << 30;

/// How much more than this many times its own size a package may hold, and the allowance for small ones: files of
/// Alpine's packages shrink to a twentieth at most.
const MAX_RATIO: (u64, u64) = (200, 64 << 20);

/// NAME_MAX of every filesystem it may be unpacked on.
const MAX_NAME: usize = 255;

/// What a file of a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// A file with content, or another name of one.
    File,
    /// A link, device or pipe.
    Other,
}

/// The files of a package, still to be read.
#[derive(Debug)]
pub struct Data<R: BufRead> {
    archive: tar::Reader<Member<R>>,
    datahash: Option<[u8; 32]>,
    seen: HashMap<Vec<u8>, FileKind>,
    /// How many bytes of content are still allowed.
    left: u64,
}

/// One file, with its content where it has any. It is checked against its SHA-1 as it is read.
#[derive(Debug)]
pub struct File<'a, R: BufRead> {
    /// Its header: the path is relative and normal.
    pub entry: tar::Entry,
    archive: &'a mut tar::Reader<Member<R>>,
    hash: Option<Sha1>,
}

impl<R: BufRead> Data<R> {
    pub(super) fn new(rest: R, datahash: Option<[u8; 32]>) -> Self {
        let member = Member::new(rest, Digests::sha256());
        Self { archive: tar::Reader::new(member), datahash, seen: HashMap::new(), left: MAX_DATA }
    }

    /// Bounds what the files may hold, for a package file of `size` bytes: a few bytes could inflate to a full
    /// disk.
    pub fn bound(&mut self, size: u64) {
        let (times, allowance) = MAX_RATIO;
        self.left = self.left.min(size.saturating_mul(times).saturating_add(allowance));
    }

    /// The next file.
    ///
    /// # Errors
    /// [`PackageError`] for a path that must not be, or a damaged archive.
    pub fn next_file(&mut self) -> Result<Option<File<'_, R>>, PackageError> {
        loop {
            let Some(entry) = self.archive.next()? else { return Ok(None) };
            // `./` itself: some packages list their root.
            if matches!(entry.path.as_slice(), b"" | b".") && entry.kind == tar::Kind::Dir {
                continue;
            }
            let entry = self.admit(entry)?;
            let hash =
                matches!(entry.kind, tar::Kind::File(_)).then(Sha1::new).filter(|_| entry.sha1.is_some());
            return Ok(Some(File { entry, archive: &mut self.archive, hash }));
        }
    }

    /// Reads to the end: the data must be what `.PKGINFO` says, and the last there is.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn finish(self) -> Result<(), PackageError> {
        let (mut rest, digested) = self.archive.into_inner().finish()?;
        if let Some(expected) = self.datahash.filter(|e| *e != digested.sha256) {
            let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
            return Err(PackageError::DataHash { expected: hex(&expected), found: hex(&digested.sha256) });
        }
        if rest.fill_buf()?.is_empty() { Ok(()) } else { Err(PackageError::Trailing) }
    }

    fn admit(&mut self, mut entry: tar::Entry) -> Result<tar::Entry, PackageError> {
        entry.path = normal(&entry.path)?;
        let bad = |reason| PackageError::Path { path: shown(&entry.path), reason };
        let kind = match &entry.kind {
            tar::Kind::Dir => FileKind::Dir,
            tar::Kind::File(size) => {
                self.left = self.left.checked_sub(*size).ok_or(PackageError::TooLarge)?;
                FileKind::File
            }
            tar::Kind::Hardlink(target) => {
                let target = normal(target)?;
                if self.seen.get(&target) != Some(&FileKind::File) {
                    return Err(bad("a hard link to what is no file earlier in the package"));
                }
                FileKind::File
            }
            _ => FileKind::Other,
        };
        if self.seen.len() >= MAX_FILES {
            return Err(PackageError::TooManyFiles);
        }
        let mut above = entry.path.as_slice();
        while let Some(cut) = above.iter().rposition(|&b| b == b'/') {
            above = &above[..cut];
            match self.seen.get(above) {
                None => {}
                Some(FileKind::Dir) => break,
                Some(_) => return Err(bad("it lies below what the package made a file or a link")),
            }
        }
        match self.seen.insert(entry.path.clone(), kind) {
            None => {}
            Some(FileKind::Dir) if kind == FileKind::Dir => {}
            Some(_) => return Err(bad("the package has it twice")),
        }
        if let tar::Kind::Hardlink(target) = &mut entry.kind {
            *target = normal(target)?;
        }
        Ok(entry)
    }
}

impl<R: BufRead> File<'_, R> {
    /// Reads what is left of the content, and checks it.
    ///
    /// # Errors
    /// [`PackageError`] when it is not what its SHA-1 says.
    pub fn skip(&mut self) -> Result<(), PackageError> {
        io::copy(self, &mut io::sink()).map_err(|e| match e.get_ref() {
            Some(inner) if inner.is::<WrongContent>() => {
                PackageError::FileChecksum { path: shown(&self.entry.path) }
            }
            _ => e.into(),
        })?;
        Ok(())
    }
}

/// A file's content is not what its checksum says.
#[derive(Debug, thiserror::Error)]
#[error("a file's content has not the SHA-1 that its package says")]
struct WrongContent;

impl<R: BufRead> Read for File<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !matches!(self.entry.kind, tar::Kind::File(_)) {
            return Ok(0);
        }
        let n = self.archive.read(buffer)?;
        if n > 0 || buffer.is_empty() {
            self.hash.iter_mut().for_each(|h| h.update(&buffer[..n]));
            return Ok(n);
        }
        let found = self.hash.take().map(|hash| <[u8; 20]>::from(hash.finalize()));
        if found.is_some() && found != self.entry.sha1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, WrongContent));
        }
        Ok(0)
    }
}

/// A relative path without `.`, `..` and empty components; `./` in front is taken off.
fn normal(path: &[u8]) -> Result<Vec<u8>, PackageError> {
    let bad = |reason| Err(PackageError::Path { path: shown(path), reason });
    let inner = path.strip_prefix(b"./").unwrap_or(path);
    if inner.starts_with(b"/") {
        return bad("an absolute path");
    }
    if inner.contains(&0) || inner.contains(&b'\n') {
        return bad("a path with a NUL or a newline");
    }
    for name in inner.split(|&b| b == b'/') {
        match name {
            b".." => return bad("a path with `..`, which could leave the root"),
            b"" | b"." => return bad("a path with an empty or `.` component"),
            _ if name.len() > MAX_NAME => return bad("a name longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(inner.to_vec())
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl From<PackageError> for io::Error {
    fn from(e: PackageError) -> Self {
        match e {
            PackageError::Tar(TarError::Io(e)) => e,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
