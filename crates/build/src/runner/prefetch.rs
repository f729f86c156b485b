//! Unpacks large layers before a script needs them: while the first scripts run over small layers, another core unpacks
//! the large packages that later scripts will run over, so that none waits for a kernel's modules.
//!
//! What is unpacked is what a package will be on the stack unless a script says otherwise; where one does, the work was
//! for nothing and does no harm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoopy_base::digest::LayerId;
use hoopy_base::jobs::{Jobs, Task, Urgency};
use hoopy_sandbox::{Sandbox, Session};
use hoopy_store::Store;
use hoopy_store::layer::Layer;
use hoopy_store::layer::package::Package;

use super::unpack::unpack_one;
use crate::context::Context;
use crate::stack::expected;

/// Smaller layers are unpacked in less time than waiting for them would take.
const LARGE: u64 = 1 << 20;

/// The layers of an image that are being unpacked before a script needs them.
#[derive(Debug, Default)]
pub struct LayerPrefetch {
    shared: Arc<Shared>,
    /// Finds out what is large.
    planning: Option<Task<()>>,
    /// What that is found out from, until the first script runs.
    packages: Option<(Vec<Arc<Package>>, u64)>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Sessions that no thread uses now.
    sessions: Mutex<Vec<Session>>,
}

#[derive(Debug, Default)]
struct State {
    tasks: HashMap<LayerId, Task<()>>,
    /// What scripts have asked for, and unpack themselves.
    left: HashSet<LayerId>,
    ended: bool,
}

impl LayerPrefetch {
    /// Of these packages, in install order. Nothing is unpacked before a script runs: perhaps none will.
    pub fn of(packages: &[Arc<Package>], epoch: u64) -> Self {
        let mut new = Self::default();
        new.packages = Some((packages.to_vec(), epoch));
        new
    }

    /// A script is about to run over `layers`: none of them is begun here any more, and one that is under way is waited
    /// for.
    pub fn leave(&mut self, layers: &[Layer], sandbox: &Arc<Sandbox>, context: Context<'_>) {
        let mut state = self.shared.lock();
        state.left.extend(layers.iter().map(|layer| layer.id));
        let left: Vec<Task<()>> = layers.iter().filter_map(|layer| state.tasks.remove(&layer.id)).collect();
        drop(state);
        // Those that were not begun never are.
        drop(left);
        if let Some((packages, epoch)) = self.packages.take() {
            let (shared, sandbox) = (Arc::clone(&self.shared), Arc::clone(sandbox));
            let (store, jobs) = (Arc::clone(context.store), context.jobs.clone());
            self.planning = Some(context.jobs.begin(Urgency::NextScript, u64::MAX, move |_| {
                shared.begin(expected(&packages, epoch), &sandbox, &store, &jobs);
            }));
        }
    }

    /// Begins nothing more, and gives the sessions that were used.
    pub fn end(&mut self) -> Vec<Session> {
        self.packages = None;
        let mut state = self.shared.lock();
        state.ended = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        drop((self.planning.take(), tasks));
        std::mem::take(&mut *self.shared.sessions())
    }
}

impl Drop for LayerPrefetch {
    /// The tasks hold what holds them.
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Shared {
    fn begin(
        self: &Arc<Self>,
        expected: Vec<Layer>,
        sandbox: &Arc<Sandbox>,
        store: &Arc<Store>,
        jobs: &Jobs,
    ) {
        let mut state = self.lock();
        for layer in expected.into_iter().filter(|layer| layer.unpacked_size() >= LARGE) {
            if state.ended || state.left.contains(&layer.id) {
                continue;
            }
            let (shared, sandbox, store) = (Arc::clone(self), Arc::clone(sandbox), Arc::clone(store));
            let (id, size) = (layer.id, layer.unpacked_size());
            let task =
                jobs.begin(Urgency::NextScript, size, move |_| shared.unpack(&layer, &sandbox, &store));
            state.tasks.insert(id, task);
        }
    }

    /// Whatever fails here fails again where it can be reported: when a script needs the layer.
    fn unpack(&self, layer: &Layer, sandbox: &Sandbox, store: &Store) {
        let free = self.sessions().pop();
        let Some(mut session) = free.or_else(|| sandbox.session().ok()) else { return };
        let _ = unpack_one(&mut session, layer, store);
        self.sessions().push(session);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
