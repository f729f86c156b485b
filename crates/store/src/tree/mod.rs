//! The image's tree: a view over a stack of layers that says, for each path, which layer's entry counts.
//! Nothing is unpacked to make it.
//!
//! Also what follows from it for each layer: which of its entries are *masked*. Masking is correctness, not
//! thrift: the kernel truncates a file that is there already (init/initramfs.c), so a masked file left in an
//! earlier segment would write through every hard link that survives, and a directory with content cannot
//! become a file.

pub mod links;
pub mod settle;

use std::collections::BTreeMap;

use self::links::Links;
use crate::layer::{Entry, EntryPath, Kind, Layer};

/// Where an entry is: the layer's place in the stack, and the entry's in the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// From the bottom.
    pub layer: usize,
    /// In the layer's order.
    pub entry: usize,
}

/// The view over a stack of layers.
#[derive(Debug, Default)]
pub struct Tree {
    layers: Vec<Layer>,
    nodes: BTreeMap<EntryPath, At>,
    links: Links,
}

impl Tree {
    /// Lays `layer` on top.
    pub fn push(&mut self, layer: Layer) {
        let index = self.layers.len();
        self.layers.push(layer.clone());
        for (entry_index, entry) in layer.entries.iter().enumerate() {
            let existing = self.get(&entry.path);
            match &entry.kind {
                Kind::Dir { opaque: false } if existing.is_some_and(Entry::is_dir) => {}
                _ if existing.is_some() => self.remove(&entry.path),
                _ => {}
            }
            if let Kind::Symlink(_) = entry.kind {
                self.links.insert(&entry.path);
            }
            if entry.kind != Kind::Whiteout {
                self.nodes.insert(entry.path.clone(), At { layer: index, entry: entry_index });
            }
        }
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The entry that counts at `path`.
    pub fn get(&self, path: &EntryPath) -> Option<&Entry> {
        self.nodes.get(path).map(|at| self.entry(*at))
    }

    /// Where the entry that counts at `path` is.
    pub fn at(&self, path: &EntryPath) -> Option<At> {
        self.nodes.get(path).copied()
    }

    /// Every path with the entry that counts, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryPath, &Entry, At)> {
        self.nodes.iter().map(|(path, at)| (path, self.entry(*at), *at))
    }

    /// What lies below the directory `dir`, itself left out.
    pub fn below<'a>(&'a self, dir: &'a EntryPath) -> impl Iterator<Item = (&'a EntryPath, &'a Entry)> {
        let within = move |(path, _): &(&EntryPath, &At)| path.is_within(dir.as_bytes());
        self.nodes
            .range(dir..)
            .skip_while(move |(p, _)| *p == dir)
            .take_while(within)
            .map(|(p, at)| (p, self.entry(*at)))
    }

    /// The indexes of the entries of layer `index` that do not show: overlaid, deleted, or under a prefix that
    /// `left_out` names. A directory shows as long as its path is one: the layers' modes apply in order.
    pub fn masked(&self, index: usize, left_out: &dyn Fn(&EntryPath) -> bool) -> Vec<usize> {
        let Some(layer) = self.layers.get(index) else { return Vec::new() };
        let shows = |(i, entry): &(usize, &Entry)| {
            if left_out(&entry.path) {
                return false;
            }
            match self.at(&entry.path) {
                None => false,
                Some(at) if entry.is_dir() => self.entry(at).is_dir(),
                Some(at) => at == At { layer: index, entry: *i },
            }
        };
        layer.entries.iter().enumerate().filter(|e| !shows(e)).map(|(i, _)| i).collect()
    }

    /// `path` as it is once symbolic links among its parents are followed inside the tree; `None` where they
    /// lead to nothing, round in circles, or to something that is no directory.
    pub fn through_links(&self, path: &EntryPath) -> Option<EntryPath> {
        links::resolve(path, &self.links, |p| match self.get(p).map(|e| &e.kind) {
            Some(Kind::Symlink(target)) => Some(target.as_slice()),
            _ => None,
        })
    }

    /// The same for one path after the other.
    pub const fn walk(&self) -> Walk<'_> {
        Walk { tree: self, last: None }
    }

    /// The entry that `path` leads to when every link is followed, its last component's too.
    pub fn follow(&self, path: &EntryPath) -> Option<&Entry> {
        let mut path = self.through_links(path)?;
        for _ in 0..links::MAX_LINKS {
            match self.get(&path)? {
                Entry { kind: Kind::Symlink(target), .. } => path = links::join(&path, target)?,
                _ => return self.get(&path),
            }
            path = self.through_links(&path)?;
        }
        None
    }

    fn entry(&self, at: At) -> &Entry {
        &self.layers[at.layer].entries[at.entry]
    }

    /// Components order paths so that a directory's content directly follows it: one run of the map.
    fn remove(&mut self, path: &EntryPath) {
        let within = |(p, _): &(&EntryPath, &At)| p.is_within(path.as_bytes());
        let gone: Vec<_> = self.nodes.range(path..).take_while(within).map(|(p, _)| p.clone()).collect();
        gone.iter().for_each(|p| {
            self.nodes.remove(p);
        });
    }
}

/// [`Tree::through_links`] of paths in the order of a layer, most of which are in the directory of the one before.
#[derive(Debug)]
pub struct Walk<'t> {
    tree: &'t Tree,
    /// The last directory, and where it leads.
    last: Option<(EntryPath, EntryPath)>,
}

impl Walk<'_> {
    /// As [`Tree::through_links`].
    pub fn through_links(&mut self, path: &EntryPath) -> Option<EntryPath> {
        let (dir, name) = path.split();
        // What is directly below the root is reached over no link.
        let Some(dir) = dir else { return Some(path.clone()) };
        if let Some((last, leads_to)) = &self.last
            && last.as_bytes() == dir
        {
            return EntryPath::new([leads_to.as_bytes(), name].join(&b'/')).ok();
        }
        let found = self.tree.through_links(path)?;
        self.last = path.parent().zip(found.parent());
        Some(found)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::LayerId;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_walk_leads_where_each_look_up_leads(
            links in proptest::collection::btree_map("[ab](/[ab]){0,2}", "/?(\\.\\./|[ab]/){0,3}[ab.]?", 0..6),
            paths in proptest::collection::vec("[ab](/[ab]){0,3}", 0..20),
        ) {
            let path = |path: &String| EntryPath::new(path).unwrap();
            let link = |(from, to): (&String, &String)| {
                Entry::new(path(from), Kind::Symlink(to.clone().into_bytes()), 0o777)
            };
            let mut tree = Tree::default();
            for entry in links.iter().map(link) {
                tree.push(Layer::whole(LayerId::of(b"one"), [entry].into_iter().collect()));
            }
            let mut walk = tree.walk();
            for path in paths.iter().map(path) {
                prop_assert_eq!(walk.through_links(&path), tree.through_links(&path));
            }
        }
    }
}
