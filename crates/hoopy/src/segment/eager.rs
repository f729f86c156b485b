//! Segments made ahead, while scripts still run: a package's segment is what it will be in the end unless a later
//! layer masks some of it, and few are masked. One that is masked after all is made again, which costs time and
//! nothing else.

use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::codec::Codec;
use super::{Plan, realise_one};
use crate::layer::{EntryPath, Layer};
use crate::store::Store;

/// How much these threads yield to others, in steps of nice(2).
const YIELDING: i32 = 10;

/// What takes longer than scripts run is not begun: in the end the build would wait for it, with one core idle.
const SLOW: u64 = 2 << 20;

/// Makes segments on threads of its own.
#[derive(Debug)]
pub struct Eager {
    codec: Codec,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The largest first: what is begun late must be small.
    sizes: BinaryHeap<(u64, usize)>,
    plans: Vec<Plan>,
    done: bool,
}

impl Eager {
    /// Calls `work`; what it offers is made by the other cores meanwhile. When it returns, what was not begun is
    /// left, and what was begun is in the store.
    pub fn beside<T>(codec: Codec, store: &Store, work: impl FnOnce(&Self) -> T) -> T {
        let eager = Self { codec, queue: Mutex::default(), changed: Condvar::new() };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            // One core is for the work itself.
            for _ in 1..cores {
                scope.spawn(|| eager.serve(store));
            }
            let _end = End(&eager);
            work(&eager)
        })
    }

    /// Offers a layer; paths that `left_out` names will not be in its segment.
    pub fn offer(&self, layer: &Layer, left_out: &dyn Fn(&EntryPath) -> bool) {
        let masked = layer.entries.iter().enumerate().filter(|(_, e)| left_out(&e.path)).map(|(i, _)| i);
        let plan = Plan { layer: layer.clone(), masked: masked.collect(), codec: self.codec };
        let size = plan.size();
        if plan.is_empty() || self.codec.is_slow() && size > SLOW {
            return;
        }
        let mut queue = self.lock();
        let index = queue.plans.len();
        queue.sizes.push((size, index));
        queue.plans.push(plan);
        self.changed.notify_one();
    }

    fn serve(&self, store: &Store) {
        // The build waits for its scripts; these segments need only be done before it ends. Of this thread alone
        // on Linux (nice(2)), and where it is refused all are equal.
        let _ = rustix::process::nice(YIELDING);
        loop {
            let mut queue = self.lock();
            let plan = loop {
                if queue.done {
                    return;
                }
                if let Some((_, index)) = queue.sizes.pop() {
                    break queue.plans[index].clone();
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            // A failure will come again where it can be told, when the image is put together.
            let _ = realise_one(&plan, store);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the threads go, even when the work panics: their scope waits for them.
struct End<'a>(&'a Eager);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().done = true;
        self.0.changed.notify_all();
    }
}
