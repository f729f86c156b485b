//! `[modes]` of what packages have. Git keeps no directory that is empty, so that one cannot stand in `root/` only to get
//! another mode.

use std::collections::BTreeMap;

use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError};

/// A layer with those paths of `modes` that `root` does not have, as they are in `stack` but for the mode.
pub fn layer(
    modes: &BTreeMap<EntryPath, u32>,
    root: &Layer,
    stack: &Stack,
    epoch: u64,
    store: &Store,
) -> Result<Layer, StackError> {
    let mut builder = Builder::new(store, epoch);
    for (path, mode) in modes.iter().filter(|(path, _)| root.entry(path).is_none()) {
        let missing = || StackError::NoSuchMode(path.clone());
        let there = stack.tree.follow(path).ok_or_else(missing)?.clone();
        match there.kind {
            Kind::Dir { .. } => builder.add(&there.path, Kind::Dir { opaque: false }, *mode),
            Kind::File { .. } | Kind::Hardlink(_) => {
                let content = stack.read(&there.path, store)?.ok_or_else(missing)?;
                builder.add_bytes(&there.path, *mode, &content)?;
            }
            _ => return Err(missing()),
        }
        if let Some(new) = builder.get_mut(&there.path) {
            (new.user, new.group, new.mtime, new.xattrs) =
                (there.user, there.group, there.mtime, there.xattrs);
        }
    }
    Ok(builder.finish(store)?)
}
