//! An overlay in memory: the files that lie over the packages of a machine, and what is known about the machine.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use hoopy_store::layer::EntryPath;
use hoopy_store::tree::links;

use crate::source::beneath;
use crate::source::pi::PiFiles;

/// How much of a machine an overlay holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// What lbu saves: files that differ from those of the packages. What is missing says nothing.
    #[default]
    Changes,
    /// A whole root filesystem: what is missing was removed.
    Root,
}

/// The files of a machine that may differ from those of its packages.
#[derive(Debug, Default)]
pub struct Overlay {
    /// How much it holds.
    pub scope: Scope,
    /// By path.
    pub nodes: BTreeMap<EntryPath, Node>,
    /// What is known beside the files.
    pub hints: Hints,
    /// What could not be read, and why.
    pub refused: Vec<Refused>,
    /// Directories of data that were left alone, with their sizes.
    pub data: Vec<DataDirectory>,
    /// Capabilities of files (`security.capability`), by path.
    pub capabilities: BTreeMap<EntryPath, Vec<u8>>,
    /// Who packed or unpacked it, where that was an ordinary user: all owners are taken for root's then.
    pub owners_lost: Option<u32>,
    /// Programs whose setuid and setgid bits were taken with their owners.
    pub bits_lost: Vec<EntryPath>,
}

/// The setuid and setgid bits.
pub const SET_ID: u32 = 0o6000;

/// Links that are followed from one to the next.
const MAX_LINKS: usize = 16;

/// A path that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// As the source has it.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A directory of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    /// Its path on the machine.
    pub path: String,
    /// The bytes of its files.
    pub size: u64,
}

/// What a boot medium or a running machine says besides its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// The flavor of its kernel: `lts`, `virt`, `rpi`.
    pub kernel: Option<String>,
    /// The Alpine release, `3.23.1`.
    pub release: Option<String>,
    /// Kernel arguments.
    pub cmdline: Option<String>,
    /// What the medium of a Raspberry Pi holds for its firmware.
    pub pi: Option<PiFiles>,
    /// Names of older overlays (`lbu list-backup`) that lie beside it.
    pub backups: Vec<String>,
    /// The name of the machine that the file's name has.
    pub host: Option<String>,
    /// Whether nothing vouches for what came over the network.
    pub unauthenticated: bool,
}

/// One path.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// A directory.
    Dir,
    /// A regular file.
    File(Content),
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// Something that no system directory can hold: what it is.
    Special(&'static str),
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub enum Content {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a directory of this computer, below this root.
    OnDisk {
        /// The root.
        root: Arc<OwnedFd>,
        /// Below it.
        path: PathBuf,
        /// In bytes.
        size: u64,
    },
}

impl Content {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::OnDisk { size, .. } => *size,
        }
    }

    /// The bytes. No link is followed on the way to them.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&self) -> io::Result<Arc<[u8]>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::OnDisk { root, path, size } => beneath::read(root, path, *size).map(Into::into),
        }
    }
}

impl Overlay {
    /// What is at `path`, links followed as long as they lead to something of the overlay.
    pub fn node(&self, path: &EntryPath) -> Option<&Node> {
        let mut at = path.clone();
        for _ in 0..MAX_LINKS {
            let node = self.nodes.get(&at)?;
            let NodeKind::Symlink(target) = &node.kind else { return Some(node) };
            at = links::join(&at, target)?;
        }
        None
    }

    /// The bytes of the regular file at `path`, or that a link there leads to; `None` where there is none.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn file(&self, path: &str) -> io::Result<Option<Arc<[u8]>>> {
        let node = EntryPath::new(path).ok().and_then(|path| self.node(&path));
        match node.map(|node| &node.kind) {
            Some(NodeKind::File(content)) => content.read().map(Some),
            _ => Ok(None),
        }
    }

    /// The text of the file at `path`, empty where there is none.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn text(&self, path: &str) -> io::Result<String> {
        Ok(self.file(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// Finds out whether an ordinary user packed or unpacked it, and takes all for root's then: `/etc` of a machine belongs
    /// to root, and given to that user, whoever has the number could write it.
    pub fn forget_foreign_owners(&mut self) {
        let whole = EntryPath::new("etc").ok().and_then(|etc| self.nodes.get(&etc)).map(|node| node.uid);
        let uid = whole.or_else(|| {
            let mut below = self.below("etc").map(|(_, node)| node.uid);
            let first = below.next()?;
            below.all(|uid| uid == first).then_some(first)
        });
        let Some(uid) = uid.filter(|uid| *uid != 0) else { return };
        self.owners_lost = Some(uid);
        for (path, node) in &mut self.nodes {
            (node.uid, node.gid) = (0, 0);
            if matches!(node.kind, NodeKind::File(_)) && node.mode & SET_ID != 0 {
                // A program that ran as anybody must not come to run as root.
                node.mode &= !SET_ID;
                self.bits_lost.push(path.clone());
            }
        }
    }

    /// What lies below the directory `dir`.
    pub fn below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a EntryPath, &'a Node)> {
        let within =
            move |path: &EntryPath| path.is_within(dir.as_bytes()) && path.as_bytes() != dir.as_bytes();
        self.nodes.iter().filter(move |(path, _)| within(path))
    }

    /// Leaves out what lies below something that is no directory: an archive may hold `etc/x` as a link and
    /// `etc/x/passwd` as a file, and unpacked in order would write through the link.
    pub fn drop_paths_below_links(&mut self) {
        let blocked = |path: &EntryPath| {
            let mut above = path.parent();
            while let Some(dir) = above {
                if self.nodes.get(&dir).is_some_and(|node| !matches!(node.kind, NodeKind::Dir)) {
                    return true;
                }
                above = dir.parent();
            }
            false
        };
        let bad: Vec<EntryPath> = self.nodes.keys().filter(|path| blocked(path)).cloned().collect();
        for path in bad {
            self.nodes.remove(&path);
            let reason = "it lies below a link or a file of the same overlay".to_owned();
            self.refused.push(Refused { path: path.to_string(), reason });
        }
    }
}
