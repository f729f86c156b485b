//! A root filesystem in a directory: unpacked, or mounted from the disk of a machine.
//!
//! What belongs to packages is told apart later, by what apk noted when it installed them; only what no system
//! directory can have a use for is left out here, and directories of data are measured instead of read.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoopy_base::size;
use hoopy_store::layer::EntryPath;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::archive::MAX_ONE;
use super::beneath;
use crate::import::CAPABILITY;
use crate::overlay::{Content, DataDirectory, Node, NodeKind, Overlay, Refused, Scope};

/// The most paths of a root filesystem that are looked at: a server with a desktop has 300,000.
const MAX_PATHS: usize = 2_000_000;

/// Deeper trees are a mistake.
const MAX_DEPTH: usize = 128;

/// What a running machine makes for as long as it runs: none of it is looked at.
const TRANSIENT: [&str; 9] =
    ["proc", "sys", "dev", "run", "tmp", "lost+found", ".modloop", "var/tmp", "var/run"];

/// What no system directory has a place for, and why; it is named where there is something in it.
const NAMED: [(&str, &str); 7] = [
    ("boot", "kernel and boot loader: the image has its own"),
    ("media", "a place for other filesystems"),
    ("mnt", "a place for other filesystems"),
    ("lib/modules", "kernel modules: those of the kernel package are in the image"),
    ("usr/lib/modules", "kernel modules: those of the kernel package are in the image"),
    ("var/cache", "a cache"),
    ("var/log", "logs"),
];

/// What kernels and boot loaders have in `/boot`; anything else there was put there by somebody.
const OF_BOOT: [&str; 25] = [
    "vmlinuz",
    "vmlinux",
    "initramfs",
    "System.map",
    "config-",
    "extlinux",
    "ldlinux",
    "lib",
    "mboot",
    "menu",
    "vesamenu",
    "grub",
    "efi",
    "EFI",
    "dtbs",
    "lost+found",
    // The firmware of a Raspberry Pi, and the device trees of its kernel
    "bcm2",
    "bootcode.bin",
    "fixup.",
    "fixup4",
    "fixup_",
    "overlays",
    "start.",
    "start4",
    "start_",
];

/// As many files of `/boot` are named.
const MAX_NAMED: usize = 20;

/// The longest `security.capability` that the kernel has (version 3).
const MAX_CAPABILITY: usize = 64;

/// What a machine keeps, and git should not: each directory directly below is told with its size.
const DATA: [&str; 5] = ["home", "srv", "var/lib", "var/spool", "var/mail"];

/// A root filesystem that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A directory could not be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than any machine has.
    #[error("{}: more than {MAX_PATHS} paths", .0.display())]
    TooMany(PathBuf),
}

/// Reads the directory `dir`.
///
/// # Errors
/// [`WalkError`].
pub fn read(dir: &Path, scope: Scope) -> Result<Overlay, WalkError> {
    let io = |source| WalkError::Io { path: dir.to_owned(), source };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let top = rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| io(e.into()))?;
    let device = rustix::fs::fstat(&top).map_err(|e| io(e.into()))?.st_dev;
    let overlay = Overlay { scope, ..Overlay::default() };
    let mut walk = Walk { dir, root: Arc::new(top), device, overlay, seen: 0 };
    walk.directory(Path::new(""), 0)?;
    Ok(walk.overlay)
}

