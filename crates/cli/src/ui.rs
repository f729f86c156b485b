//! What is shown while a command runs: one line on a terminal that says what is being done, plain lines in a pipe,
//! nothing with --quiet.
//!
//! The line is drawn at most ten times a second, each time with one write, and not in the first moments: most builds
//! are done before there is anything to tell, and a line that comes and goes is all one would see of it.

/// In place of std's: what is printed is made harmless first.
macro_rules! print {
    ($($text:tt)*) => { $crate::ui::put(&format!($($text)*)).expect("standard output can be written to") };
}

/// In place of std's: what is printed is made harmless first.
macro_rules! println {
    ($($text:tt)*) => { print!("{}\n", format_args!($($text)*)) };
}

/// In place of std's: what is told is made harmless first.
macro_rules! eprint {
    ($($text:tt)*) => { $crate::ui::ask_for(&format!($($text)*)).unwrap_or_default() };
}

/// In place of std's: what is told is made harmless first.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::ui::tell(&format!($($text)*)) };
}

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::log;
use hoopy_base::report::{Event, Observer};
use hoopy_base::size;
use hoopy_base::terminal::{harmless, harmless_line, is_harmless};
use hoopy_build::built::Built;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// No line is shown before this.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Drawn at most so often a second: once a tick.
const RATE: u8 = 10;

/// Tells on standard error.
pub struct Teller {
    quiet: bool,
    /// What bytes are: on their way here, or from here.
    verb: &'static str,
    terminal: bool,
    line: Mutex<Option<Line>>,
}

/// The line on the terminal.
struct Line {
    bar: ProgressBar,
    step: String,
}

impl Teller {
    /// Says nothing but warnings when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self::of("fetching", quiet)
    }

    /// The same, whose bytes are sent.
    pub fn sending(quiet: bool) -> Self {
        Self::of("sending", quiet)
    }

    fn of(verb: &'static str, quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb && !log::is_on();
        Self { quiet, terminal, verb, line: Mutex::new(None) }
    }

    /// Takes the line off the terminal: something else comes there now.
    pub fn done(&self) {
        if let Some(line) = self.lock().take() {
            line.bar.finish_and_clear();
        }
    }

    fn print(&self, text: &str) {
        match self.lock().as_ref() {
            Some(line) => line.bar.suspend(|| tell(text)),
            None => tell(text),
        }
    }

    fn began(&self, step: &str) {
        let mut line = self.lock();
        let line = line.get_or_insert_with(Line::new);
        line.step = harmless_line(step);
        line.bar.set_message(line.step.clone());
    }

    fn doing(&self, what: &str) {
        if let Some(line) = self.lock().as_ref() {
            line.bar.set_message(format!("{}: {}", line.step, harmless_line(what)));
        }
    }

    fn bytes(&self, done: u64, total: u64) {
        if total > 0 {
            self.doing(&format!("{}: {} of {}", self.verb, size::show(done), size::show(total)));
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
        // Waits for nobody and is waited for by nobody: a build that is done by then has dropped the line.
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            if let Some(bar) = waiting.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
            }
        });
        Self { bar, step: String::new() }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.done();
    }
}

impl Observer for Teller {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(text) => self.print(&format!("warning: {text}")),
            _ if self.quiet => {}
            Event::Note(text) => self.print(text),
            Event::Began(step) if self.terminal => self.began(step),
            Event::Doing(what) if self.terminal => self.doing(what),
            Event::Bytes(done, total) if self.terminal => self.bytes(done, total),
            Event::Ended(step, took) if !self.terminal && took > Duration::from_millis(500) => {
                self.print(&format!("{step}: {:.1} s", took.as_secs_f64()));
            }
            Event::Began(_) | Event::Doing(_) | Event::Ended(..) | Event::Bytes(..) | Event::Output(_) => {}
        }
    }
}

/// Prints a result of any length. Whoever reads it may stop early, as `head` does: that is no failure.
///
/// # Errors
/// What standard output fails with otherwise.
pub fn put(text: &str) -> io::Result<()> {
    put_painted(&harmless(text))
}

/// The same for a text that holds colours, and nothing from outside that was not made harmless before.
///
/// # Errors
/// What standard output fails with otherwise.
pub fn put_painted(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something on standard error, in lines of its own.
pub fn tell(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "{}", harmless(text));
}

/// Asks on standard error, and leaves the cursor behind the question.
///
/// # Errors
/// What standard error fails with.
pub fn ask_for(text: &str) -> io::Result<()> {
    let mut err = io::stderr();
    err.write_all(harmless(text).as_bytes())?;
    err.flush()
}

/// A colour of the terminal, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// As it is.
    Plain,
    /// What is new.
    Green,
    /// What is gone.
    Red,
    /// What is another.
    Yellow,
    /// Where one is.
    Cyan,
    /// What stands out.
    Bold,
}

impl Colour {
    /// `text` in this colour, line by line: a pager that is given one line would lose it otherwise.
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Bold => "1",
        };
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let painted = if line.is_empty() { String::new() } else { format!("\x1b[{code}m{line}\x1b[0m") };
            out += &(painted + end);
        }
        out
    }
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub fn wants_colours() -> bool {
    let unset = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && unset && !dumb
}

/// Prints pieces of text in their colours, where they are wanted.
///
/// # Errors
/// What standard output fails with.
pub fn put_coloured(pieces: &[(Colour, String)]) -> io::Result<()> {
    let wanted = wants_colours();
    let shown = |(colour, text): &(Colour, String)| {
        let text = harmless(text);
        if wanted { colour.paint(&text) } else { text }
    };
    put_painted(&pieces.iter().map(shown).collect::<String>())
}

/// Prints a result as JSON.
///
/// # Errors
/// What standard output fails with.
pub fn put_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(put(&(escaped(&serde_json::to_string_pretty(value)?) + "\n"))?)
}

/// JSON that says the same in characters that do nothing to a terminal: programs read it too, and must not be lied to.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmless(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        }
    }
    out
}

/// The table at the end of a build.
pub fn table(built: &Built) -> String {
    if built.unchanged {
        return format!("{} is up to date ({})\n", built.path.display(), size::show(built.size));
    }
    let mut out = format!("image     {}\n", built.path.display());
    out += &format!("size      {} (initramfs {})\n", size::show(built.size), size::show(built.initramfs));
    out += &format!("packages  {}\n", built.packages);
    let steps: Vec<String> =
        built.timings.0.iter().map(|(step, took)| format!("{step} {:.2} s", took.as_secs_f64())).collect();
    out += &format!("time      {}\n", steps.join(", "));
    if built.modules > 0 {
        let more = size::show(built.modules);
        out += &format!("memory    {more} more than with kernel modules packed, for the smaller image\n");
    }
    let layers: Vec<String> =
        built.layers.iter().map(|l| format!("{} {}", l.name, size::show(l.size))).collect();
    out += &format!("largest   {}\n", layers.join(", "));
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn json_says_what_it_said_in_characters_that_do_nothing() {
        let value = "a\u{1b}[2J\u{202e}b\u{e0041}\n└";
        let text = escaped(&serde_json::to_string(value).unwrap());
        assert!(text.chars().all(is_harmless), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}
