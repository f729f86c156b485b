//! The trigger of the package kmod, answered without running it.
//!
//! The trigger runs `depmod`, which inflates all of a kernel's modules one after another: the longest script of a
//! build by far. What it writes follows from the modules and the kernel's own lists alone, and `hoopy-kmod` tells it
//! byte for byte. The modules are read as soon as their package is there, on every core, while the scripts before the
//! trigger run.
//!
//! It is answered only where the answer is known to be the script's own:
//!
//! - the trigger's text and kmod's version are ones that were compared ([`known`]);
//! - `/sbin/depmod` is that package's program, and nothing configures it;
//! - the directories are as kernel packages bring them, and every module in them is read to its end ([`directory`]).
//!
//! Everything else runs the script, as ever. What is laid on the stack goes through the same [`capture`] as what a
//! script changed, so that it is the same layer.

mod directory;
mod known;
mod scan;

use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use directory::Directory;
use hoopy_apk::package::ScriptKind;
use hoopy_base::digest::{ContentId, Hasher, LayerId, RecipeId};
use hoopy_sandbox::Captured;
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, Kind};

use super::{Stack, StackError, capture};
use crate::context::Context;

pub use scan::Modules;

/// Changes whenever the same modules would give other files, or the same files another layer.
const VERSION: &str = "hoopy modules 1";

/// The mode of what depmod writes, under the sandbox's umask.
const MODE: u32 = 0o644;

/// Whether the trigger of `package` is one that can be answered.
fn is_known(package: &Package) -> bool {
    let trigger = package.scripts.iter().find(|(kind, _)| *kind == ScriptKind::Trigger);
    trigger.is_some_and(|(_, text)| known::is_known(&package.record, text))
}

impl Modules {
    /// What the trigger of `package` changes when it is called for `directories`; `None` where only running it can
    /// tell.
    ///
    /// # Errors
    /// [`StackError`] when the store fails.
    pub fn answer(
        &mut self,
        package: &Package,
        directories: &[Vec<u8>],
        stack: &Stack,
        epoch: u64,
        context: Context<'_>,
    ) -> Result<Option<Layer>, StackError> {
        if !is_known(package) {
            return Ok(None);
        }
        let answer = self.over(package, directories, stack, epoch, context)?;
        if answer.is_none() {
            self.give_up();
        }
        self.asked(context.store)?;
        Ok(answer)
    }

    fn over(
        &mut self,
        package: &Package,
        directories: &[Vec<u8>],
        stack: &Stack,
        epoch: u64,
        context: Context<'_>,
    ) -> Result<Option<Layer>, StackError> {
        let store = context.store;
        // A build that has nothing new below the trigger does not look at the modules at all.
        let over = over(package, directories, stack, epoch);
        if let Some(layer) = recall(over, store) {
            return Ok(Some(layer));
        }
        if !known::is_plain(package, &stack.tree) {
            return Ok(None);
        }
        let found = directories.iter().map(|dir| Directory::of(dir, &stack.tree).map(Arc::new)).collect();
        let Some(directories): Option<Vec<Arc<Directory>>> = found else { return Ok(None) };
        let of = of(&directories, stack, epoch);
        let layer = match recall(of, store) {
            Some(layer) => layer,
            None => {
                let mut files = |dir| Some((dir, self.files(dir, stack.tree.layers(), context)?));
                let written: Option<Vec<_>> = directories.iter().map(&mut files).collect();
                let Some(written) = written else { return Ok(None) };
                capture::keep(captured(&written, stack)?, stack, epoch, store)?
            }
        };
        store.remember(over, &layer.id)?;
        store.remember(of, &layer.id)?;
        Ok(Some(layer))
    }
}

/// The layer that came of `recipe`, where the store has all of it.
fn recall(recipe: RecipeId, store: &Store) -> Option<Layer> {
    let id = store.recall::<LayerId>(recipe)?;
    let entries = store.layer(id)?;
    store.has_data(id, Layer::data_size(&entries)).then(|| Layer::whole(id, entries))
}

/// What a script would be seen to have changed that had written these files.
fn captured(
    written: &[(&Arc<Directory>, Vec<hoopy_kmod::File>)],
    stack: &Stack,
) -> Result<Captured, StackError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut contents = tempfile::tempfile()?;
    for (directory, files) in written {
        for above in directory.above() {
            if !entries.iter().any(|entry| entry.path == *above) {
                entries.extend(stack.tree.get(above).cloned());
            }
        }
        for file in files {
            let path = directory.path_of(file.name)?;
            let (size, content) = (file.content.len() as u64, ContentId::of(&file.content));
            entries.push(Entry::new(path, Kind::File { size, content }, MODE));
            contents.write_all(&file.content)?;
        }
    }
    contents.rewind()?;
    Ok(Captured { entries, contents, output: Vec::new() })
}

/// The trigger over the layers below it.
fn over(package: &Package, directories: &[Vec<u8>], stack: &Stack, epoch: u64) -> RecipeId {
    let mut hasher = Hasher::new(VERSION);
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes()).field(package.record.version.as_str().as_bytes());
    hasher.field(&epoch.to_le_bytes()).field(&(directories.len() as u64).to_le_bytes());
    directories.iter().for_each(|directory| {
        hasher.field(directory);
    });
    stack.tree.layers().iter().for_each(|layer| {
        hasher.field(layer.id.as_bytes());
    });
    RecipeId::from_bytes(hasher.finish())
}

/// All that the layer depends on: what was read, and what it lies over.
fn of(directories: &[Arc<Directory>], stack: &Stack, epoch: u64) -> RecipeId {
    let mut hasher = Hasher::new(VERSION);
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes()).field(&epoch.to_le_bytes());
    let mut bytes = Vec::new();
    for directory in directories {
        hasher.field(directory.recipe.as_bytes());
        let files = hoopy_kmod::NAMES.iter().filter_map(|name| directory.path_of(name).ok());
        let paths = directory.above().iter().cloned().chain(files);
        for entry in paths.filter_map(|path| stack.tree.get(&path)) {
            bytes.clear();
            entry.encode(&mut bytes);
            hasher.field(&bytes);
        }
    }
    RecipeId::from_bytes(hasher.finish())
}
