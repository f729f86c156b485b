//! What each thread did and when, for the timeline of a build.
//!
//! Recorded only between [`record`] and [`take`]; before that a span costs one look at a flag. The list is the
//! process's own, as its threads are: what is timed lies so deep in the library that a list handed down would be in
//! every signature.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::digest::LayerId;

static RECORDING: AtomicBool = AtomicBool::new(false);
static LIST: Mutex<Option<Recorded>> = Mutex::new(None);

struct Recorded {
    began: Instant,
    spans: Vec<Span>,
}

/// What kind of work it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A step of the road.
    Step,
    /// A download.
    Fetch,
    /// A package that was taken apart.
    Import,
    /// A layer that was unpacked for scripts.
    Unpack,
    /// A script.
    Script,
    /// Kernel modules that were read for what they need.
    Modules,
    /// Layers that were compressed.
    Segment,
}

impl Work {
    /// All of them, as a legend lists them.
    pub const ALL: [Self; 7] =
        [Self::Step, Self::Fetch, Self::Import, Self::Unpack, Self::Script, Self::Modules, Self::Segment];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Fetch => "fetch",
            Self::Import => "import",
            Self::Unpack => "unpack",
            Self::Script => "script",
            Self::Modules => "modules",
            Self::Segment => "compress",
        }
    }
}

/// What was worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something with a name.
    Named(String),
    /// Layers: the stack knows what they are called.
    Layers(Vec<LayerId>),
}

/// A piece of work.
#[derive(Debug, Clone)]
pub struct Span {
    /// Of what kind.
    pub work: Work,
    /// On what.
    pub what: What,
    /// Which thread did it, counted from the first that did anything.
    pub thread: u64,
    /// When it began, from the beginning of the recording.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
}

/// Records from now on.
pub fn record() {
    *list() = Some(Recorded { began: Instant::now(), spans: Vec::new() });
    RECORDING.store(true, Ordering::Relaxed);
}

/// Ends the recording; what was recorded, in the order of its end, and how long all of it took.
pub fn take() -> (Vec<Span>, Duration) {
    RECORDING.store(false, Ordering::Relaxed);
    list().take().map_or_else(Default::default, |recorded| (recorded.spans, recorded.began.elapsed()))
}

/// Begins a piece of work, which ends when what is returned is dropped.
pub fn span(work: Work, what: impl FnOnce() -> What) -> Option<Running> {
    RECORDING.load(Ordering::Relaxed).then(|| Running { work, what: Some(what()), start: Instant::now() })
}

/// Begins a piece of work on something that has a name.
pub fn named(work: Work, name: &str) -> Option<Running> {
    span(work, || What::Named(name.to_owned()))
}

/// A piece of work that goes on.
#[derive(Debug)]
pub struct Running {
    work: Work,
    what: Option<What>,
    start: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (end, thread) = (Instant::now(), this_thread());
        if let (Some(recorded), Some(what)) = (list().as_mut(), self.what.take()) {
            let since = |time: Instant| time.saturating_duration_since(recorded.began);
            let (start, end) = (since(self.start), since(end));
            recorded.spans.push(Span { work: self.work, what, thread, start, end });
        }
    }
}

fn list() -> MutexGuard<'static, Option<Recorded>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local!(static OWN: Cell<Option<u64>> = const { Cell::new(None) });
    OWN.with(|own| {
        let id = own.get().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed));
        own.set(Some(id));
        id
    })
}
