//! What a script made under `etc/` before a package came with the same file stays: apk protects that directory. The
//! package's own lies beside it as `.apk-new`, unless it is the same.

use std::collections::{HashMap, HashSet};

use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Origin, Stack, StackError};

/// Whether packages leave alone what is at `path` and not as a package made it.
pub fn is_protected(path: &EntryPath) -> bool {
    path.is_within(b"etc")
}

/// The layer of `package` with its files beside those that stay. What is the same as there is added to `yielded`.
pub fn spare(
    package: &Package,
    stack: &Stack,
    yielded: &mut HashSet<EntryPath>,
    store: &Store,
) -> Result<Layer, StackError> {
    let layer = &package.layer;
    let (mut spared, mut same) = (HashSet::new(), HashSet::new());
    for entry in layer.entries.iter().filter(|e| !e.is_dir() && is_protected(&e.path)) {
        let Some(there) = own(entry, stack).filter(|_| !yielded.contains(&entry.path)) else { continue };
        let is_same = there.kind == *content(entry, layer);
        if is_same { &mut same } else { &mut spared }.insert(entry.path.clone());
    }
    if spared.is_empty() && same.is_empty() {
        return Ok(layer.clone());
    }
    let mut entries = layer.entries.to_vec();
    hand_on(&mut entries, &mut same);
    yielded.extend(same);
    for entry in &mut entries {
        if spared.contains(&entry.path) {
            entry.path = beside(&entry.path)?;
        }
        if let Kind::Hardlink(first) = &mut entry.kind
            && spared.contains(first)
        {
            *first = beside(first)?;
        }
    }
    let kept = vec![true; entries.len()];
    Ok(layer.settled(store.put_layer(&entries)?, entries, &kept))
}

/// A file that is there already may have other names in the package that are not: the first of them gets the file, in
/// its place, so that contents stay in order.
fn hand_on(entries: &mut Vec<Entry>, same: &mut HashSet<EntryPath>) {
    let mut heirs: HashMap<EntryPath, EntryPath> = HashMap::new();
    for entry in entries.iter() {
        if let Kind::Hardlink(first) = &entry.kind
            && same.contains(first)
            && !same.contains(&entry.path)
        {
            heirs.entry(first.clone()).or_insert_with(|| entry.path.clone());
        }
    }
    let is_heir = |path: &EntryPath| heirs.values().any(|heir| heir == path);
    entries.retain(|e| !(matches!(e.kind, Kind::Hardlink(_)) && is_heir(&e.path)));
    for entry in entries {
        if let Some(heir) = heirs.get(&entry.path) {
            same.remove(&entry.path);
            entry.path = heir.clone();
        }
        if let Kind::Hardlink(first) = &mut entry.kind
            && let Some(heir) = heirs.get(first)
        {
            *first = heir.clone();
        }
    }
}

/// What is at the path of `entry`, where no package made it.
fn own<'a>(entry: &Entry, stack: &'a Stack) -> Option<&'a Entry> {
    let at = stack.tree.at(&entry.path)?;
    let by_package = matches!(stack.origins.get(at.layer), Some(Origin::Package(_)));
    stack.tree.get(&entry.path).filter(|_| !by_package)
}

/// What `entry` holds, which may be another name of what stands before it.
fn content<'a>(entry: &'a Entry, layer: &'a Layer) -> &'a Kind {
    match &entry.kind {
        Kind::Hardlink(first) => layer.entry(first).map_or(&entry.kind, |e| &e.kind),
        kind => kind,
    }
}

fn beside(path: &EntryPath) -> Result<EntryPath, StackError> {
    Ok(EntryPath::new([path.as_bytes(), b".apk-new"].concat())?)
}
