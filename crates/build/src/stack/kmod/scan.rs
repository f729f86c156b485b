//! Reading the kernel modules of packages: begun as soon as the packages are there, needed by the trigger.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_base::jobs::{Jobs, Stop, Task, Urgency};
use hoopy_kmod::{File, Lists, Module};
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{EntryPath, Layer};
use hoopy_store::tree::Tree;
use hoopy_store::{Store, StoreError};

use super::directory::Directory;
use super::is_known;
use crate::context::Context;

/// What depmod writes of each directory, by the directory's recipe.
type Files = HashMap<RecipeId, Vec<File>>;

/// The modules of a build's packages.
#[derive(Debug, Default)]
pub struct Modules {
    /// What was read of them, and what is being read.
    files: Files,
    task: Option<Task<Files>>,
    /// What the packages that bring modules are known by, where nobody asked for them yet.
    brought: Option<RecipeId>,
}

impl Modules {
    /// Begins to read the modules of `packages`, where their kmod is one that can be answered and the store does not have
    /// the answer.
    pub fn begin(packages: &[Arc<Package>], epoch: u64, context: Context<'_>) -> Self {
        let Some((layers, brought)) = unread(packages, epoch, context.store) else { return Self::default() };
        let (store, jobs) = (Arc::clone(context.store), context.jobs.clone());
        let size = layers.iter().map(Layer::unpacked_size).sum();
        let task = context.jobs.begin(Urgency::LaterScript, size, move |stop| {
            // What the packages bring, as it will be unless a script says otherwise.
            let mut tree = Tree::default();
            layers.into_iter().for_each(|layer| tree.push(layer));
            let directories = Directory::all(&tree).into_iter().map(Arc::new);
            let files = |directory: Arc<Directory>| {
                Some((directory.recipe, read(&directory, tree.layers(), &store, &jobs, stop)?))
            };
            directories.filter_map(files).collect()
        });
        Self { files: Files::new(), task: Some(task), brought: Some(brought) }
    }

    /// Remembers that these packages' trigger was asked: what came of it is remembered, or it had to run, and either
    /// way the next build need not read modules before it asks.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn asked(&self, store: &Store) -> Result<(), StoreError> {
        self.brought.map_or(Ok(()), |brought| store.remember(brought, &()))
    }

    /// Ends the reading: the trigger runs.
    pub fn give_up(&mut self) {
        self.task = None;
    }

    /// The files of `directory`, in the layers that it was found in.
    pub fn files(
        &mut self,
        directory: &Arc<Directory>,
        layers: &[Layer],
        context: Context<'_>,
    ) -> Option<Vec<File>> {
        self.files.extend(self.task.take().map(Task::wait).unwrap_or_default());
        let read_before = self.files.remove(&directory.recipe);
        read_before.or_else(|| read(directory, layers, context.store, context.jobs, &Stop::default()))
    }
}

/// The packages' layers that have modules and what they are known by, where their kmod can be answered and was not asked
/// over them before.
fn unread(packages: &[Arc<Package>], epoch: u64, store: &Store) -> Option<(Vec<Layer>, RecipeId)> {
    if !packages.iter().any(|package| is_known(package)) {
        return None;
    }
    let has_modules = |layer: &&Layer| layer.entries.iter().any(|entry| entry.path.is_within(b"lib/modules"));
    let layers: Vec<Layer> = packages.iter().map(|p| &p.layer).filter(has_modules).cloned().collect();
    let mut hasher = Hasher::new("hoopy modules of packages 1");
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes()).field(&epoch.to_le_bytes());
    layers.iter().for_each(|layer| {
        hasher.field(layer.id.as_bytes());
    });
    let brought = RecipeId::from_bytes(hasher.finish());
    store.recall::<()>(brought).is_none().then_some((layers, brought))
}

/// What depmod would write of `directory`.
fn read(
    directory: &Arc<Directory>,
    layers: &[Layer],
    store: &Arc<Store>,
    jobs: &Jobs,
    stop: &Stop,
) -> Option<Vec<File>> {
    let modules = modules(directory, layers, store, jobs, stop)?;
    let _span = tracing::debug_span!("modules", what = "modules' dependencies").entered();
    let list = |(path, at): &(EntryPath, hoopy_store::tree::At)| {
        layers.get(at.layer)?.read_file(store, path).ok()?
    };
    let [order, builtin, modinfo] = &directory.lists;
    let (order, builtin, builtin_modinfo) = (&list(order)?, &list(builtin)?, &list(modinfo)?);
    // Whatever is wrong, depmod will tell it its way.
    hoopy_kmod::files(modules, &Lists { order, builtin, builtin_modinfo }).ok()
}

/// The modules of `directory`, in no order: on every core that is free, each going through the layers and taking what no
/// other has taken.
fn modules(
    directory: &Arc<Directory>,
    layers: &[Layer],
    store: &Arc<Store>,
    jobs: &Jobs,
    stop: &Stop,
) -> Option<Vec<Module>> {
    let taken = directory.modules.keys().map(|path| (path.clone(), AtomicBool::new(false))).collect();
    let share = Arc::new(Share {
        directory: Arc::clone(directory),
        layers: layers.to_vec(),
        store: Arc::clone(store),
        stop: stop.clone(),
        taken,
    });
    let help = |_| {
        let share = Arc::clone(&share);
        jobs.begin(Urgency::LaterScript, 0, move |_| share.read())
    };
    let helpers: Vec<Task<_>> = (1..jobs.cores()).map(help).collect();
    let own = share.read();
    // Who has not begun would find nothing left.
    let others = helpers.into_iter().filter_map(Task::wait_if_begun);
    let read: io::Result<Vec<Vec<Module>>> = std::iter::once(own).chain(others).collect();
    read.ok().map(|modules| modules.into_iter().flatten().collect())
}

/// A directory that several threads read.
struct Share {
    directory: Arc<Directory>,
    layers: Vec<Layer>,
    store: Arc<Store>,
    stop: Stop,
    /// Modules that a thread has read, or is at.
    taken: HashMap<EntryPath, AtomicBool>,
}

impl Share {
    /// Reads what no other thread has taken, until there is no more.
    fn read(&self) -> io::Result<Vec<Module>> {
        let _span = tracing::debug_span!("modules", what = "modules").entered();
        let (mut modules, mut file, mut room) = (Vec::new(), Vec::new(), Vec::new());
        for (index, layer) in self.layers.iter().enumerate() {
            if !self.directory.modules.values().any(|of| *of == index) {
                continue;
            }
            let streamed = layer.stream(&self.store, &mut |entry, content| {
                if self.stop.is_set() {
                    return Err(io::Error::other("not needed any more"));
                }
                let here = self.directory.modules.get(&entry.path) == Some(&index);
                let Some(taken) = self.taken.get(&entry.path).filter(|_| here) else { return Ok(()) };
                if taken.swap(true, Ordering::Relaxed) {
                    return Ok(());
                }
                file.clear();
                content.read_to_end(&mut file)?;
                let path = self.directory.inside(&entry.path).unwrap_or_default();
                modules.push(Module::read(path, &file, &mut room).map_err(io::Error::other)?);
                Ok(())
            });
            streamed.map_err(io::Error::other)?;
        }
        Ok(modules)
    }
}
