//! Work that is begun before its result is needed.
//!
//! ```text
//!           ┌ waiting ┐ ── a worker is free ──▶ running ──▶ done ──▶ whoever waits for it
//! begin ──▶ │  queue  │ ── somebody waits ────▶ running (on that thread)
//!           └─────────┘ ── the task is dropped ▶ never run
//! ```
//!
//! One queue serves all kinds of work, so that the workers are always at the most urgent of it. Whoever waits for a task
//! that no worker has begun runs it; while another thread runs it, the one that waits helps with what is as urgent. So
//! there are never more threads at work than the budget has cores, and no core idles while there is something to wait
//! for. A guess that was wrong costs what was run of it, and nothing else: dropping a task takes it off the queue.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How soon the result of a task is needed, the soonest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The build waits for it.
    Now,
    /// The next script needs it.
    NextScript,
    /// A later script needs it.
    LaterScript,
    /// It is needed at the end, if at all.
    Eventually,
}

/// The place of a task in the queue: by urgency, then the largest first, since what is begun late must be small, then as
/// it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    urgency: Urgency,
    size: Reverse<u64>,
    number: u64,
}

type Job = Box<dyn FnOnce() + Send>;

/// The queue and the workers that serve it.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Place, Job>,
    number: u64,
    closed: bool,
}

