//! Reads an overlay's upper directory as a layer: what a script changed.
//!
//! A character device 0:0 is a deletion; `user.overlay.opaque` marks a directory that hides what lay below.
//! Nothing runs any more that could change what is read, but names and links in it are a script's: no link
//! is followed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use hoopy_base::digest::ContentId;
use hoopy_store::layer::stream::{self, Writer};
use hoopy_store::layer::{Entry, EntryPath, Kind, Owner, Xattrs};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, openat, readlinkat, statat,
};

use super::unpack::OPAQUE;
use super::{Result, device_nodes, resolver};
use crate::Names;
use crate::wire::Doing as _;

/// XATTR_LIST_MAX and XATTR_SIZE_MAX (include/uapi/linux/limits.h).
const XATTR_MAX: usize = 64 << 10;

/// Set by the host's security modules for themselves.
const HOSTS: [&[u8]; 5] =
    [b"security.selinux", b"security.SMACK64", b"security.apparmor", b"security.ima", b"security.evm"];

/// What was being done when there are too many names.
const WHAT: &str = "capture what it changed";

const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// All entries below `upper`, in the order of their paths. Regular files carry their size and no digest: who
/// receives the content makes it on the way.
pub(super) fn list(upper: &Path) -> Result<Vec<Entry>> {
    let root = rustix::fs::open(upper, OPEN | OFlags::DIRECTORY, Mode::empty()).doing("open what changed")?;
    let mut list = List {
        entries: Vec::new(),
        links: HashMap::new(),
        names: Names::default(),
        value: Vec::with_capacity(XATTR_MAX),
    };
    list.walk(&root, &mut Vec::new())?;
    Ok(list.entries)
}

struct List {
    entries: Vec<Entry>,
    /// The first name of each regular file with several, by device and inode.
    links: HashMap<(u64, u64), EntryPath>,
    names: Names,
    /// The value of an attribute on its way.
    value: Vec<u8>,
}

impl List {
    fn walk(&mut self, dir: &OwnedFd, path: &mut Vec<u8>) -> Result<()> {
        let shown = String::from_utf8_lossy(path).into_owned();
        // Counted before any is looked at, since those of all directories above are held meanwhile
        let listed = names(dir, &mut self.names).doing(format_args!("list /{shown}"))?;
        for name in listed {
            let len = path.len();
            if len > 0 {
                path.push(b'/');
            }
            path.extend(&name);
            self.entry(dir, &name, path)?;
            path.truncate(len);
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8], path: &mut Vec<u8>) -> Result<()> {
        let entry_path = EntryPath::new(&path[..]).map_err(io::Error::other).doing("capture a path")?;
        self.names.more(path.len()).doing(WHAT)?;
        let what = format_args!("read {entry_path}");
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).doing(what)?;
        if resolver::is_as_lent(path, &stat) {
            return Ok(());
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        let opened = match kind {
            FileType::Directory | FileType::RegularFile => {
                Some(openat(dir, name, OPEN | OFlags::RDONLY, Mode::empty()).doing(what)?)
            }
            // It means nothing without the process that listened on it
            FileType::Socket => return Ok(()),
            _ => None,
        };
        let mut xattrs = Xattrs::new();
        if let Some(opened) = &opened {
            xattrs = attributes(opened, &mut self.value).doing(what)?;
        }
        self.names.attributes(&xattrs).doing(WHAT)?;
        let target = || Ok(readlinkat(dir, name, Vec::new())?.into_bytes());
        let kind = self.kind(kind, &stat, &entry_path, &xattrs, target).doing("capture a path")?;
        self.names.target(&kind).doing(WHAT)?;
        let entry = entry(entry_path, kind, &stat, xattrs);
        // Said here: once what changed is being sent there is no way to
        stream::check(&entry).doing("capture a path")?;
        self.entries.push(entry);
        match opened {
            Some(opened) if FileType::from_raw_mode(stat.st_mode).is_dir() => self.walk(&opened, path),
            _ => Ok(()),
        }
    }

