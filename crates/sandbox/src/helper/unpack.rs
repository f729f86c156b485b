//! Writes a layer into a directory as overlayfs wants its lower ones: a deleted path is a character device 0:0,
//! a directory that hides what is below it has `user.overlay.opaque` (Documentation/filesystems/overlayfs.rst).
//!
//! Layers come from packages, so nothing in them is followed: each directory on the way to an entry is opened
//! without following links, and every entry must be new.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use hoopy_base::digest::{ContentId, HashingWriter, LayerId};
use hoopy_store::layer::entry::LayerDigest;
use hoopy_store::layer::stream::Reader;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod,
    fgetxattr, fsetxattr, linkat, mkdirat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::Result;
use crate::error::OUTSIDE;
use crate::wire::Doing as _;

/// Marks a directory that hides what lower layers have below it.
pub(super) const OPAQUE: &str = "user.overlay.opaque";

/// How much of a file is copied at a time: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// The setuid, setgid and sticky bits.
const SPECIAL: u32 = 0o7000;
const SETGID: u32 = 0o2000;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Unpacks a layer to the new directory `to`. Contents are in the file `contents` where the stream is one of places: then
/// whoever gave it has seen to it that they are right, else they are digested here. Gives the id of what came.
pub(super) fn unpack<R: Read>(reader: &mut Reader<R>, contents: Option<&File>, to: &Path) -> Result<LayerId> {
    let _ = std::fs::remove_dir_all(to);
    rustix::fs::mkdir(to, Mode::from_raw_mode(0o755)).doing(format_args!("make {}", to.display()))?;
    let root = rustix::fs::open(to, DIRECTORY, Mode::empty()).doing(format_args!("open {}", to.display()))?;
    let mut place = Place { makes: Makes::at(&root), root, parent: None };
    let mut dirs = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut digest = LayerDigest::default();
    while let Some(entry) = reader.next_entry().doing("read a layer")? {
        let content = match (contents, reader.place()) {
            (Some(file), Some(start)) => Content::Placed(file, start),
            _ => Content::Streamed(&mut reader.content(), &mut buffer),
        };
        digest.add(&entry);
        // A user namespace may not make device nodes, and scripts get a /dev of their own
        if matches!(entry.kind, Kind::Char { .. } | Kind::Block { .. }) {
            continue;
        }
        place.make(&entry, content).doing(format_args!("make {}", entry.path))?;
        if entry.is_dir() {
            dirs.push((entry.path, entry.mtime));
        }
    }
    // Last, since each entry made in a directory sets its time
    for (path, mtime) in dirs.iter().rev() {
        place.set_time(path, *mtime).doing(format_args!("set the time of {path}"))?;
    }
    Ok(digest.id())
}

/// What the system gives to what is made here by itself, so that it need not be set.
struct Makes {
    user: u32,
    group: u32,
    /// Whether that is so: not with default access lists (acl(5)), nor below a directory that may hand on its group.
    holds: bool,
}

impl Makes {
    fn at(root: &OwnedFd) -> Self {
        let list = fgetxattr(root, "system.posix_acl_default", &mut [0; 0]);
        let holds = matches!(list, Err(Errno::NODATA | Errno::OPNOTSUPP));
        Self { user: geteuid().as_raw(), group: getegid().as_raw(), holds }
    }

    fn owner(&self, entry: &Entry) -> bool {
        self.holds && (entry.user.id, entry.group.id) == (self.user, self.group)
    }

    /// Whether it gives the mode, too: helpers have no umask.
    fn mode(&self, entry: &Entry) -> bool {
        self.holds && entry.mode & SPECIAL == 0
    }
}

struct Place {
    makes: Makes,
    root: OwnedFd,
    /// The directory that the last entry went to.
    parent: Option<(EntryPath, OwnedFd)>,
}

