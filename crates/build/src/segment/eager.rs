//! Segments made on every core: first ahead, while scripts still run, then those that an image is made of.
//!
//! A package's segment is what it will be in the end unless a later layer masks some of it, and few are masked. One
//! that is masked after all is made again, which costs time and nothing else.
//!
//! What works ahead yields to the scripts that the build waits for; what is wanted is waited for, and yields to nobody.
//! A core that is still at a segment ahead when the first ones are wanted finishes it, while the others begin.

use std::collections::{BinaryHeap, HashSet};
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use hoopy_base::digest::SegmentKey;
use hoopy_base::report::{Event, Observer};
use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, Layer};

use super::{Member, Plan, Segment, SegmentError, realise_one};
use hoopy_cpio::codec::Codec;

/// How much these threads yield to others, in steps of nice(2).
const YIELDING: i32 = 10;

/// What takes longer than scripts run is not begun: in the end the build would wait for it, with one core idle.
const SLOW: u64 = 2 << 20;

/// What is larger is made first, the largest before all: the last to be done must not be large, for other cores would
/// wait for it. The rest is made in the order of the image, so that it can be written meanwhile.
const LARGE: u64 = 512 << 10;

/// Where segments that are wanted are told of, by their place among those that were asked for.
pub type Told = Sender<(usize, Segment)>;

/// Makes segments on threads of its own.
#[derive(Debug)]
pub struct Eager<'s> {
    codec: Codec,
    store: &'s Store,
    cores: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What was offered, the largest first: what is begun late must be small.
    sizes: BinaryHeap<(u64, usize)>,
    offers: Vec<Plan>,
    /// Offers that are being made.
    going: HashSet<SegmentKey>,
    wanted: Option<Wanted>,
    done: bool,
}

/// Segments that somebody waits for.
#[derive(Debug)]
struct Wanted {
    plans: Vec<(SegmentKey, Plan)>,
    /// Those that are not begun, the next one last.
    queue: Vec<usize>,
    made: Vec<Option<Segment>>,
    failed: Option<SegmentError>,
    told: Told,
}

impl<'s> Eager<'s> {
    /// Calls `work`; what it offers is made by the other cores meanwhile. When it returns, what was not begun is
    /// left, and what was begun is in the store.
    pub fn beside<T>(codec: Codec, store: &'s Store, work: impl FnOnce(&Self) -> T) -> T {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let eager = Self { codec, store, cores, state: Mutex::default(), changed: Condvar::new() };
        std::thread::scope(|scope| {
            // One core is for the work itself.
            for _ in 1..cores {
                scope.spawn(|| eager.serve());
            }
            let _end = End(&eager);
            work(&eager)
        })
    }

    /// How its segments are compressed.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Offers the segment of these layers; paths that `left_out` names will not be in it.
    pub fn offer(&self, layers: Vec<Layer>, left_out: &dyn Fn(&EntryPath) -> bool) {
        let member = |layer: Layer| {
            let masked = layer.entries.iter().enumerate().filter(|(_, e)| left_out(&e.path)).map(|(i, _)| i);
            Member { masked: masked.collect(), layer }
        };
        let members = layers.into_iter().map(member).filter(|member| !member.is_empty()).collect();
        let pieces = Plan { members, codec: self.codec }.pieces();
        let mut state = self.lock();
        for plan in pieces.into_iter().filter(|plan| !plan.is_empty()) {
            let size = plan.size();
            if !self.codec.is_slow() || size <= SLOW {
                let index = state.offers.len();
                state.sizes.push((size, index));
                state.offers.push(plan);
            }
        }
        self.changed.notify_all();
    }