    fn kind(
        &mut self,
        kind: FileType,
        stat: &Stat,
        path: &EntryPath,
        xattrs: &Xattrs,
        target: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Kind> {
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        Ok(match kind {
            FileType::Directory => {
                Kind::Dir { opaque: xattrs.get(OPAQUE.as_bytes()).is_some_and(|value| value == b"y") }
            }
            FileType::RegularFile => {
                if let Some(device) =
                    xattrs.get(device_nodes::NOTE.as_bytes()).and_then(|note| device_nodes::noted(note))
                {
                    return Ok(device);
                }
                if stat.st_nlink > 1 {
                    if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                        return Ok(Kind::Hardlink(first.clone()));
                    }
                    self.names.more(path.as_bytes().len())?;
                    self.links.insert((stat.st_dev, stat.st_ino), path.clone());
                }
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                Kind::File { size, content: ContentId::from_bytes([0; 32]) }
            }
            FileType::Symlink => Kind::Symlink(target()?),
            FileType::CharacterDevice if (major, minor) == (0, 0) => Kind::Whiteout,
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            other => {
                return Err(io::Error::other(format!("{path} is of a kind that no layer has: {other:?}")));
            }
        })
    }
}

fn entry(path: EntryPath, kind: Kind, stat: &Stat, mut xattrs: Xattrs) -> Entry {
    if kind == Kind::Whiteout {
        return Entry::new(path, kind, 0);
    }
    let foreign = |name: &[u8]| {
        name.starts_with(b"user.overlay.")
            || name.starts_with(b"trusted.overlay.")
            || name == device_nodes::NOTE.as_bytes()
            || HOSTS.contains(&name)
    };
    xattrs.retain(|name, _| !foreign(name));
    Entry {
        path,
        kind,
        mode: stat.st_mode & 0o7777,
        user: Owner::id(stat.st_uid),
        group: Owner::id(stat.st_gid),
        mtime: u64::try_from(stat.st_mtime).unwrap_or(0),
        xattrs,
    }
}

fn names(dir: &OwnedFd, counted: &mut Names) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(&name[..], b"." | b"..") {
            counted.path(&name)?;
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The attributes of a file, by way of a buffer for a value: one has room for 64 KiB, and a script may set many of a byte.
fn attributes(file: &OwnedFd, value: &mut Vec<u8>) -> io::Result<Xattrs> {
    let mut list = Vec::with_capacity(XATTR_MAX);
    match flistxattr(file, rustix::buffer::spare_capacity(&mut list)) {
        Ok(0) | Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let mut found = Xattrs::new();
    for name in list.split(|&b| b == 0).filter(|name| !name.is_empty()) {
        value.clear();
        fgetxattr(file, name, rustix::buffer::spare_capacity(value))?;
        found.insert(name.to_vec(), value.as_slice().to_vec());
    }
    Ok(found)
}

/// Sends the entries with the contents they have in `upper`.
pub(super) fn send(upper: &Path, entries: &[Entry], to: impl Write) -> Result<()> {
    let mut writer = Writer::new(to);
    let root = rustix::fs::open(upper, OPEN | OFlags::DIRECTORY, Mode::empty()).doing("open what changed")?;
    for entry in entries {
        if entry.size() == 0 {
            writer.entry(entry, &mut io::empty()).doing("send what changed")?;
            continue;
        }
        let mut dir = root.try_clone().doing("open what changed")?;
        let parent = entry.path.parent();
        for name in parent.iter().flat_map(|path| path.as_bytes().split(|&b| b == b'/')) {
            dir = openat(&dir, name, OPEN | OFlags::DIRECTORY, Mode::empty())
                .doing(format_args!("read {}", entry.path))?;
        }
        let opened = openat(&dir, entry.path.name(), OPEN, Mode::empty());
        let mut content = File::from(opened.doing(format_args!("read {}", entry.path))?);
        writer.entry(entry, &mut content).doing("send what changed")?;
    }
    writer.finish().map(drop).doing("send what changed")
}
