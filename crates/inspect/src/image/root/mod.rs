//! The tree that the kernel makes of an initramfs: what each entry does to what is there already.
//!
//! It is not what the archives list. A later file is written *into* an earlier one of the same path, through all of
//! its hard links; another type takes its place; a directory with content stays, whatever comes; a file without a
//! directory to stand in is lost without a word; and a path leads through the symbolic links that are there.
//!
//! Source: Linux `init/initramfs.c` (`do_name`, `do_symlink`, `maybe_link`, `clean_path`), `usr/default_cpio_list`.

mod apply;
mod file_type;

use std::collections::{BTreeMap, HashMap, btree_map};

use hoopy_cpio::PATH_MAX;

pub use file_type::FileType;

/// A node of the tree, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// Where the data of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// The segment, counted from 0.
    pub segment: u32,
    /// Where it starts in what the segment unpacks to.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory, and what it holds by name.
    Dir(BTreeMap<Box<[u8]>, NodeId>),
    /// A regular file.
    File(Content),
    /// A symbolic link and its target.
    Symlink(Box<[u8]>),
    /// A character device: major, minor.
    Char(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A file of whatever type. Hard links are one node with several names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (`07777`).
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// The segment whose entry was last, of a file the one that its data comes of.
    pub segment: u32,
    /// Whether an entry made it: else it is the kernel's own.
    given: bool,
}

/// An entry of which nothing came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its path, as the archive has it.
    pub path: Vec<u8>,
    /// Why.
    pub why: &'static str,
}

/// The tree.
#[derive(Debug)]
pub struct Root {
    nodes: Vec<Node>,
    links: HashMap<LinkKey, Vec<u8>>,
    /// The archive to which `links` belong.
    archive: (u32, u32),
    /// Entries of which nothing came, the first [`MAX_LOST`].
    pub lost: Vec<Lost>,
    /// How many there are.
    pub lost_count: u64,
    /// The first entry that the kernel would make and this tree does not, and its segment.
    pub too_long: Option<(u32, Vec<u8>)>,
}

/// What makes two entries of one archive hard links: device, inode, type.
type LinkKey = ((u32, u32), u32, u32);

/// How many lost entries are named; the rest are counted.
pub const MAX_LOST: usize = 1000;

/// Symbolic links in one path (`MAXSYMLINKS`, include/linux/namei.h).
const MAX_SYMLINKS: usize = 40;

/// The longest path in the tree. Names in an archive are shorter, and the kernel has no bound for what they lead to
/// through links; no system has such paths, and a tree of them would take too much memory.
const MAX_PATH: usize = PATH_MAX;

const ROOT: NodeId = NodeId(0);

/// The names in a directory, as they are gone through.
type Names<'r> = btree_map::Iter<'r, Box<[u8]>, NodeId>;

/// Where a path leads.
struct Place<'p> {
    dir: NodeId,
    /// The last component; nothing for the root, and for paths that end in `.` or `..`.
    name: Option<&'p [u8]>,
    node: Option<NodeId>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoPlace {
    /// What is before its end is not there.
    Missing,
    /// What it leads to has a path longer than [`MAX_PATH`].
    TooLong,
}

impl NoPlace {
    const fn why(self) -> &'static str {
        match self {
            Self::Missing => "there is no directory for it",
            Self::TooLong => TOO_LONG,
        }
    }
}

/// What is said of an entry whose path is longer than [`MAX_PATH`].
pub(super) const TOO_LONG: &str = "with links followed, its path has more than 4095 bytes";

impl Default for Root {
    /// What is there before any initramfs: `/dev`, `/dev/console` and `/root`.
    fn default() -> Self {
        let node =
            |kind, mode| Node { kind, mode, uid: 0, gid: 0, mtime: 0, segment: u32::MAX, given: false };
        let dir = |names: &[(&[u8], u32)]| {
            Kind::Dir(names.iter().map(|(name, id)| ((*name).into(), NodeId(*id))).collect())
        };
        let nodes = vec![
            node(dir(&[(b"dev", 1), (b"root", 2)]), 0o755),
            node(dir(&[(b"console", 3)]), 0o755),
            node(dir(&[]), 0o700),
            node(Kind::Char(5, 1), 0o600),
        ];
        Self {
            nodes,
            links: HashMap::new(),
            archive: (0, 0),
            lost: Vec::new(),
            lost_count: 0,
            too_long: None,
        }
    }
}

