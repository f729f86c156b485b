//! The package's files as a stream, each checked on the way: out of the data member of v2, or the blocks of v3.

use std::io::{self, BufRead, Read};

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::PackageError;
use super::admit::{Admission, shown};
use crate::adb::AdbError;
use crate::adb::container::Blocks;
use crate::adb::package::Listed;
use crate::gzip::{Digests, Member};
use crate::tar::{self, TarError};

/// The files of a package, still to be read.
#[derive(Debug)]
pub struct Data<R: BufRead> {
    source: Source<R>,
    admission: Admission,
    proof: Proof,
}

/// Whether anything else vouches for a package's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The whole file was digested.
    Given,
    /// They are good if they are what the control files say, and no better than these.
    Wanted,
}

/// Where the files come from.
#[derive(Debug)]
enum Source<R: BufRead> {
    V2 { archive: Box<tar::Reader<Member<R>>>, datahash: Option<[u8; 32]> },
    V3 { listed: std::vec::IntoIter<Listed>, blocks: Blocks<R> },
}

/// One file, with its content where it has any. That is checked against its checksum as it is read, unless the whole
/// package was proved.
#[derive(Debug)]
pub struct File<'a, R: BufRead> {
    /// Its header: the path is relative and normal.
    pub entry: tar::Entry,
    source: &'a mut Source<R>,
    check: Option<Check>,
}

/// A content's checksum, and what has been digested of it.
#[derive(Debug)]
enum Check {
    Sha1(Sha1, [u8; 20]),
    Sha256(Sha256, [u8; 32]),
}

impl Check {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash, _) => hash.update(bytes),
            Self::Sha256(hash, _) => hash.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self {
            Self::Sha1(hash, expected) => expected == <[u8; 20]>::from(hash.finalize()),
            Self::Sha256(hash, expected) => expected == <[u8; 32]>::from(hash.finalize()),
        }
    }
}

impl<R: BufRead> Data<R> {
    /// The data member that begins where `rest` is.
    pub(super) fn v2(rest: R, datahash: Option<[u8; 32]>, proof: Proof) -> Self {
        let datahash = datahash.filter(|_| proof == Proof::Wanted);
        let digests = if datahash.is_some() { Digests::sha256() } else { Digests::default() };
        let archive = Box::new(tar::Reader::new(Member::new(rest, digests)));
        Self { source: Source::V2 { archive, datahash }, admission: Admission::new(), proof }
    }

    /// The blocks that follow a database which lists these files.
    pub(super) fn v3(blocks: Blocks<R>, listed: Vec<Listed>, proof: Proof) -> Self {
        let listed = listed.into_iter();
        Self { source: Source::V3 { listed, blocks }, admission: Admission::new(), proof }
    }

    /// Bounds what the files may hold, for a package file of `size` bytes: a few bytes could inflate to a full
    /// disk.
    pub fn bound(&mut self, size: u64) {
        self.admission.bound(size);
    }

    /// The next file.
    ///
    /// # Errors
    /// [`PackageError`] for a path that must not be, or a damaged archive.
    pub fn next_file(&mut self) -> Result<Option<File<'_, R>>, PackageError> {
        let Some((entry, number, sha256)) = self.source.next()? else { return Ok(None) };
        let entry = self.admission.admit(entry)?;
        let mut check = None;
        if let tar::Kind::File(size) = entry.kind {
            self.source.content(number, size, &entry.path)?;
            if self.proof == Proof::Wanted {
                let sha1 = entry.sha1.map(|expected| Check::Sha1(Sha1::new(), expected));
                check = sha256.map(|expected| Check::Sha256(Sha256::new(), expected)).or(sha1);
            }
        }
        Ok(Some(File { entry, source: &mut self.source, check }))
    }

    /// Reads to the end: the data must be what the package says of it, and the last there is.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn finish(mut self) -> Result<(), PackageError> {
        if let Source::V3 { .. } = self.source {
            while let Some(mut file) = self.next_file()? {
                file.skip()?;
            }
        }
        let end = match self.source {
            Source::V2 { archive, datahash } => {
                let (mut rest, digested) = archive.into_inner().finish()?;
                if let Some(expected) = datahash.filter(|e| *e != digested.sha256) {
                    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
                    let (expected, found) = (hex(&expected), hex(&digested.sha256));
                    return Err(PackageError::DataHash { expected, found });
                }
                rest.fill_buf()?.is_empty()
            }
            Source::V3 { mut blocks, .. } => blocks.at_end()?,
        };
        if end { Ok(()) } else { Err(PackageError::Trailing) }
    }
}

/// An entry, the number that its data go by, and its content's SHA-256.
type Next = (tar::Entry, (u32, u32), Option<[u8; 32]>);

impl<R: BufRead> Source<R> {
    fn next(&mut self) -> Result<Option<Next>, PackageError> {
        match self {
            Self::V2 { archive, .. } => loop {
                match archive.next()? {
                    // `./` itself: some packages list their root.
                    Some(e) if matches!(e.path.as_slice(), b"" | b".") && e.kind == tar::Kind::Dir => {}
                    next => return Ok(next.map(|entry| (entry, (0, 0), None))),
                }
            },
            Self::V3 { listed, .. } => Ok(listed.next().map(|l| (l.entry, l.number, l.sha256))),
        }
    }

    /// Comes to the content of the file just listed. One of v3 without content has no block.
    fn content(&mut self, number: (u32, u32), size: u64, path: &[u8]) -> Result<(), PackageError> {
        let Self::V3 { blocks, .. } = self else { return Ok(()) };
        if size == 0 {
            return Ok(());
        }
        match blocks.next_data()? {
            Some((dir, file, length)) if (dir, file) == number && length == size => Ok(()),
            _ => Err(PackageError::Misplaced { path: shown(path) }),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::V2 { archive, .. } => archive.read(buffer),
            Self::V3 { blocks, .. } => blocks.read(buffer),
        }
    }
}

impl<R: BufRead> File<'_, R> {
    /// Reads what is left of the content, and checks it.
    ///
    /// # Errors
    /// [`PackageError`] when it is not what its checksum says.
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
#[error("checksum mismatch: a file does not have the content that its package lists")]
struct WrongContent;

impl<R: BufRead> Read for File<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !matches!(self.entry.kind, tar::Kind::File(_)) {
            return Ok(0);
        }
        let n = self.source.read(buffer)?;
        if n > 0 || buffer.is_empty() {
            self.check.iter_mut().for_each(|check| check.update(&buffer[..n]));
            return Ok(n);
        }
        match self.check.take().is_none_or(Check::fits) {
            true => Ok(0),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, WrongContent)),
        }
    }
}

impl From<PackageError> for io::Error {
    fn from(e: PackageError) -> Self {
        match e {
            PackageError::Tar(TarError::Io(e)) | PackageError::Adb(AdbError::Io(e)) => e,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
