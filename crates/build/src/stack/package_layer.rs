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

/// The layers of `packages`, in install order, as they will be unless a script says otherwise.
pub fn expected(packages: &[Arc<Package>], epoch: u64) -> Vec<Layer> {
    let mut tree = Tree::default();
    let (accounts, all) = (Accounts::default(), HashSet::new());
    for package in packages {
        // Where it cannot be settled, the fold will say so.
        if let Ok(layer) = settled_layer(&package.layer, &tree, &accounts, &all, Directories::Override, epoch)
        {
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
    directories: Directories,
    epoch: u64,
) -> Result<Layer, LostPath> {
    let mut entries = settle(&layer.entries, below, accounts, directories)?;
    let files = entries.iter().filter(|e| matches!(e.kind, Kind::File { .. }));
    let kept: Vec<bool> = files.map(|e| !without.contains(&e.path)).collect();
    entries.retain(|e| !without.contains(&e.path));
    entries.iter_mut().for_each(|e: &mut Entry| e.mtime = e.mtime.min(epoch));
    let same = entries[..] == layer.entries[..];
    Ok(if same { layer.clone() } else { layer.settled(layer_id(&entries), entries, &kept) })
}
