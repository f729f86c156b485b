//! From what a script changed to a layer.
//!
//! An overlay's upper directory holds more than changes: every directory above one, and files that were opened
//! for writing and left as they were. What is equal to the entry below is dropped. Times become the epoch:
//! a script's clock must not show in the image.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek as _};

use hoopy_sandbox::Captured;
use hoopy_store::Store;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Stack, StackError};

/// Keeps what `captured` changed of `below` as a layer.
pub fn keep(captured: Captured, below: &Stack, epoch: u64, store: &Store) -> Result<Layer, StackError> {
    let linked: BTreeSet<EntryPath> =
        captured.entries.iter().filter_map(|e| first_name(e).cloned()).collect();
    let changed = |e: &Entry| linked.contains(&e.path) || !unchanged(e, below);
    let needed = parents_of(captured.entries.iter().filter(|e| changed(e)));
    let mut contents = captured.contents;
    let mut kept = Vec::new();
    let mut data = store.scratch();
    for entry in captured.entries {
        let mut content = (&mut contents).take(entry.size());
        if changed(&entry) {
            io::copy(&mut content, &mut data)?;
            kept.push(Entry { mtime: epoch, ..entry });
        } else {
            io::copy(&mut content, &mut io::sink())?;
            // A layer stands on its own: a directory above a change stays, as it is below.
            kept.extend(
                below.tree.get(&entry.path).filter(|e| e.is_dir() && needed.contains(&e.path)).cloned(),
            );
        }
    }
    forget_needless_opacity(&mut kept, below);
    let id = store.put_layer(&kept)?;
    data.rewind()?;
    store.put_data(id, &mut data)?;
    Ok(Layer::whole(id, kept))
}

fn parents_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<EntryPath> {
    let mut parents = BTreeSet::new();
    for entry in entries {
        let mut above = entry.path.parent();
        while let Some(dir) = above {
            above = dir.parent();
            if !parents.insert(dir) {
                break;
            }
        }
    }
    parents
}

fn first_name(entry: &Entry) -> Option<&EntryPath> {
    if let Kind::Hardlink(first) = &entry.kind { Some(first) } else { None }
}

fn unchanged(entry: &Entry, below: &Stack) -> bool {
    let same = |there: &Entry| {
        (&there.kind, there.access(), &there.xattrs) == (&entry.kind, entry.access(), &entry.xattrs)
    };
    match below.tree.get(&entry.path) {
        Some(there) => same(there),
        None => entry.kind == Kind::Whiteout,
    }
}

/// Opaque is said of directories that a script made anew where none was: there it says nothing.
fn forget_needless_opacity(entries: &mut [Entry], below: &Stack) {
    for entry in entries {
        if entry.kind == (Kind::Dir { opaque: true }) && below.tree.get(&entry.path).is_none() {
            entry.kind = Kind::Dir { opaque: false };
        }
    }
}