impl Place {
    fn make(&mut self, entry: &Entry, content: Content<'_>) -> io::Result<()> {
        if let Some(name) = entry.user.name.as_ref().or(entry.group.name.as_ref()) {
            return Err(io::Error::other(format!("its owner {name:?} has no number yet")));
        }
        if let Kind::Hardlink(first) = &entry.kind {
            let first_dir = self.open_dir(first.parent().as_ref())?;
            let dir = self.parent_of(&entry.path)?;
            return Ok(linkat(first_dir, first.name(), dir, entry.path.name(), AtFlags::empty())?);
        }
        let (owner, mode) = (self.makes.owner(entry), self.makes.mode(entry));
        if entry.is_dir() && (!owner || entry.mode & SETGID != 0) {
            self.makes.holds = false;
        }
        let dir = self.parent_of(&entry.path)?;
        let name = entry.path.name();
        match &entry.kind {
            Kind::Dir { opaque } => {
                mkdirat(dir, name, Mode::from_raw_mode(if mode { entry.mode } else { 0o700 }))?;
                if owner && mode && !opaque && entry.xattrs.is_empty() {
                    return Ok(());
                }
                let made = openat(dir, name, DIRECTORY, Mode::empty())?;
                if *opaque {
                    fsetxattr(&made, OPAQUE, b"y", XattrFlags::empty())?;
                }
                adorn(&made, entry, owner, mode)
            }
            Kind::File { size, content: id } => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let created = Mode::from_raw_mode(if mode { entry.mode } else { 0o600 });
                let mut made = File::from(openat(dir, name, flags, created)?);
                content.copy(&mut made, *size, *id)?;
                adorn(&OwnedFd::from(made), entry, owner, mode)
            }
            Kind::Symlink(target) => {
                symlinkat(target.as_slice(), dir, name)?;
                if !owner {
                    own(dir, entry)?;
                }
                Ok(utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            Kind::Whiteout => match mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
                Err(Errno::PERM) => attribute_whiteout(dir, name),
                result => Ok(result?),
            },
            Kind::Fifo => fifo(dir, entry),
            Kind::Char { .. } | Kind::Block { .. } | Kind::Hardlink(_) => Ok(()),
        }
    }

