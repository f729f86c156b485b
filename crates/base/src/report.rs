//! What a build reports while it runs and when it is done. The library reports it here and prints nothing.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something worth telling while it happens.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step of the road began.
    Began(&'a str),
    /// What is being done of it just now: a script's name.
    Doing(&'a str),
    /// It ended, after this long.
    Ended(&'a str, Duration),
    /// Downloads: bytes there, bytes in all.
    Bytes(u64, u64),
    /// Something the user would want to know.
    Note(&'a str),
    /// Something the user should act on.
    Warning(&'a str),
    /// Output of a command of the user's own, as it comes.
    Output(&'a [u8]),
}

/// Who is told. Called from several threads.
pub trait Observer: Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Passes everything on, and keeps the warnings.
pub struct Warnings<'a> {
    to: &'a dyn Observer,
    texts: Mutex<Vec<String>>,
}

impl<'a> Warnings<'a> {
    /// Passes everything on to `to`.
    pub fn new(to: &'a dyn Observer) -> Self {
        Self { to, texts: Mutex::default() }
    }

    /// What was warned of, in order.
    pub fn into_texts(self) -> Vec<String> {
        self.texts.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Warnings<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.texts.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
        self.to.event(event);
    }
}

/// How long each step took, in order.
#[derive(Debug, Clone, Default)]
pub struct Timings(pub Vec<(&'static str, Duration)>);

impl Timings {
    /// Runs `work` as the step `name`.
    ///
    /// # Errors
    /// What `work` fails with.
    pub fn step<T, E>(
        &mut self,
        name: &'static str,
        observer: &dyn Observer,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        observer.event(Event::Began(name));
        let _span = tracing::info_span!("step", what = name).entered();
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        observer.event(Event::Ended(name, took));
        self.0.push((name, took));
        result
    }
}

/// A path in what `--json` prints, as it is shown: JSON cannot hold one that is not UTF-8.
///
/// # Errors
/// What the serializer says.
pub fn shown_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The same for several.
///
/// # Errors
/// What the serializer says.
pub fn shown_paths<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