    /// The segments of `plans`, in their order: the store's, and new ones where it has none. Each is `told` of when it
    /// is there. What was offered and is not begun is left.
    ///
    /// # Errors
    /// The first [`SegmentError`].
    pub fn realise(
        &self,
        plans: Vec<Plan>,
        told: Told,
        observer: &dyn Observer,
    ) -> Result<Vec<Segment>, SegmentError> {
        let _round = Round(self);
        let mut state = self.lock();
        state.sizes.clear();
        state.wanted = Some(Wanted::new(plans, told));
        drop(state);
        let segments = std::thread::scope(|scope| {
            for nth in 1..self.cores {
                scope.spawn(move || self.help(nth));
            }
            self.finish()
        });
        observer.event(Event::Bytes(0, 0));
        segments
    }

    /// Makes what is wanted, until all of it is there.
    fn finish(&self) -> Result<Vec<Segment>, SegmentError> {
        let mut state = self.lock();
        loop {
            if let Some(segments) = state.wanted.as_mut().and_then(Wanted::outcome) {
                return segments;
            }
            let next = state.next_wanted();
            state = self.step(state, next);
        }
    }

    /// Makes what is wanted beside [`Self::finish`], the `nth` core to do so: not before there is a core free.
    fn help(&self, nth: usize) {
        let mut state = self.lock();
        while state.wanted.as_ref().is_some_and(|wanted| !wanted.queue.is_empty()) {
            let free = state.going.len() + nth < self.cores;
            let next = if free { state.next_wanted() } else { None };
            state = self.step(state, next);
        }
    }

    /// Makes what is offered.
    fn serve(&self) {
        // The build waits for its scripts; these segments need only be done before it ends. Of this thread alone
        // on Linux (nice(2)), and where it is refused all are equal.
        let _ = rustix::process::nice(YIELDING);
        let mut state = self.lock();
        while !state.done {
            let next = state.next_offer();
            state = self.step(state, next);
        }
    }

    /// Makes `next`, or waits until something changes.
    fn step<'a>(&'a self, state: MutexGuard<'a, State>, next: Option<Next>) -> MutexGuard<'a, State> {
        let Some(Next { index, key, plan }) = next else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let mut making = Making { eager: self, index, key, result: None };
        making.result = Some(realise_one(&plan, self.store));
        drop(making);
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A segment to make; its place, where it is wanted.
struct Next {
    index: Option<usize>,
    key: SegmentKey,
    plan: Plan,
}

impl State {
    /// Of what is wanted. What is being made ahead already is had from the store when it is there.
    fn next_wanted(&mut self) -> Option<Next> {
        let wanted = self.wanted.as_mut()?;
        let free = |index: &usize| wanted.plans.get(*index).is_some_and(|(k, _)| !self.going.contains(k));
        let index = wanted.queue.remove(wanted.queue.iter().rposition(free)?);
        let (key, plan) = wanted.plans.get(index)?.clone();
        Some(Next { index: Some(index), key, plan })
    }

    /// Of what was offered.
    fn next_offer(&mut self) -> Option<Next> {
        let (_, index) = self.sizes.pop()?;
        let plan = self.offers.get(index)?.clone();
        let key = plan.key();
        self.going.insert(key);
        Some(Next { index: None, key, plan })
    }
}

impl Wanted {
    fn new(plans: Vec<Plan>, told: Told) -> Self {
        let mut queue: Vec<usize> = (0..plans.len()).collect();
        let size = |index: &usize| Some(plans.get(*index)?.size()).filter(|size| *size > LARGE);
        // Stable: what has no size keeps its order, behind what has.
        queue.sort_by_key(|index| std::cmp::Reverse(size(index)));
        queue.reverse();
        let made = vec![None; plans.len()];
        let plans = plans.into_iter().map(|plan| (plan.key(), plan)).collect();
        Self { plans, queue, made, failed: None, told }
    }

    /// All of them, or the first failure, after which nothing is begun; nothing while there is something to wait for.
    fn outcome(&mut self) -> Option<Result<Vec<Segment>, SegmentError>> {
        match self.failed.take() {
            Some(failure) => Some(Err(failure)),
            None => self.made.iter().copied().collect::<Option<Vec<_>>>().map(Ok),
        }
    }

    fn add(&mut self, index: usize, result: Result<Segment, SegmentError>) {
        match (result, self.made.get_mut(index)) {
            (Ok(segment), Some(slot)) => {
                *slot = Some(segment);
                // Whoever wanted to hear of it may have given up.
                let _ = self.told.send((index, segment));
            }
            (Ok(_), None) => {}
            (Err(failure), _) => {
                self.queue.clear();
                self.failed.get_or_insert(failure);
            }
        }
    }
}

/// A segment that a thread is at.
struct Making<'a, 's> {
    eager: &'a Eager<'s>,
    index: Option<usize>,
    key: SegmentKey,
    /// Nothing where the thread panics, which its scope passes on; meanwhile nobody shall wait for it.
    result: Option<Result<Segment, SegmentError>>,
}

impl Drop for Making<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.eager.lock();
        match (self.index, &mut state.wanted) {
            (Some(index), Some(wanted)) => {
                let panicked = || Err(io::Error::other("the thread that made it panicked").into());
                wanted.add(index, self.result.take().unwrap_or_else(panicked));
            }
            (Some(_), None) => {}
            // A failure will come again where it can be told, when it is wanted.
            (None, _) => drop(state.going.remove(&self.key)),
        }
        self.eager.changed.notify_all();
    }
}

