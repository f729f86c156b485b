//! Writes directories as tar entries, and copies a directory by way of them.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, OFlags, StatxAttributes, StatxFlags, lgetxattr, llistxattr, major, minor, statfs, statx,
};

use super::error::BackupError;
use super::header::{BLOCK, Header, Kind};
use super::manifest::{MANIFEST, Manifest, Source};
use super::read::padding;
use super::{pax, unpack};

/// The most names of extended attributes that a file has (`XATTR_LIST_MAX`, xattr(7)), and the largest of them.
const MAX_ATTRIBUTE: usize = 64 << 10;

/// How much of a file is in memory at a time while it is copied.
const BUFFER: usize = 256 << 10;

/// What a filesystem of btrfs calls itself (statfs(2)).
const BTRFS: i128 = 0x9123_683e;

/// The inodes of a btrfs subvolume: its root, and the empty directory in its place in a snapshot of what is around it
/// (btrfs(5)).
const SUBVOLUME: [u64; 2] = [256, 2];

/// The name of the directory in the archive that [`copy`] makes.
const COPY: &str = "copy";

/// Writes an archive.
pub struct Archive<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Archive<W> {
    /// Starts an archive with `manifest`.
    pub fn new(out: W, manifest: &Manifest) -> Result<Self, BackupError> {
        let mut archive = Self { out, buffer: vec![0; BUFFER] };
        let text = serde_json::to_vec_pretty(manifest).map_err(|e| BackupError::Write(e.into()))?;
        let mut header = Header::new(MANIFEST.as_bytes(), Kind::File);
        (header.size, header.modified) = (text.len() as u64, manifest.made);
        archive.entry(&header)?;
        archive.content(&mut &*text, header.size).map_err(BackupError::Write)?;
        Ok(archive)
    }

    /// Ends the archive with two empty blocks.
    pub fn finish(mut self) -> Result<W, BackupError> {
        self.out.write_all(&[0; 2 * BLOCK]).map_err(BackupError::Write)?;
        Ok(self.out)
    }

    /// Adds a directory with all that is in it, but not what is mounted there.
    ///
    /// # Errors
    /// [`BackupError::Subvolume`] where part of it would be lost.
    pub fn tree(&mut self, source: &Source) -> Result<(), BackupError> {
        let meta = fs::symlink_metadata(&source.dir).map_err(BackupError::io("read", &source.dir))?;
        if !meta.is_dir() {
            let kind = io::ErrorKind::NotADirectory.into();
            return Err(BackupError::io("read", &source.dir)(kind));
        }
        let mut walk = Walk { archive: self, firsts: HashMap::new() };
        walk.add(&source.dir, source.path.as_bytes(), &meta)
    }

    fn entry(&mut self, header: &Header) -> Result<(), BackupError> {
        let records = pax::encode(header);
        if !records.is_empty() {
            let before = pax::header(&records);
            self.out.write_all(&before.encode()).map_err(BackupError::Write)?;
            self.content(&mut &*records, before.size).map_err(BackupError::Write)?;
        }
        self.out.write_all(&header.encode()).map_err(BackupError::Write)
    }

    /// Exactly `size` bytes of `from`, and what fills the last block: a file that shrinks meanwhile ends in zeros.
    fn content(&mut self, from: &mut dyn Read, size: u64) -> io::Result<()> {
        let mut left = size + padding(size);
        let mut from = from.take(size);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let read = from.read(buffer)?;
            if read == 0 {
                buffer.fill(0);
            }
            let read = if read == 0 { buffer.len() } else { read };
            self.out.write_all(buffer.get(..read).unwrap_or_default())?;
            left -= read as u64;
        }
        Ok(())
    }
}