struct Walk<'a> {
    dir: &'a Path,
    root: Arc<OwnedFd>,
    /// Other filesystems that are mounted below are not entered.
    device: u64,
    overlay: Overlay,
    seen: usize,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, depth: usize) -> Result<(), WalkError> {
        for (name, stat) in self.names(path)? {
            self.seen += 1;
            if self.seen > MAX_PATHS {
                return Err(WalkError::TooMany(self.dir.to_owned()));
            }
            self.one(&path.join(OsStr::from_bytes(&name)), &stat, depth)?;
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, stat: &Stat, depth: usize) -> Result<(), WalkError> {
        let bytes = path.as_os_str().as_bytes();
        if TRANSIENT.iter().any(|dir| dir.as_bytes() == bytes) {
            return Ok(());
        }
        if let Some((_, why)) = NAMED.iter().find(|(dir, _)| dir.as_bytes() == bytes) {
            self.named(path, stat, why);
            return Ok(());
        }
        let inside = match EntryPath::new(bytes) {
            Ok(inside) => inside,
            Err(bad) => {
                self.refuse(path, bad.reason.to_owned());
                return Ok(());
            }
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if stat.st_dev != self.device => {
                self.refuse(path, "another filesystem is mounted here".to_owned());
                return Ok(());
            }
            FileType::Directory => NodeKind::Dir,
            FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                if size > MAX_ONE {
                    let limit = size::show(MAX_ONE);
                    self.refuse(path, format!("{}: more than {limit} in one file", size::show(size)));
                    return Ok(());
                }
                NodeKind::File(Content::OnDisk { root: self.root.clone(), path: path.to_owned(), size })
            }
            FileType::Symlink => match self.link(path) {
                Ok(target) => NodeKind::Symlink(target),
                Err(source) => return Err(WalkError::Io { path: self.dir.join(path), source }),
            },
            FileType::Fifo => NodeKind::Special("a named pipe"),
            FileType::Socket => NodeKind::Special("a socket"),
            FileType::CharacterDevice => NodeKind::Special("a character device"),
            FileType::BlockDevice => NodeKind::Special("a block device"),
            FileType::Unknown => NodeKind::Special("something unknown"),
        };
        let is_dir = matches!(kind, NodeKind::Dir);
        if matches!(kind, NodeKind::File(_))
            && stat.st_mode & 0o111 != 0
            && let Some(value) = self.capability(path)
        {
            self.overlay.capabilities.insert(inside.clone(), value);
        }
        let node = Node { kind, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid };
        self.overlay.nodes.insert(inside, node);
        if !is_dir {
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            self.refuse(path, format!("more than {MAX_DEPTH} directories deep"));
            return Ok(());
        }
        if self.is_data(path) { self.measure(path) } else { self.directory(path, depth + 1) }
    }

    /// Whether it is a directory directly below one of [`DATA`], in a root that is whole: in an overlay, it lies there
    /// because its owner asked lbu to keep it.
    fn is_data(&self, path: &Path) -> bool {
        let parent = path.parent().map(|p| p.as_os_str().as_bytes());
        self.overlay.scope == Scope::Root && DATA.iter().any(|dir| Some(dir.as_bytes()) == parent)
    }

    /// Names a directory that is not read, and of `/boot` what is in it besides kernels and boot loaders. One that cannot be
    /// measured is named all the same.
    fn named(&mut self, path: &Path, stat: &Stat, why: &str) {
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return;
        }
        if stat.st_dev != self.device {
            self.refuse(path, "another filesystem is mounted here".to_owned());
            return;
        }
        let seen = self.seen;
        match self.size(path) {
            Ok(0) => {}
            Ok(size) => self.refuse(path, format!("{why} ({})", size::show(size))),
            Err(error) => self.refuse(path, format!("{why} (not measured: {error})")),
        }
        self.seen = seen;
        if path == Path::new("boot") {
            self.named_in_boot(path);
        }
    }

    fn named_in_boot(&mut self, path: &Path) {
        let is_own = |name: &[u8]| !OF_BOOT.iter().any(|known| name.starts_with(known.as_bytes()));
        let names = self.names(path).unwrap_or_default();
        let own: Vec<Vec<u8>> = names.into_iter().map(|(name, _)| name).filter(|name| is_own(name)).collect();
        for name in own.iter().take(MAX_NAMED) {
            let reason = "no kernel and no boot loader has such a file: it may be yours".to_owned();
            self.refuse(&path.join(OsStr::from_bytes(name)), reason);
        }
        if let Some(more) = own.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
            self.refuse(path, format!("{more} more of such files"));
        }
    }

    /// Capabilities of a file.
    fn capability(&self, path: &Path) -> Option<Vec<u8>> {
        let dir = beneath::directory(&self.root, path.parent()?).ok()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, path.file_name()?, flags, Mode::empty()).ok()?;
        let mut value = [0_u8; MAX_CAPABILITY];
        let length = rustix::fs::fgetxattr(&file, CAPABILITY, value.as_mut_slice()).ok()?;
        value.get(..length).map(<[u8]>::to_vec)
    }

    fn measure(&mut self, path: &Path) -> Result<(), WalkError> {
        let size = self.size(path)?;
        if size > 0 {
            self.overlay.data.push(DataDirectory { path: format!("/{}", path.display()), size });
        }
        Ok(())
    }

    /// The bytes of all files below.
    fn size(&mut self, path: &Path) -> Result<u64, WalkError> {
        let mut size = 0;
        let mut left = vec![(path.to_owned(), 0)];
        while let Some((dir, depth)) = left.pop() {
            for (name, stat) in self.names(&dir)? {
                self.seen += 1;
                if self.seen > MAX_PATHS {
                    return Err(WalkError::TooMany(self.dir.to_owned()));
                }
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory if stat.st_dev == self.device && depth < MAX_DEPTH => {
                        left.push((dir.join(OsStr::from_bytes(&name)), depth + 1));
                    }
                    FileType::RegularFile => {
                        size = u64::saturating_add(size, u64::try_from(stat.st_size).unwrap_or(0));
                    }
                    _ => {}
                }
            }
        }
        Ok(size)
    }

    /// The names in a directory, sorted, with what they are.
    fn names(&self, path: &Path) -> Result<Vec<(Vec<u8>, Stat)>, WalkError> {
        let whole = self.dir.join(path);
        let io = |source: io::Error| WalkError::Io { path: whole.clone(), source };
        let dir = beneath::directory(&self.root, path).map_err(io)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&dir).map_err(|e| io(e.into()))? {
            let name = entry.map_err(|e| io(e.into()))?.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let stat = rustix::fs::statat(&dir, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
            names.push((name, stat.map_err(|e| io(e.into()))?));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn link(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = beneath::directory(&self.root, path.parent().unwrap_or(Path::new("")))?;
        Ok(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes())
    }

    fn refuse(&mut self, path: &Path, reason: String) {
        self.overlay.refused.push(Refused { path: path.display().to_string(), reason });
    }
}
