//! What each kind of entry does to the tree.

use std::collections::BTreeMap;

use hoopy_cpio::{Entry, PATH_MAX, file_type};

use super::super::split::Found;
use super::{Content, FileType, Kind, Lost, MAX_LOST, NoPlace, Node, NodeId, Root, TOO_LONG};

impl Root {
    /// Does what the kernel does at this entry.
    pub fn take(&mut self, found: &Found<'_>) {
        let archive = (found.segment, found.entry.archive);
        if archive != self.archive {
            self.links.clear();
            self.archive = archive;
        }
        if let Err(why) = self.entry(found) {
            if why == TOO_LONG {
                self.too_long.get_or_insert_with(|| (found.segment, found.entry.name.clone()));
            }
            self.lost_count += 1;
            if self.lost.len() < MAX_LOST {
                self.lost.push(Lost { path: found.entry.name.clone(), why });
            }
        }
    }

    fn entry(&mut self, found: &Found<'_>) -> Result<(), &'static str> {
        let entry = found.entry;
        let kind = FileType::of_mode(entry.mode);
        if kind != Some(FileType::Dir) && entry.name.ends_with(b"/") {
            self.clean(&entry.name, kind);
            return Err("only the name of a directory may end in a slash");
        }
        match kind {
            Some(FileType::Symlink) => self.symlink(found),
            Some(FileType::File) => self.file(found),
            _ if entry.size > 0 => Err("it has data, but is not a file"),
            Some(FileType::Dir) => {
                let existing = self.clean(&entry.name, kind);
                let node = Node { given: false, ..node(found, Kind::Dir(BTreeMap::new())) };
                let id = existing.map_or_else(|| self.create(&entry.name, node), Ok)?;
                self.claim(id, found)
            }
            _ => self.special(found, kind),
        }
    }

    /// What is at the path and stays there: what is of another type than this (or any, for none) is removed, if it
    /// can be.
    fn clean(&mut self, path: &[u8], kind: Option<FileType>) -> Option<NodeId> {
        let place = self.resolve(path, false).ok()?;
        let (dir, name, id) = (place.dir, place.name, place.node?);
        let is_same = self.node(id).is_some_and(|node| Some(node.kind.file_type()) == kind);
        let is_full = matches!(self.node(id), Some(Node { kind: Kind::Dir(held), .. }) if !held.is_empty());
        let Some(name) = name.filter(|_| !is_same && !is_full) else { return Some(id) };
        let name: Box<[u8]> = name.into();
        if let Some(Node { kind: Kind::Dir(names), .. }) = self.node_mut(dir) {
            names.remove(&name);
        }
        None
    }

    fn create(&mut self, path: &[u8], node: Node) -> Result<NodeId, &'static str> {
        let id = NodeId(u32::try_from(self.nodes.len()).map_err(|_| "there are too many files")?);
        self.name(path, id)?;
        self.nodes.push(node);
        Ok(id)
    }

