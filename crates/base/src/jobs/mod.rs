//! Work spread over the cores, within one budget of them: what is done for all of many items at once ([`Jobs::map`]), and
//! what is begun before anybody needs it ([`Jobs::begin`]).

mod handover;
mod task;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

pub use handover::{Giver, Taker, handover};
use task::Queue;
pub use task::{Stop, Task, Urgency};

/// The cores that hoopy may keep busy. Clones share them.
#[derive(Clone)]
pub struct Jobs(Arc<Room>);

struct Room {
    cores: usize,
    queue: Arc<Queue>,
    /// Started when the first task is begun. One core is for the thread that begins them.
    workers: OnceLock<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("cores", &self.0.cores).finish_non_exhaustive()
    }
}

impl Default for Jobs {
    /// As many as there are.
    fn default() -> Self {
        Self::new(here())
    }
}

impl Jobs {
    /// A budget of so many cores, of one at least.
    pub fn new(cores: usize) -> Self {
        Self(Arc::new(Room { cores: cores.max(1), queue: Arc::default(), workers: OnceLock::new() }))
    }

    /// How many cores it has.
    pub fn cores(&self) -> usize {
        self.0.cores
    }

    /// Begins `work` of this urgency and size when a core is free, or when its result is waited for.
    pub fn begin<T: Send + 'static>(
        &self,
        urgency: Urgency,
        size: u64,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Task<T> {
        self.0.workers.get_or_init(|| self.0.start());
        Task::queued(&self.0.queue, urgency, size, work)
    }

    /// Begins `work` that waits for a disk or another process far more than it computes, at once, on a thread of its own.
    pub fn begin_io<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Task<T> {
        Task::on_a_thread(name, work)
    }

    /// `work` over all of `items` on every core, in the items' order; results in that order too. After the first failure
    /// nothing new is begun.
    ///
    /// # Errors
    /// The failure of the first item, in order, that failed.
    pub fn map<'i, T: Sync, R: Send, E: Send>(
        &self,
        items: &'i [T],
        work: impl Fn(&'i T) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E> {
        map_on(self.0.cores.min(items.len().max(1)), items, work)
    }

    /// The same, but the largest are begun first: the last to be done is then no large one, for which other cores wait.
    ///
    /// # Errors
    /// The failure of the largest item that failed.
    pub fn map_largest_first<T: Sync, R: Send, E: Send>(
        &self,
        items: &[T],
        size: impl Fn(&T) -> u64,
        work: impl Fn(&T) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E> {
        let mut order: Vec<(usize, &T)> = items.iter().enumerate().collect();
        order.sort_by_key(|(_, item)| std::cmp::Reverse(size(item)));
        let mut results = self.map(&order, |&(index, item)| Ok((index, work(item)?)))?;
        results.sort_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    #[cfg(test)]
    fn queue(&self) -> &Queue {
        &self.0.queue
    }
}

impl Room {
    fn start(&self) -> Vec<JoinHandle<()>> {
        let worker = |_| {
            let queue = Arc::clone(&self.queue);
            // Where no thread can be had, whoever waits for a task runs it.
            thread::Builder::new().name("worker".to_owned()).spawn(move || queue.serve()).ok()
        };
        (1..self.cores).filter_map(worker).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue.close();
        // A task may hold the last clone of the budget that it is run in.
        let here = thread::current().id();
        let workers = self.workers.take().into_iter().flatten();
        workers.filter(|worker| worker.thread().id() != here).for_each(|worker| drop(worker.join()));
    }
}

/// The cores of this machine.
fn here() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// `work` over all of `items` on this many threads, in the items' order; results in that order too. After the first failure
/// nothing new is begun. For what waits more than it computes; else [`Jobs::map`].
///
/// # Errors
/// The failure of the first item, in order, that failed.
pub fn map_on<'i, T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &'i [T],
    work: impl Fn(&'i T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_results_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = map_on(4, &items, |&n| Ok::<_, ()>(n * 2));
        assert_eq!(doubled, Ok((0..200).step_by(2).collect()));
    }

    #[test]
    fn begins_with_the_largest_and_keeps_the_order() {
        let begun = Mutex::new(Vec::new());
        let note = |&n: &u64| {
            begun.lock().unwrap_or_else(PoisonError::into_inner).push(n);
            Ok::<_, ()>(n)
        };
        assert_eq!(Jobs::default().map_largest_first(&[2, 9, 4], |&n| n, note), Ok(vec![2, 9, 4]));
        let first = begun.into_inner().unwrap_or_else(PoisonError::into_inner)[0];
        assert!(first == 9 || std::thread::available_parallelism().is_ok_and(|n| n.get() > 1));
    }

    #[test]
    fn begins_nothing_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let result = map_on(1, &[1, 2, 3], |&n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if n == 2 { Err(n) } else { Ok(n) }
        });
        assert_eq!((result, begun.into_inner()), (Err(2), 2));
    }
}
