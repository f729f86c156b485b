//! Reading modules ahead: on threads of their own, from when packages are there until the trigger asks.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_base::jobs as parallel;
use hoopy_base::report::spans;
use hoopy_kmod::{File, Lists, Module};
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{EntryPath, Layer};
use hoopy_store::tree::Tree;
use hoopy_store::{Store, StoreError};

use super::directory::Directory;
use super::is_known;

/// What was read ahead.
#[derive(Debug, Default)]
pub struct Ahead {
    state: Mutex<State>,
    done: Condvar,
    /// What the packages that bring modules are known by, where nobody asked for them yet.
    brought: OnceLock<RecipeId>,
    /// Whether nobody will ask any more.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there is nothing more to wait for.
    finished: bool,
    /// The files, by the recipe of the directory that they are of.
    told: HashMap<RecipeId, Vec<File>>,
}

/// Calls `work` while `ahead` reads the modules of `packages` beside it, where their kmod is one that can be answered
/// and the store does not have the answer.
pub fn beside<T>(
    ahead: &Ahead,
    packages: &[Arc<Package>],
    epoch: u64,
    store: &Store,
    work: impl FnOnce() -> T,
) -> T {
    let Some(layers) = ahead.unread(packages, epoch, store) else {
        ahead.lock().finished = true;
        return work();
    };
    std::thread::scope(|scope| {
        let _end = End(ahead);
        scope.spawn(|| {
            let _finished = Finished(ahead);
            ahead.read(layers, store);
        });
        work()
    })
}

/// Lets the reading end, even when the work panics: its scope waits for it.
struct End<'a>(&'a Ahead);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Lets the trigger go on, even when the reading panics.
struct Finished<'a>(&'a Ahead);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.lock().finished = true;
        self.0.done.notify_all();
    }
}

impl Ahead {
    /// The packages' layers that have modules, where their kmod can be answered and was not asked over them before.
    fn unread(&self, packages: &[Arc<Package>], epoch: u64, store: &Store) -> Option<Vec<Layer>> {
        if !packages.iter().any(|package| is_known(package)) {
            return None;
        }
        let has_modules =
            |layer: &&Layer| layer.entries.iter().any(|entry| entry.path.is_within(b"lib/modules"));
        let layers: Vec<Layer> = packages.iter().map(|p| &p.layer).filter(has_modules).cloned().collect();
        let mut hasher = Hasher::new("hoopy modules of packages 1");
        hasher.field(env!("CARGO_PKG_VERSION").as_bytes()).field(&epoch.to_le_bytes());
        layers.iter().for_each(|layer| {
            hasher.field(layer.id.as_bytes());
        });
        let brought = RecipeId::from_bytes(hasher.finish());
        store.recall::<()>(brought).is_none().then(|| {
            let _ = self.brought.set(brought);
            layers
        })
    }

    /// Remembers that these packages' trigger was asked: what came of it is remembered, or it had to run, and either
    /// way the next build need not read ahead.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn asked(&self, store: &Store) -> Result<(), StoreError> {
        self.brought.get().map_or(Ok(()), |brought| store.remember(*brought, &()))
    }

    /// Ends the reading: the trigger runs.
    pub fn give_up(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Reads what the packages bring, as it will be unless a script says otherwise.
    fn read(&self, layers: Vec<Layer>, store: &Store) {
        let mut tree = Tree::default();
        layers.into_iter().for_each(|layer| tree.push(layer));
        for directory in Directory::all(&tree) {
            if let Some(files) = self.tell(&directory, tree.layers(), store) {
                self.lock().told.insert(directory.recipe, files);
            }
        }
    }

    /// The files of `directory`, in the layers that it was found in: read ahead, or now.
    pub fn files(&self, directory: &Directory, layers: &[Layer], store: &Store) -> Option<Vec<File>> {
        let mut state = self.lock();
        while !state.finished {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let told = state.told.remove(&directory.recipe);
        drop(state);
        told.or_else(|| self.tell(directory, layers, store))
    }

    fn tell(&self, directory: &Directory, layers: &[Layer], store: &Store) -> Option<Vec<File>> {
        let modules = self.modules(directory, layers, store)?;
        let _span = spans::named(spans::Work::Modules, "modules' dependencies");
        let list = |(path, at): &(EntryPath, hoopy_store::tree::At)| {
            layers.get(at.layer)?.read_file(store, path).ok()?
        };
        let [order, builtin, modinfo] = &directory.lists;
        let (order, builtin, builtin_modinfo) = (&list(order)?, &list(builtin)?, &list(modinfo)?);
        // Whatever is wrong, depmod will tell it its way.
        hoopy_kmod::files(modules, &Lists { order, builtin, builtin_modinfo }).ok()
    }

    /// The modules, in no order: every thread goes through the layers and takes what no other has taken.
    fn modules(&self, directory: &Directory, layers: &[Layer], store: &Store) -> Option<Vec<Module>> {
        let taken: HashMap<&EntryPath, AtomicBool> =
            directory.modules.keys().map(|path| (path, AtomicBool::new(false))).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<usize> = (0..cores).collect();
        let read = parallel::map(&threads, |_| {
            let _span = spans::named(spans::Work::Modules, "modules");
            let (mut modules, mut file, mut room) = (Vec::new(), Vec::new(), Vec::new());
            for (index, layer) in layers.iter().enumerate() {
                if !directory.modules.values().any(|of| *of == index) {
                    continue;
                }
                let streamed = layer.stream(store, &mut |entry, content| {
                    if self.ended.load(Ordering::Relaxed) {
                        return Err(io::Error::other("nobody asks any more"));
                    }
                    let wanted = directory.modules.get(&entry.path) == Some(&index);
                    let Some(taken) = taken.get(&entry.path).filter(|_| wanted) else { return Ok(()) };
                    if taken.swap(true, Ordering::Relaxed) {
                        return Ok(());
                    }
                    file.clear();
                    content.read_to_end(&mut file)?;
                    let path = directory.inside(&entry.path).unwrap_or_default();
                    modules.push(Module::read(path, &file, &mut room).map_err(io::Error::other)?);
                    Ok(())
                });
                streamed.map_err(|_| ())?;
            }
            Ok::<_, ()>(modules)
        });
        read.ok().map(|modules| modules.into_iter().flatten().collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