impl Root {
    /// Where `path` leads, with symbolic links on the way followed, and one at its end only with `follow`.
    fn resolve<'p>(&'p self, path: &'p [u8], follow: bool) -> Result<Place<'p>, NoPlace> {
        // Each with the length of its path
        let mut dirs = vec![(ROOT, 0)];
        let mut names: Vec<&[u8]> = components(path).rev().collect();
        let mut followed = 0;
        while let Some(name) = names.pop() {
            let &(dir, length) = dirs.last().ok_or(NoPlace::Missing)?;
            let length = length + name.len() + 1;
            let Some(Kind::Dir(held)) = self.node(dir).map(|node| &node.kind) else {
                return Err(NoPlace::Missing);
            };
            if name == b".." {
                dirs.truncate((dirs.len() - 1).max(1));
                continue;
            }
            let last = names.is_empty();
            let Some(&id) = held.get(name) else {
                return match last {
                    true if length > MAX_PATH => Err(NoPlace::TooLong),
                    true => Ok(Place { dir, name: Some(name), node: None }),
                    false => Err(NoPlace::Missing),
                };
            };
            match &self.node(id).ok_or(NoPlace::Missing)?.kind {
                Kind::Symlink(target) if !last || follow => {
                    followed += 1;
                    if followed > MAX_SYMLINKS {
                        return Err(NoPlace::Missing);
                    }
                    if target.starts_with(b"/") {
                        dirs.truncate(1);
                    }
                    names.extend(components(target).rev());
                }
                _ if last => return Ok(Place { dir, name: Some(name), node: Some(id) }),
                Kind::Dir(_) => dirs.push((id, length)),
                _ => return Err(NoPlace::Missing),
            }
        }
        let &(id, _) = dirs.last().ok_or(NoPlace::Missing)?;
        Ok(Place { dir: id, name: None, node: Some(id) })
    }

    /// The node at a path, symbolic links followed.
    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        self.resolve(path, true).ok()?.node
    }

    /// The node at a path, which may be a symbolic link itself.
    pub fn find_link(&self, path: &[u8]) -> Option<NodeId> {
        self.resolve(path, false).ok()?.node
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0 as usize)
    }

    /// Goes through every path below `top` that an entry made: directories before what they hold, names sorted.
    /// `top` itself, the empty path, is not among them.
    pub fn walk<'r>(&'r self, top: NodeId, visit: &mut dyn FnMut(&[u8], NodeId, &'r Node)) {
        let held = |id| match self.node(id) {
            Some(Node { kind: Kind::Dir(held), .. }) => Some(held.iter()),
            _ => None,
        };
        let mut path = Vec::new();
        // One iterator a directory, and how long the path to it is: nothing grows with the number of files.
        let mut open: Vec<(usize, Names<'r>)> = held(top).map(|held| (0, held)).into_iter().collect();
        while let Some((len, names)) = open.last_mut() {
            path.truncate(*len);
            let Some((name, &id)) = names.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let Some(node) = self.node(id) else { continue };
            if node.given {
                visit(&path, id, node);
            }
            open.extend(held(id).map(|held| (path.len(), held)));
        }
    }

    /// The root directory.
    pub const fn top(&self) -> NodeId {
        ROOT
    }
}

impl Kind {
    /// Without what it holds.
    pub const fn file_type(&self) -> FileType {
        match self {
            Self::Dir(_) => FileType::Dir,
            Self::File(_) => FileType::File,
            Self::Symlink(_) => FileType::Symlink,
            Self::Char(..) => FileType::Char,
            Self::Block(..) => FileType::Block,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
        }
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

#[cfg(test)]
mod tests;
