//! Segments made on every core: first while scripts still run, of layers that will not change any more, then those that
//! an image is made of.
//!
//! A package's segment is what it will be in the end unless a later layer masks some of it, and few are masked. One
//! that is masked after all is made again, which costs time and nothing else.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use hoopy_base::digest::SegmentKey;
use hoopy_base::jobs::{Task, Urgency};
use hoopy_base::report::Event;
use hoopy_cpio::codec::Codec;
use hoopy_store::layer::{EntryPath, Layer};

use super::{Member, Plan, Segment, SegmentError, realise_one};
use crate::context::Context;

/// What takes longer than scripts run is not begun: in the end the build would wait for it, with one core idle.
const SLOW: u64 = 2 << 20;

/// What is larger is made first, the largest before all: the last to be done must not be large, for other cores would
/// wait for it. The rest is made in the order of the image, so that it can be written meanwhile.
const LARGE: u64 = 512 << 10;

/// Takes segments as they are made, by their place among those that were asked for.
pub type Made = Sender<(usize, Segment)>;

/// A segment being made, or to be made.
type Making = Task<Result<Segment, SegmentError>>;

/// Makes the segments of a build.
pub struct SegmentMaker<'a> {
    codec: Codec,
    context: Context<'a>,
    offers: RefCell<HashMap<SegmentKey, Making>>,
}

impl<'a> SegmentMaker<'a> {
    /// Compresses with `codec`.
    pub fn new(codec: Codec, context: Context<'a>) -> Self {
        Self { codec, context, offers: RefCell::default() }
    }

    /// How its segments are compressed.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Offers the segment of these layers to be made when a core is free; paths that `left_out` names will not be in it.
    pub fn offer(&self, layers: Vec<Layer>, left_out: &dyn Fn(&EntryPath) -> bool) {
        let member = |layer: Layer| {
            let masked = layer.entries.iter().enumerate().filter(|(_, e)| left_out(&e.path)).map(|(i, _)| i);
            Member { masked: masked.collect(), layer }
        };
        let members = layers.into_iter().map(member).filter(|member| !member.is_empty()).collect();
        let pieces = Plan { members, codec: self.codec }.pieces();
        for plan in pieces.into_iter().filter(|plan| !plan.is_empty()) {
            let (key, size) = (plan.key(), plan.size());
            if !self.codec.is_slow() || size <= SLOW {
                let task = self.begin(Urgency::Eventually, size, plan, |_| {});
                self.offers.borrow_mut().insert(key, task);
            }
        }
    }

    fn begin(
        &self,
        urgency: Urgency,
        size: u64,
        plan: Plan,
        done: impl FnOnce(Segment) + Send + 'static,
    ) -> Making {
        let store = Arc::clone(self.context.store);
        self.context.jobs.begin(urgency, size, move |_| {
            let made = realise_one(&plan, &store);
            if let Ok(segment) = &made {
                done(*segment);
            }
            made
        })
    }

    /// The segments of `plans`, in their order: the store's, and new ones where it has none. Each is sent to `made` when
    /// it is there. What was offered and is not begun is left.
    ///
    /// # Errors
    /// The first [`SegmentError`].
    pub fn realise(&self, plans: Vec<Plan>, made: &Made) -> Result<Vec<Segment>, SegmentError> {
        let mut segments = vec![None; plans.len()];
        let mut offers = self.offers.take();
        offers.retain(|_, task| task.has_begun());
        let (mut begun, mut rest) = (Vec::new(), Vec::new());
        for (index, plan) in plans.into_iter().enumerate() {
            match offers.remove(&plan.key()) {
                Some(task) => begun.push((index, task)),
                None => rest.push((index, plan)),
            }
        }
        let large = |plan: &Plan| Some(plan.size()).filter(|size| *size > LARGE).unwrap_or_default();
        // Stable: what is not large keeps its order, behind what is.
        rest.sort_by_key(|(_, plan)| Reverse(large(plan)));
        let begin = |(index, plan): (usize, Plan)| {
            let (size, made) = (large(&plan), made.clone());
            // Whoever wanted to hear of it may have given up.
            let done = move |segment| {
                let _ = made.send((index, segment));
            };
            (index, self.begin(Urgency::Now, size, plan, done))
        };
        let rest: Vec<(usize, Making)> = rest.into_iter().map(begin).collect();
        // While a worker is at the last of these, this thread helps with the others.
        for (index, task) in begun {
            let segment = task.wait()?;
            let _ = made.send((index, segment));
            segments[index] = Some(segment);
        }
        for (index, task) in rest {
            segments[index] = Some(task.wait()?);
        }
        self.context.observer.event(Event::Bytes(0, 0));
        Ok(segments.into_iter().flatten().collect())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::mpsc::channel;

    use hoopy_base::jobs::Jobs;
    use hoopy_base::report::Silent;
    use hoopy_store::Store;
    use hoopy_store::layer::builder::Builder;

    use super::*;
    use crate::fetch::Client;

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

    /// Calls `work` with a maker that has so many cores, and the plans for it.
    fn with_maker<T>(cores: usize, work: impl FnOnce(&SegmentMaker<'_>, &Store, Vec<Plan>) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let plans = plans(&store);
        let (client, jobs) = (Client::default(), Jobs::new(cores));
        let context = Context { store: &store, client: &client, jobs: &jobs, observer: &Silent };
        work(&SegmentMaker::new(CODEC, context), &store, plans)
    }

    fn offer(maker: &SegmentMaker<'_>, plan: &Plan) {
        maker.offer(vec![plan.members[0].layer.clone()], &|_| false);
    }

    fn realised(cores: usize, offered: usize) -> Vec<Segment> {
        with_maker(cores, |maker, _, plans| {
            plans.iter().take(offered).for_each(|plan| offer(maker, plan));
            let (made, heard) = channel();
            let segments = maker.realise(plans, &made).unwrap();
            drop(made);
            let mut heard: Vec<(usize, Segment)> = heard.iter().collect();
            heard.sort_by_key(|(index, _)| *index);
            assert_eq!(heard, segments.iter().copied().enumerate().collect::<Vec<_>>());
            segments
        })
    }

    #[test]
    fn segments_come_in_order_whatever_was_offered() {
        let plain = realised(1, 0);
        assert_eq!(plain.len(), 20);
        for cores in [1, 2, 8] {
            for offered in [1, 7, 20] {
                assert_eq!(realised(cores, offered), plain);
            }
        }
    }

    #[test]
    fn a_failure_ends_all() {
        with_maker(2, |maker, store, plans| {
            std::fs::remove_file(store.data_path(plans[11].members[0].layer.id)).unwrap();
            plans.iter().for_each(|plan| offer(maker, plan));
            let (made, heard) = channel();
            let count = plans.len();
            assert!(maker.realise(plans, &made).is_err());
            drop(made);
            assert!(heard.iter().count() < count);
        });
    }
}
