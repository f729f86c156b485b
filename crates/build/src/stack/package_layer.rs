//! A package on its stack, and what it will most likely be there: known before the scripts below it have run, since
//! few of them make what a package above is settled on.

use std::collections::HashSet;
use std::sync::Arc;

use hoopy_store::layer::entry::layer_id;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::tree::Tree;
use hoopy_store::tree::settle::{Accounts, Directories, LostPath, settle};

use super::directories::DirectoryOwners;
use super::extraction;

/// The layers of `packages`, in install order, as they will be unless a script says otherwise.
pub fn expected(packages: &[Arc<Package>], epoch: u64) -> Vec<Layer> {
    let mut tree = Tree::default();
    let (accounts, all) = (Accounts::default(), HashSet::new());
    let mut owners = DirectoryOwners::default();
    for package in packages {
        let kept = owners.claim(package, &tree, &accounts, &|_| false);
        let directories = Directories::Except(&kept);
        // Where it cannot be settled, the fold will say so.
        if let Ok(layer) = settled_layer(&package.layer, &tree, &accounts, &all, directories, epoch) {
            tree.push(layer);
        }
    }
    tree.layers().to_vec()
}

/// `layer` as it is over `below`, without the paths that it yields. It may not be in the store.
pub(super) fn settled_layer(
    layer: &Layer,
    below: &Tree,
    accounts: &Accounts,
    without: &HashSet<EntryPath>,
    directories: Directories<'_>,
    epoch: u64,
) -> Result<Layer, LostPath> {
    let mut entries = settle(&layer.entries, below, accounts, directories)?;
    let last = last_of_each_path(&entries);
    let stays = |(index, entry): &(usize, &Entry)| last.contains(index) && !without.contains(&entry.path);
    let files = entries.iter().enumerate().filter(|(_, e)| matches!(e.kind, Kind::File { .. }));
    let kept: Vec<bool> = files.map(|file| stays(&file)).collect();
    let staying: Vec<bool> = entries.iter().enumerate().map(|entry| stays(&entry)).collect();
    let mut staying = staying.into_iter();
    entries.retain(|_| staying.next().unwrap_or(true));
    entries.iter_mut().for_each(|e: &mut Entry| e.mtime = e.mtime.min(epoch));
    if let Directories::Except(_) = directories {
        extraction::inherit_set_group_id(&mut entries, below);
    }
    let same = entries[..] == layer.entries[..];
    Ok(if same { layer.clone() } else { layer.settled(layer_id(&entries), entries, &kept) })
}

/// A package may have one path twice, once over a link: what comes later lies over what came before.
fn last_of_each_path(entries: &[Entry]) -> HashSet<usize> {
    let mut seen = HashSet::new();
    entries.iter().enumerate().rev().filter(|(_, e)| seen.insert(&e.path)).map(|(index, _)| index).collect()
}