    /// Gives the node another name, where nothing is yet.
    fn name(&mut self, path: &[u8], id: NodeId) -> Result<(), &'static str> {
        let place = self.resolve(path, false).map_err(NoPlace::why)?;
        let (dir, taken) = (place.dir, place.node.is_some());
        let name: Box<[u8]> = place.name.filter(|_| !taken).ok_or("something is there that stays")?.into();
        match self.node_mut(dir) {
            Some(Node { kind: Kind::Dir(names), .. }) => names.insert(name, id),
            _ => return Err("there is no directory for it"),
        };
        Ok(())
    }

    /// Gives a directory that may have been there owner, mode and time.
    fn claim(&mut self, id: NodeId, found: &Found<'_>) -> Result<(), &'static str> {
        let entry = found.entry;
        let node = self.node_mut(id).ok_or("something is there that stays")?;
        if !matches!(node.kind, Kind::Dir(_)) {
            return Err("something is there that stays");
        }
        node.mode = entry.mode & 0o7777;
        (node.uid, node.gid, node.mtime) = (entry.uid, entry.gid, entry.mtime);
        (node.segment, node.given) = (found.segment, true);
        Ok(())
    }

    fn symlink(&mut self, found: &Found<'_>) -> Result<(), &'static str> {
        if found.entry.size as usize > PATH_MAX {
            return Err("its target is too long");
        }
        // The kernel hands it over as a string.
        let target = found.target.split(|&byte| byte == 0).next().unwrap_or_default();
        self.clean(&found.entry.name, None);
        let node = node(found, Kind::Symlink(target.into()));
        self.create(&found.entry.name, Node { mode: 0o777, ..node }).map(drop)
    }

    fn file(&mut self, found: &Found<'_>) -> Result<(), &'static str> {
        let entry = found.entry;
        let existing = self.clean(&entry.name, Some(FileType::File));
        let content = Content { segment: found.segment, offset: found.data, size: entry.size.into() };
        let fresh = node(found, Kind::File(content));
        let (id, linked) = match self.link(entry)? {
            Some(id) => (id, true),
            // A link's name was registered even if this fails, as there.
            None => match existing {
                Some(id) => (id, false),
                None => return self.create(&entry.name, fresh).map(drop),
            },
        };
        let node = self.node_mut(id).ok_or("something is there that stays")?;
        let old = match &node.kind {
            Kind::File(old) => old,
            // Tried on 6.18: the open of a pipe for writing waits for a reader, and the boot with it.
            Kind::Fifo => return Err("the kernel waits for ever for a reader of that pipe"),
            _ => return Err("something is there that stays"),
        };
        // A further name may bring the data, and one that brings none leaves what is there.
        let kept = linked && entry.size == 0;
        let content = if kept { *old } else { content };
        *node = Node { kind: Kind::File(content), segment: content.segment, ..fresh };
        Ok(())
    }

    /// The file that the entry is a further name of, if it is one; it has that name then.
    fn link(&mut self, entry: &Entry) -> Result<Option<NodeId>, &'static str> {
        if entry.nlink < 2 {
            return Ok(None);
        }
        let key = (entry.dev, entry.ino, entry.mode & file_type::MASK);
        let Some(first) = self.links.get(&key).cloned() else {
            self.links.insert(key, entry.name.clone());
            return Ok(None);
        };
        self.clean(&entry.name, None);
        let gone = "the file that it is a further name of is gone";
        let id = self.resolve(&first, false).ok().and_then(|place| place.node).ok_or(gone)?;
        if matches!(self.node(id), Some(Node { kind: Kind::Dir(_), .. })) {
            return Err(gone);
        }
        self.name(&entry.name, id)?;
        Ok(Some(id))
    }

    fn special(&mut self, found: &Found<'_>, kind: Option<FileType>) -> Result<(), &'static str> {
        let (major, minor) = found.entry.rdev;
        let kind_of = match kind {
            Some(FileType::Char) => Kind::Char(major, minor),
            Some(FileType::Block) => Kind::Block(major, minor),
            Some(FileType::Fifo) => Kind::Fifo,
            Some(FileType::Socket) => Kind::Socket,
            _ => return Err("it is of no known type"),
        };
        let existing = self.clean(&found.entry.name, kind);
        if self.link(found.entry)?.is_some() {
            return Ok(());
        }
        let fresh = node(found, kind_of);
        let Some(id) = existing else { return self.create(&found.entry.name, fresh).map(drop) };
        // It stays as it is, with another owner and mode.
        let old = self.node_mut(id).ok_or("something is there that stays")?;
        *old = Node { kind: old.kind.clone(), ..fresh };
        Ok(())
    }
}

fn node(found: &Found<'_>, kind: Kind) -> Node {
    let &Entry { mode, uid, gid, mtime, .. } = found.entry;
    Node { kind, mode: mode & 0o7777, uid, gid, mtime, segment: found.segment, given: true }
}
