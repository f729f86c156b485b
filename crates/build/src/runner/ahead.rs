//! Unpacking ahead: while the first scripts run over small layers, a session of its own unpacks the large packages
//! that later scripts will run over, so that none waits for a kernel's modules to be unpacked.
//!
//! What is unpacked is what a package will be on the stack unless a script says otherwise; where one does, the work
//! was for nothing and does no harm.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use hoopy_base::digest::LayerId;
use hoopy_sandbox::Sandbox;
use hoopy_store::Store;
use hoopy_store::layer::Layer;

use super::native::unpack_one;

/// Smaller layers are unpacked in less time than waiting for them would take.
const LARGE: u64 = 1 << 20;

/// What there is to unpack. Shared by the thread that does and the scripts that need it.
#[derive(Debug, Default)]
pub struct Ahead {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The smallest first: it is taken from the end.
    queue: Vec<Layer>,
    /// The one being unpacked.
    current: Option<LayerId>,
    /// What scripts have asked for, and unpack themselves.
    left: HashSet<LayerId>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No script has had to run yet, and perhaps none will.
    #[default]
    Waiting,
    Going,
    Ended,
}

impl Ahead {
    /// Unpacks what is large of the layers that `expected` gives, from the first script on until there is nothing
    /// left or [`Ahead::end`].
    pub fn work(&self, expected: impl FnOnce() -> Vec<Layer>, sandbox: &Sandbox, store: &Store) {
        let mut state = self.lock();
        while state.stage == Stage::Waiting {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let mut large: Vec<Layer> = expected().into_iter().filter(|l| l.unpacked_size() >= LARGE).collect();
        large.sort_by_key(Layer::unpacked_size);
        let mut state = self.lock();
        large.retain(|layer| !state.left.contains(&layer.id));
        state.queue = large;
        drop(state);
        // Whatever fails here fails again where it can be told.
        let Ok(mut session) = sandbox.session() else { return };
        while let Some(layer) = self.next() {
            let _ = unpack_one(&mut session, &layer, store);
            self.lock().current = None;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Layer> {
        let mut state = self.lock();
        if state.stage == Stage::Ended {
            return None;
        }
        let layer = state.queue.pop()?;
        state.current = Some(layer.id);
        Some(layer)
    }

    /// A script is about to run over `layers`: none of them is begun here any more, and one that is begun is waited
    /// for.
    pub fn leave(&self, layers: &[Layer]) {
        let mut state = self.lock();
        if state.stage == Stage::Waiting {
            state.stage = Stage::Going;
            self.changed.notify_all();
        }
        state.left.extend(layers.iter().map(|layer| layer.id));
        let State { queue, left, .. } = &mut *state;
        queue.retain(|layer| !left.contains(&layer.id));
        while state.current.is_some_and(|id| state.left.contains(&id)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Begins nothing more.
    pub fn end(&self) {
        self.lock().stage = Stage::Ended;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