struct Walk<'a, W> {
    archive: &'a mut Archive<W>,
    /// Files with several names: the first of them, by device and inode.
    firsts: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Walk<'_, W> {
    fn add(&mut self, at: &Path, name: &[u8], meta: &Metadata) -> Result<(), BackupError> {
        let failed = || BackupError::io("read", at);
        let Some(mut header) = describe(at, name, meta).map_err(failed())? else { return Ok(()) };
        if header.kind == Kind::File && meta.nlink() > 1 {
            match self.firsts.get(&(meta.dev(), meta.ino())) {
                Some(first) => (header.kind, header.size, header.target) = (Kind::Hardlink, 0, first.clone()),
                None => drop(self.firsts.insert((meta.dev(), meta.ino()), name.to_vec())),
            }
        }
        match header.kind {
            Kind::File => {
                // A file that was removed after its directory was read is left out.
                let Some(mut file) = open(at).map_err(failed())? else { return Ok(()) };
                header.size = file.metadata().map_err(failed())?.len();
                self.archive.entry(&header)?;
                self.archive.content(&mut file, header.size).map_err(failed())
            }
            Kind::Directory => {
                self.archive.entry(&header)?;
                self.children(at, name)
            }
            _ => self.archive.entry(&header),
        }
    }

    fn children(&mut self, at: &Path, name: &[u8]) -> Result<(), BackupError> {
        let read = fs::read_dir(at).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut children = read.map_err(BackupError::io("read", at))?;
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            let path = child.path();
            let meta = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(BackupError::io("read", &path))?,
            };
            let name = [name, b"/", child.file_name().as_bytes()].concat();
            if is_mounted(&path) {
                continue;
            }
            if is_subvolume(&path, &meta) {
                return Err(BackupError::Subvolume(String::from_utf8_lossy(&name).into_owned()));
            }
            self.add(&path, &name, &meta)?;
        }
        Ok(())
    }
}

/// Whether something is mounted there (Linux 5.8 and later tell it).
fn is_mounted(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::BASIC_STATS).is_ok_and(|found| {
        found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
            && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// Whether a directory is a btrfs subvolume, or what a snapshot has in its place: an empty directory.
fn is_subvolume(path: &Path, meta: &Metadata) -> bool {
    meta.is_dir()
        && SUBVOLUME.contains(&meta.ino())
        && statfs(path).is_ok_and(|found| i128::from(found.f_type) & 0xffff_ffff == BTRFS)
}

/// Opened without following a link that took its place meanwhile, and without waiting for the writer of a pipe.
fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The header of what is at `path`; nothing for a socket, which means nothing without its program.
fn describe(path: &Path, name: &[u8], meta: &Metadata) -> io::Result<Option<Header>> {
    let kind = meta.file_type();
    let kind = match () {
        () if kind.is_file() => Kind::File,
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_symlink() => Kind::Symlink,
        () if kind.is_fifo() => Kind::Fifo,
        () if kind.is_char_device() => Kind::Character,
        () if kind.is_block_device() => Kind::Block,
        () => return Ok(None),
    };
    let mut header = Header::new(name, kind);
    (header.mode, header.user, header.group) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
    header.modified = u64::try_from(meta.mtime()).unwrap_or_default();
    match kind {
        Kind::Symlink => header.target = fs::read_link(path)?.as_os_str().as_bytes().to_vec(),
        Kind::Character | Kind::Block => header.device = (major(meta.rdev()), minor(meta.rdev())),
        _ => {}
    }
    if kind != Kind::Symlink {
        header.attributes = attributes(path)?;
    }
    Ok(Some(header))
}

fn attributes(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; MAX_ATTRIBUTE];
    let size = match llistxattr(path, &mut names[..]) {
        Ok(0) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        Ok(size) => size,
        Err(error) => return Err(error.into()),
    };
    let names =
        names.get(..size).unwrap_or_default().split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let mut found = Vec::new();
    for name in names {
        let mut value = vec![0; MAX_ATTRIBUTE];
        // Attributes that the kernel lists but does not let this process read are left out.
        if let Ok(size) = lgetxattr(path, name, &mut value[..]) {
            value.truncate(size);
            found.push((name.to_vec(), value));
        }
    }
    Ok(found)
}

/// Copies the directory `from` to `to`, which must not be there: owners, modes, attributes, links and holes.
///
/// It is archived and unpacked at the same time, so that what a copy keeps is what a backup keeps.
///
/// # Errors
/// [`BackupError`].
pub fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let (reader, writer) = io::pipe().map_err(BackupError::io("make a pipe for", from))?;
    let source = Source { path: COPY.to_owned(), dir: from.to_owned() };
    std::thread::scope(|scope| {
        let archived = scope.spawn(move || {
            let manifest = Manifest::new(COPY, "", 0, vec![COPY.to_owned()]);
            let mut archive = Archive::new(BufWriter::with_capacity(BUFFER, writer), &manifest)?;
            archive.tree(&source)?;
            archive.finish()?.flush().map_err(BackupError::Write)
        });
        let unpacked = unpack::entries(&mut BufReader::with_capacity(BUFFER, reader), &[to.to_owned()]);
        // If reading failed, the archive ends early: report the reason, not the early end.
        match archived.join() {
            Ok(Err(error @ (BackupError::Io { .. } | BackupError::Subvolume(_)))) => Err(error),
            _ => unpacked.map(|_| ()),
        }
    })
}