/// Lets go of what is wanted, and so of whoever is told of it.
struct Round<'a, 's>(&'a Eager<'s>);

impl Drop for Round<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().wanted = None;
    }
}

/// Lets the threads go, even when the work panics: their scope waits for them.
struct End<'a, 's>(&'a Eager<'s>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().done = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::mpsc::channel;

    use hoopy_base::report::Silent;
    use hoopy_store::layer::builder::Builder;

    use super::*;

    const CODEC: Codec = Codec::Zstd { level: 3 };

    fn plans(store: &Store) -> Vec<Plan> {
        let layer = |n: u8| {
            let mut builder = Builder::new(store, 0);
            // Every third one is large.
            let size = usize::from(n) * 1000 + if n.is_multiple_of(3) { LARGE as usize } else { 0 };
            builder.add_bytes(&EntryPath::new("file").unwrap(), 0o644, &vec![n; size]).unwrap();
            builder.finish(store).unwrap()
        };
        (0..20).map(|n| Plan::of(layer(n), Vec::new(), CODEC)).collect()
    }

    fn realised(offered: usize) -> Vec<Segment> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let plans = plans(&store);
        Eager::beside(CODEC, &store, |eager| {
            plans
                .iter()
                .take(offered)
                .for_each(|plan| eager.offer(vec![plan.members[0].layer.clone()], &|_| false));
            let (told, made) = channel();
            let segments = eager.realise(plans.clone(), told, &Silent).unwrap();
            let mut heard: Vec<(usize, Segment)> = made.iter().collect();
            heard.sort_by_key(|(index, _)| *index);
            assert_eq!(heard, segments.iter().copied().enumerate().collect::<Vec<_>>());
            segments
        })
    }

    #[test]
    fn segments_come_in_order_whatever_was_made_ahead() {
        let plain = realised(0);
        assert_eq!(plain.len(), 20);
        for offered in [1, 7, 20] {
            assert_eq!(realised(offered), plain);
        }
    }

    #[test]
    fn a_failure_ends_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let plans = plans(&store);
        std::fs::remove_file(store.data_path(plans[11].members[0].layer.id)).unwrap();
        Eager::beside(CODEC, &store, |eager| {
            plans.iter().for_each(|plan| eager.offer(vec![plan.members[0].layer.clone()], &|_| false));
            let (told, made) = channel();
            assert!(eager.realise(plans.clone(), told, &Silent).is_err());
            // Nobody tells any more.
            assert!(made.iter().count() < plans.len());
        });
    }
}
