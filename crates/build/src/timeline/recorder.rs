//! What each thread did and when: a layer of `tracing` that keeps the spans that the timeline shows.
//!
//! A span is shown by its name ([`Work`]); its field `what` or `layers` says what was worked on.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hoopy_base::digest::LayerId;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

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

    /// In a word: the name of its spans.
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

/// What was recorded so far. Clones are the same.
#[derive(Debug, Clone)]
pub struct Recording(Arc<Mutex<Recorded>>);

#[derive(Debug)]
struct Recorded {
    began: Instant,
    spans: Vec<Span>,
}

/// Records spans, for a subscriber to have as a layer.
#[derive(Debug)]
pub struct Recorder(Recording);

/// A span that goes on.
struct OpenSpan {
    work: Work,
    what: What,
    thread: u64,
    start: Instant,
}

impl Recording {
    /// Begins one, which `Recorder` fills.
    pub fn begin() -> (Self, Recorder) {
        let recorded = Recorded { began: Instant::now(), spans: Vec::new() };
        let recording = Self(Arc::new(Mutex::new(recorded)));
        (recording.clone(), Recorder(recording))
    }

    /// Forgets what was recorded, and begins anew.
    pub fn restart(&self) {
        *self.lock() = Recorded { began: Instant::now(), spans: Vec::new() };
    }

    /// What was recorded, in the order of its end, and how long all of it took.
    pub(super) fn take(&self) -> (Vec<Span>, Duration) {
        let mut recorded = self.lock();
        (std::mem::take(&mut recorded.spans), recorded.began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let name = attributes.metadata().name();
        let Some(work) = Work::ALL.into_iter().find(|work| work.name() == name) else { return };
        let mut fields = Fields(None);
        attributes.record(&mut fields);
        let (Some(what), Some(span)) = (fields.0, context.span(id)) else { return };
        let started = OpenSpan { work, what, thread: this_thread(), start: Instant::now() };
        span.extensions_mut().insert(started);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(OpenSpan { work, what, thread, start }) = span.extensions_mut().remove() else { return };
        let mut recorded = self.0.lock();
        let began = recorded.began;
        let since = |time: Instant| time.saturating_duration_since(began);
        let (start, end) = (since(start), since(Instant::now()));
        recorded.spans.push(Span { work, what, thread, start, end });
    }
}

/// Takes what was worked on out of a span's fields.
struct Fields(Option<What>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "what" => self.0 = Some(What::Named(value.to_owned())),
            "layers" => {
                let layers = value.split(' ').filter_map(|id| id.parse().ok()).collect();
                self.0 = Some(What::Layers(layers));
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
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

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn spans_that_the_timeline_shows_are_kept_with_what_they_are_about() {
        let (recording, recorder) = Recording::begin();
        let ids = [LayerId::from_bytes([1; 32]), LayerId::from_bytes([2; 32])];
        tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder), || {
            let _step = tracing::info_span!("step", what = "import").entered();
            drop(tracing::debug_span!("compress", layers = %format!("{} {}", ids[0], ids[1])).entered());
            drop(tracing::debug_span!("something else", what = "of no interest").entered());
        });
        let (spans, took) = recording.take();
        let seen: Vec<_> = spans.iter().map(|span| (span.work, span.what.clone())).collect();
        let step = (Work::Step, What::Named("import".to_owned()));
        assert_eq!(seen, [(Work::Segment, What::Layers(ids.to_vec())), step]);
        assert!(spans.iter().all(|span| span.start <= span.end && span.end <= took));
    }
}