    fn set_time(&mut self, path: &EntryPath, mtime: u64) -> io::Result<()> {
        let dir = self.parent_of(path)?;
        Ok(utimensat(dir, path.name(), &times(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn parent_of(&mut self, path: &EntryPath) -> io::Result<&OwnedFd> {
        let Some(parent) = path.parent() else { return Ok(&self.root) };
        if self.parent.as_ref().is_none_or(|(path, _)| *path != parent) {
            self.parent = None;
            let dir = self.open_dir(Some(&parent))?;
            return Ok(&self.parent.insert((parent, dir)).1);
        }
        Ok(self.parent.as_ref().map_or(&self.root, |(_, dir)| dir))
    }

    fn open_dir(&self, path: Option<&EntryPath>) -> io::Result<OwnedFd> {
        let mut dir = self.root.try_clone()?;
        for name in path.iter().flat_map(|path| path.as_bytes().split(|&b| b == b'/')) {
            dir = openat(&dir, name, DIRECTORY, Mode::empty()).map_err(|e| {
                let path = path.map(ToString::to_string).unwrap_or_default();
                let source = io::Error::from(e);
                io::Error::new(
                    source.kind(),
                    format!("the layer has no directory {path} before it: {source}"),
                )
            })?;
        }
        Ok(dir)
    }
}

/// A deletion where the store is itself on an overlay, which lets nobody make devices 0:0: an empty file with an
/// attribute, in a directory with another one. Known since Linux 6.8; before, it would be taken for a file.
fn attribute_whiteout(dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (6, 8) {
        return Err(io::Error::other(
            "the filesystem of the store can't hold a deletion: put the store on ext4, XFS, Btrfs or tmpfs (--store)",
        ));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let made = openat(dir, name, flags, Mode::empty())?;
    fsetxattr(made, "user.overlay.whiteout", b"y", XattrFlags::empty())?;
    match fsetxattr(dir, OPAQUE, b"x", XattrFlags::CREATE) {
        // It hides everything, and so this too
        Err(Errno::EXIST) => Ok(()),
        result => Ok(result?),
    }
}

/// Where the content of a file comes from.
enum Content<'a> {
    /// A stream, by way of a buffer.
    Streamed(&'a mut dyn Read, &'a mut [u8]),
    /// A file, in which it begins there.
    Placed(&'a File, u64),
}

impl Content<'_> {
    fn copy(self, to: &mut File, size: u64, id: ContentId) -> io::Result<()> {
        match self {
            Self::Streamed(from, buffer) => copy_stream(from, to, size, id, buffer),
            Self::Placed(mut from, start) => {
                from.seek(SeekFrom::Start(start))?;
                // By the kernel alone, where the filesystem can
                let copied = io::copy(&mut from.take(size), to)?;
                if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }
}

fn copy_stream(
    from: &mut dyn Read,
    to: &mut File,
    size: u64,
    id: ContentId,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut to = HashingWriter::new(to);
    let mut left = size;
    while left > 0 {
        let n = from.read(buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(buffer.get(..n).unwrap_or_default())?;
        left = left.saturating_sub(n as u64);
    }
    match to.finish() {
        (_, found, _) if found == id => Ok(()),
        (_, found, _) => Err(io::Error::other(format!("its content has the digest {found}: expected {id}"))),
    }
}

/// Gives it all that it has not from its making. Owner first: changing it clears setuid bits and capabilities.
fn adorn(made: &OwnedFd, entry: &Entry, owner: bool, mode: bool) -> io::Result<()> {
    if !owner {
        let (user, group) = (Uid::from_raw(entry.user.id), Gid::from_raw(entry.group.id));
        rustix::fs::fchown(made, Some(user), Some(group)).map_err(|e| unmapped(e, entry))?;
    }
    if !mode {
        fchmod(made, Mode::from_raw_mode(entry.mode & 0o7777))?;
    }
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_for_scripts(name)) {
        fsetxattr(made, name.as_slice(), value, XattrFlags::empty()).map_err(|e| {
            let source = io::Error::from(e);
            io::Error::new(source.kind(), format!("attribute {}: {source}", String::from_utf8_lossy(name)))
        })?;
    }
    // A directory's is set last
    if entry.is_dir() { Ok(()) } else { Ok(rustix::fs::futimens(made, &times(entry.mtime))?) }
}

/// Whether an attribute means something in the sandbox: no notes of overlayfs's, which a layer would give it orders by, and
/// none that only the host's root may set.
fn is_for_scripts(name: &[u8]) -> bool {
    let hosts =
        name.starts_with(b"trusted.") || name.starts_with(b"security.") && name != b"security.capability";
    !hosts && !name.starts_with(b"user.overlay.")
}

fn own(dir: &OwnedFd, entry: &Entry) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(entry.user.id), Gid::from_raw(entry.group.id));
    let owned = chownat(dir, entry.path.name(), Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
    owned.map_err(|e| unmapped(e, entry))
}

fn unmapped(e: Errno, entry: &Entry) -> io::Error {
    if e != Errno::INVAL {
        return e.into();
    }
    let (user, group) = (entry.user.id, entry.group.id);
    io::Error::other(format!("its owner {user}:{group} {OUTSIDE} (0 to 65535)"))
}

fn fifo(dir: &OwnedFd, entry: &Entry) -> io::Result<()> {
    let name = entry.path.name();
    mknodat(dir, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    own(dir, entry)?;
    // Follows links, but the name was made just now and nobody else can write here
    rustix::fs::chmodat(dir, name, Mode::from_raw_mode(entry.mode & 0o7777), AtFlags::empty())?;
    Ok(utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(mtime: u64) -> Timestamps {
    let tv_sec = i64::try_from(mtime).unwrap_or(i64::MAX);
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec, tv_nsec: 0 },
    }
}