impl Queue {
    /// Runs what is in the queue until it is closed.
    pub(super) fn serve(&self) {
        let mut state = self.lock();
        while !state.closed {
            state = match state.waiting.pop_first() {
                Some((_, job)) => {
                    drop(state);
                    job();
                    self.lock()
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Lets the workers end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn put(&self, urgency: Urgency, size: u64, job: Job) -> Place {
        let mut state = self.lock();
        state.number += 1;
        let place = Place { urgency, size: Reverse(size), number: state.number };
        state.waiting.insert(place, job);
        drop(state);
        self.changed.notify_one();
        place
    }

    fn take(&self, place: Place) -> Option<Job> {
        self.lock().waiting.remove(&place)
    }

    /// The first job, if it is as urgent.
    fn take_as_urgent(&self, urgency: Urgency) -> Option<Job> {
        let mut state = self.lock();
        let first = state.waiting.first_entry().filter(|first| first.key().urgency <= urgency)?;
        Some(first.remove())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells work that is under way that its result is not needed any more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether nobody needs the result.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The place where a result is put.
struct Slot<T> {
    result: Mutex<Option<thread::Result<T>>>,
    done: Condvar,
}

/// Work that was begun, whose result is to be taken. Dropped, it is taken off the queue; what is under way is told to
/// stop, and waited for.
pub struct Task<T> {
    slot: Arc<Slot<T>>,
    stop: Stop,
    home: Home,
    /// Whether the result was taken, so that nothing is left to wait for.
    taken: bool,
}

/// Where a task runs.
enum Home {
    /// On one of the workers, or on the thread that waits for it.
    Queue(Arc<Queue>, Place),
    /// On a thread of its own.
    Thread(Option<JoinHandle<()>>),
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Task<T> {
    /// Puts `work` into `queue`.
    pub(super) fn queued(
        queue: &Arc<Queue>,
        urgency: Urgency,
        size: u64,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Self {
        let (slot, stop, job) = Self::job(work);
        let place = queue.put(urgency, size, job);
        Self { slot, stop, home: Home::Queue(Arc::clone(queue), place), taken: false }
    }

    /// Runs `work` on a thread of its own; where there can be none, here and now.
    pub(super) fn on_a_thread(name: &str, work: impl FnOnce(&Stop) -> T + Send + 'static) -> Self {
        let (slot, stop, job) = Self::job(work);
        let job = Arc::new(Mutex::new(Some(job)));
        let run = |job: &Mutex<Option<Job>>| {
            let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
            job.into_iter().for_each(|job| job());
        };
        let own = Arc::clone(&job);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || run(&own));
        if started.is_err() {
            run(&job);
        }
        Self { slot, stop, home: Home::Thread(started.ok()), taken: false }
    }

    fn job(work: impl FnOnce(&Stop) -> T + Send + 'static) -> (Arc<Slot<T>>, Stop, Job) {
        let slot = Arc::new(Slot { result: Mutex::new(None), done: Condvar::new() });
        let (stop, own) = (Stop::default(), Arc::clone(&slot));
        let seen = stop.clone();
        let job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&seen)));
            *own.lock() = Some(result);
            own.done.notify_all();
        });
        (slot, stop, job)
    }

    /// The result, when it is there. Where no thread has begun the work, this one does it; where another is at it, this
    /// one helps with what is as urgent.
    pub fn wait(mut self) -> T {
        if let Home::Queue(queue, place) = &self.home {
            if let Some(job) = queue.take(*place) {
                job();
            }
            while !self.slot.is_done() {
                let Some(job) = queue.take_as_urgent(place.urgency) else { break };
                job();
            }
        }
        self.take()
    }

    /// The result, when it is there; `None` where the work was not begun, which then never is.
    pub fn wait_if_begun(mut self) -> Option<T> {
        if let Home::Queue(queue, place) = &self.home
            && queue.take(*place).is_some()
        {
            self.taken = true;
            return None;
        }
        Some(self.take())
    }

    /// Whether a thread has begun it.
    pub fn has_begun(&self) -> bool {
        match &self.home {
            Home::Queue(queue, place) => !queue.lock().waiting.contains_key(place),
            Home::Thread(_) => true,
        }
    }

    fn take(&mut self) -> T {
        let result = self.slot.wait();
        self.taken = true;
        result.unwrap_or_else(|panic: Box<dyn Any + Send>| resume_unwind(panic))
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<thread::Result<T>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_done(&self) -> bool {
        self.lock().is_some()
    }

    fn wait(&self) -> thread::Result<T> {
        let mut result = self.lock();
        loop {
            match result.take() {
                Some(result) => return result,
                None => result = self.done.wait(result).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        match &mut self.home {
            Home::Queue(..) if self.taken => {}
            Home::Queue(queue, place) => {
                if queue.take(*place).is_none() {
                    let _ = self.slot.wait();
                }
            }
            // Also where the result was taken: a thread does not outlive its task.
            Home::Thread(thread) => {
                let _ = thread.take().map(JoinHandle::join);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::Jobs;
    use super::*;

    #[test]
    fn whoever_waits_runs_what_no_worker_has_begun() {
        let jobs = Jobs::new(1);
        let here = thread::current().id();
        let task = jobs.begin(Urgency::Eventually, 0, |_| thread::current().id());
        assert!(!task.has_begun());
        assert_eq!(task.wait(), here);
    }

    #[test]
    fn a_worker_runs_what_nobody_waits_for_yet() {
        let jobs = Jobs::new(2);
        let (tell, told) = channel();
        let task = jobs.begin(Urgency::Eventually, 0, move |_| tell.send(thread::current().id()));
        assert_ne!(told.recv(), Ok(thread::current().id()));
        assert_eq!(task.wait(), Ok(()));
    }

    #[test]
    fn what_is_urgent_comes_first_then_what_is_large() {
        let jobs = Jobs::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let order = Arc::clone(&order);
            move |_: &Stop| order.lock().unwrap_or_else(PoisonError::into_inner).push(name)
        };
        let tasks = [
            jobs.begin(Urgency::Eventually, 9, note("late")),
            jobs.begin(Urgency::Now, 1, note("small")),
            jobs.begin(Urgency::Now, 2, note("large")),
            jobs.begin(Urgency::NextScript, 5, note("script")),
        ];
        while let Some(job) = jobs.queue().take_as_urgent(Urgency::Eventually) {
            job();
        }
        drop(tasks);
        let order = std::mem::take(&mut *order.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(order, ["large", "small", "script", "late"]);
    }

    #[test]
    fn a_dropped_task_is_never_begun_or_waited_for() {
        let jobs = Jobs::new(1);
        drop(jobs.begin(Urgency::Now, 0, |_| panic!("it was run")));
        assert_eq!(jobs.begin(Urgency::Now, 0, |_| 1).wait_if_begun(), None);
        let (tell, told) = channel();
        let task = jobs.begin_io("test", move |stop| {
            while !stop.is_set() {
                thread::yield_now();
            }
            tell.send(())
        });
        drop(task);
        assert_eq!(told.try_recv(), Ok(()));
    }

    #[test]
    #[should_panic(expected = "the work's own")]
    fn whoever_waits_gets_the_panic() {
        Jobs::new(1).begin(Urgency::Now, 0, |_| panic!("the work's own")).wait()
    }

    #[test]
    fn whoever_waits_helps_with_what_is_as_urgent() {
        let jobs = Jobs::new(2);
        let ((go, gone), (tell, told)) = (channel::<()>(), channel());
        let begun = jobs.begin(Urgency::Now, 2, move |_| {
            let _ = tell.send(());
            let _ = gone.recv();
        });
        assert_eq!(told.recv(), Ok(()));
        // The only worker waits for this one, which only the waiting thread can run.
        let other = jobs.begin(Urgency::Now, 1, move |_| go.send(()).is_ok());
        begun.wait();
        assert!(other.wait());
    }
}
