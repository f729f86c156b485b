//! Entries of tar as files, below directories that are made for them.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use hoopy_base::beneath::Beneath;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
    fsetxattr, futimens, linkat, makedev, mknodat, openat, symlinkat, utimensat,
};

use super::error::BackupError;
use super::header::{Header, Kind};
use super::read::{self, Contents, Entry};

/// A block of zeros of this size becomes a hole.
const HOLE: usize = 4096;

/// Directories get their owner and mode after their contents.
struct Finished {
    directory: OwnedFd,
    header: Header,
}

/// Unpacks the archive `input`: each directory of its manifest to the path of the same number, which must not be there and
/// whose parent must.
pub fn entries(input: &mut dyn Read, to: &[PathBuf]) -> Result<Contents, BackupError> {
    let mut tops: Vec<Option<Beneath>> = to.iter().map(|_| None).collect();
    let mut directories = Vec::new();
    let contents = read::backup(input, &mut |manifest, entry, content| {
        let top = to.get(entry.directory).zip(tops.get_mut(entry.directory));
        let (path, top) = top.ok_or_else(|| BackupError::NotABackup {
            expected: "as many directories as asked for",
            found: manifest.directories.len().to_string(),
        })?;
        let failed = |source| {
            let source = source_of(source)?;
            Err(BackupError::io("write", path.join(String::from_utf8_lossy(entry.path).as_ref()))(source))
        };
        if top.is_none() {
            std::fs::create_dir(path).map_err(BackupError::io("make", path))?;
            *top = Some(Beneath::open(path, 0o700).map_err(BackupError::io("open", path))?);
        }
        let Some(top) = top else { return Ok(()) };
        match one(top, entry, content, &mut directories) {
            Ok(()) => Ok(()),
            Err(source) => failed(source),
        }
    })?;
    for Finished { directory, header } in directories.iter().rev() {
        finish(directory, header).map_err(BackupError::Write)?;
    }
    Ok(contents)
}

/// An archive that ends early is not the fault of the file that is written.
fn source_of(error: io::Error) -> Result<io::Error, BackupError> {
    if error.kind() == io::ErrorKind::UnexpectedEof { Err(BackupError::damaged(&error)) } else { Ok(error) }
}

fn one(
    top: &Beneath,
    entry: &Entry<'_>,
    content: &mut dyn Read,
    directories: &mut Vec<Finished>,
) -> io::Result<()> {
    let header = entry.header;
    if header.kind == Kind::Directory {
        let directory = top.directory(entry.path)?;
        directories.push(Finished { directory, header: header.clone() });
        return Ok(());
    }
    let (dir, name) = top.place(entry.path)?;
    match header.kind {
        Kind::File => return file(&dir, name, header, content),
        Kind::Hardlink => {
            let (first, first_name) = top.place(entry.first)?;
            // No owner and mode: they are those of the file.
            return Ok(linkat(first, first_name, &dir, name, AtFlags::empty())?);
        }
        Kind::Symlink => symlinkat(header.target.as_slice(), &dir, name)?,
        Kind::Character => node(&dir, name, FileType::CharacterDevice, header)?,
        Kind::Block => node(&dir, name, FileType::BlockDevice, header)?,
        Kind::Fifo => node(&dir, name, FileType::Fifo, header)?,
        Kind::Directory | Kind::Pax => return Ok(()),
    }
    chownat(
        &dir,
        name,
        Some(Uid::from_raw(header.user)),
        Some(Gid::from_raw(header.group)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    Ok(utimensat(&dir, name, &times(header), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn node(dir: &OwnedFd, name: &[u8], kind: FileType, header: &Header) -> io::Result<()> {
    let (major, minor) = header.device;
    Ok(mknodat(dir, name, kind, Mode::from_raw_mode(header.mode), makedev(major, minor))?)
}

fn file(dir: &OwnedFd, name: &[u8], header: &Header, content: &mut dyn Read) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(dir, name, flags, Mode::from_raw_mode(0o600))?);
    let mut buffer = vec![0; HOLE];
    loop {
        let filled = fill(content, &mut buffer)?;
        let part = buffer.get(..filled).unwrap_or_default();
        match part {
            [] => break,
            zeros if zeros.iter().all(|&byte| byte == 0) => {
                file.seek(SeekFrom::Current(i64::try_from(filled).unwrap_or_default()))?;
            }
            bytes => file.write_all(bytes)?,
        }
    }
    file.set_len(header.size)?;
    finish(&file, header)
}

/// Reads until the buffer is full or nothing is left.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Sets the owner, mode and attributes of a file: the owner first, since giving it away takes bits of its mode and its capabilities.
fn finish(file: impl AsFd, header: &Header) -> io::Result<()> {
    fchown(&file, Some(Uid::from_raw(header.user)), Some(Gid::from_raw(header.group)))?;
    fchmod(&file, Mode::from_raw_mode(header.mode))?;
    for (name, value) in &header.attributes {
        match fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
            // A filesystem without extended attributes loses them, whatever program copies.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(futimens(&file, &times(header))?)
}

fn times(header: &Header) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(header.modified).unwrap_or_default(), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
