//! The only place that writes to standard output and standard error. Both get text without what a terminal would act
//! on: much of it comes from packages, mirrors, images and machines.
//!
//! A reader that stops early, as `head` does, is no failure: what is left is dropped. A standard output that is full is
//! a plain error. Nothing can be said about a standard error that does not work, so it is ignored.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use hoopy_base::terminal::{harmless, harmless_bytes, is_harmless};

use crate::error::{CommandError, Context as _, Exit, Result};

/// Prints a result, without what a terminal would act on.
pub fn print(text: impl AsRef<str>) -> Result<()> {
    print_painted(&harmless(text.as_ref()))
}

/// Prints a text that holds colours; what of it comes from outside has been made harmless.
pub fn print_painted(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// Prints bytes as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    finished(write(bytes))
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn finished(written: io::Result<()>) -> Result<()> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Standard output for a stream. A write that fails ends the stream; [`finish`](Self::finish) says why.
#[derive(Default)]
pub struct Stream {
    error: Option<io::Error>,
}

impl Stream {
    /// Whether a write failed.
    pub fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    pub fn finish(self) -> Result<()> {
        finished(self.error.map_or(Ok(()), Err))
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(bytes).map(|()| bytes.len()).map_err(|e| {
            let kind = e.kind();
            self.error = Some(e);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints lines on standard error.
pub fn note(text: impl Display) {
    prompt(format!("{text}\n"));
}

/// Prints an error and its hints; gives the exit code.
pub fn report(error: &CommandError) -> Exit {
    note(format!("error: {error}"));
    error.hints.iter().for_each(|hint| note(format!("hint: {hint}")));
    error.kind.into()
}

/// Prints a text without an end of line on standard error.
pub fn prompt(text: impl Display) {
    prompt_painted(&harmless(&text.to_string()));
}

/// Prints a text that holds colours on standard error; what of it comes from outside has been made harmless.
pub fn prompt_painted(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Standard error for the lines of a log, each of which is written at once.
pub struct LogLines;

impl io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        prompt_painted(&harmless_bytes(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints a result as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| CommandError::failed(e.to_string()))?;
    print(escaped(&text) + "\n")
}

/// JSON with the same values, in characters that do nothing to a terminal: programs read it too, and need the values as
/// they are.
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

/// A colour, by what it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    /// New.
    Green,
    /// Removed.
    Red,
    /// Changed.
    Yellow,
    /// Position.
    Cyan,
    /// Heading.
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

/// Whether standard output is a terminal that wants colours.
pub fn wants_colours() -> bool {
    io::stdout().is_terminal() && may_colour()
}

/// Whether the user lets a terminal have colours (<https://no-color.org>).
pub fn may_colour() -> bool {
    let unset = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    unset && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints pieces of text in their colours, on a terminal.
pub fn print_coloured(pieces: &[(Colour, String)]) -> Result<()> {
    let coloured = wants_colours();
    let shown = |(colour, text): &(Colour, String)| {
        let text = harmless(text);
        if coloured { colour.paint(&text) } else { text }
    };
    print_painted(&pieces.iter().map(shown).collect::<String>())
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
