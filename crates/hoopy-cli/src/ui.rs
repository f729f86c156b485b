//! What is shown while a build runs: a bar on a terminal, plain lines in a pipe, nothing with --quiet.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use hoopy::config::size;
use hoopy::report::{Built, Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// Tells on standard error.
pub struct Teller {
    quiet: bool,
    verb: &'static str,
    bar: Mutex<Option<ProgressBar>>,
    terminal: bool,
}

impl Teller {
    /// Says nothing but warnings when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        Self { quiet, verb: "fetching", bar: Mutex::new(None), terminal }
    }

    /// The same, whose bytes are sent.
    pub fn sending(quiet: bool) -> Self {
        Self { verb: "sending", ..Self::new(quiet) }
    }

    fn line(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match bar.as_ref() {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn bytes(&self, done: u64, total: u64) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if total == 0 || done >= total {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bar.get_or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}");
            let bar = ProgressBar::new(total).with_message(self.verb);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_position(done);
    }
}

impl Observer for Teller {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            _ if self.quiet => {}
            Event::Note(text) => self.line(text),
            Event::Bytes(done, total) if self.terminal => self.bytes(done, total),
            Event::Ended(step, took) if took > Duration::from_millis(500) => {
                self.line(&format!("{step}: {:.1} s", took.as_secs_f64()));
            }
            Event::Began(_) | Event::Ended(..) | Event::Bytes(..) | Event::Output(_) => {}
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

/// Without characters that a terminal acts on: much of a result is what indexes say of their packages.
pub fn harmless(text: &str) -> String {
    let keep = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(keep).collect()
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

/// Prints pieces of text in their colours, where standard output is a terminal that wants any
/// (<https://no-color.org>).
///
/// # Errors
/// What standard output fails with.
pub fn put_coloured(pieces: &[(Colour, String)]) -> io::Result<()> {
    let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let wanted = io::stdout().is_terminal() && unset("NO_COLOR") && !dumb;
    let mut out = String::new();
    for (colour, text) in pieces {
        let code = match colour {
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Bold => "1",
            Colour::Plain => "",
        };
        let text = harmless(text);
        // Line by line, or a pager that is given one line loses its colour.
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let plain = !wanted || code.is_empty() || line.is_empty();
            out += &if plain { format!("{line}{end}") } else { format!("\x1b[{code}m{line}\x1b[0m{end}") };
        }
    }
    match io::stdout().write_all(out.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints a result as JSON.
///
/// # Errors
/// What standard output fails with.
pub fn put_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(put(&(serde_json::to_string_pretty(value)? + "\n"))?)
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
    let layers: Vec<String> =
        built.layers.iter().map(|l| format!("{} {}", l.name, size::show(l.size))).collect();
    out += &format!("largest   {}\n", layers.join(", "));
    out
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_would_act_on_is_not_printed() {
        assert_eq!(harmless("a\x1b[2J\u{9b}b\r\n└ c\n"), "a\u{fffd}[2J\u{fffd}b\u{fffd}\n└ c\n");
    }
}
