//! Progress of a command, on standard error: one line on a terminal, plain lines in a pipe, nothing with --quiet.
//!
//! The line is drawn at most ten times a second, each time with one write, and only after a moment: most builds are
//! done before that, and a line that comes and goes is a flicker.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hoopy_base::report::{Event, Observer};
use hoopy_base::size;
use hoopy_base::terminal::harmless_line;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{log, output};

/// The line appears after this.
const DELAY: Duration = Duration::from_millis(200);

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Most drawings a second: one each tick.
const RATE: u8 = 10;

/// Shows the events of a library.
pub struct Progress {
    quiet: bool,
    /// `fetching` or `sending`.
    verb: &'static str,
    terminal: bool,
    line: Mutex<Option<Line>>,
}

/// The line on the terminal.
struct Line {
    bar: ProgressBar,
    step: String,
}

impl Progress {
    /// Shows warnings alone when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self::of("fetching", quiet)
    }

    /// The same for an upload.
    pub fn sending(quiet: bool) -> Self {
        Self::of("sending", quiet)
    }

    fn of(verb: &'static str, quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb && !log::is_on();
        Self { quiet, terminal, verb, line: Mutex::new(None) }
    }

    /// Removes the line from the terminal, for other output.
    pub fn done(&self) {
        if let Some(line) = self.lock().take() {
            line.bar.finish_and_clear();
        }
    }

    fn print(&self, text: &str) {
        match self.lock().as_ref() {
            Some(line) => line.bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    fn begin(&self, step: &str) {
        let mut line = self.lock();
        let line = line.get_or_insert_with(Line::new);
        line.step = harmless_line(step);
        line.bar.set_message(line.step.clone());
    }

    fn describe(&self, what: &str) {
        if let Some(line) = self.lock().as_ref() {
            line.bar.set_message(format!("{}: {}", line.step, harmless_line(what)));
        }
    }

    fn bytes(&self, done: u64, total: u64) {
        if total > 0 {
            self.describe(&format!("{}: {} of {}", self.verb, size::show(done), size::show(total)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let began = Instant::now();
        let clock = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.1} s", began.elapsed().as_secs_f64());
        };
        let style =
            ProgressStyle::with_template("{clock} {wide_msg}").map(|style| style.with_key("clock", clock));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let waiting = bar.downgrade();
        // Nothing joins this thread: a build that is done by then has dropped the line.
        std::thread::spawn(move || {
            std::thread::sleep(DELAY);
            if let Some(bar) = waiting.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
            }
        });
        Self { bar, step: String::new() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(text) => self.print(&format!("warning: {text}")),
            _ if self.quiet => {}
            Event::Note(text) => self.print(text),
            Event::Began(step) if self.terminal => self.begin(step),
            Event::Doing(what) if self.terminal => self.describe(what),
            Event::Bytes(done, total) if self.terminal => self.bytes(done, total),
            Event::Ended(step, took) if !self.terminal && took > Duration::from_millis(500) => {
                self.print(&format!("{step}: {:.1} s", took.as_secs_f64()));
            }
            Event::Began(_) | Event::Doing(_) | Event::Ended(..) | Event::Bytes(..) | Event::Output(_) => {}
        }
    }
}
