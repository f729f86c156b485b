//! What a terminal's screen showed, and for how long.

use std::time::{Duration, Instant};

/// A screen is kept when the one before has stood this long: an eye sees no more of them.
const FRAME: Duration = Duration::from_millis(120);
/// A pause is cut to this: nobody watches a machine being unpacked.
const LONGEST_PAUSE: Duration = Duration::from_millis(900);
/// A person's typing, and what passes before they type.
const KEY: Duration = Duration::from_millis(60);
const BEFORE_TYPING: Duration = Duration::from_millis(900);

/// Text of one look within a row.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    /// The first column, from 0.
    pub column: u16,
    /// What stands there.
    pub text: String,
    /// As terminals number the first eight; none is the default.
    pub color: Option<u8>,
    pub bold: bool,
}

/// The rows of a screen, from the top.
pub type Rows = Vec<Vec<Run>>;

/// One picture of the film.
pub struct Frame {
    pub rows: Rows,
    pub duration: Duration,
}

/// Follows a terminal.
pub struct Recorder {
    terminal: vt100::Parser,
    frames: Vec<Frame>,
    since: Instant,
}

impl Recorder {
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { terminal: vt100::Parser::new(rows, columns, 0), frames: Vec::new(), since: Instant::now() }
    }

    /// Shows a prompt and `command`, as if somebody typed it.
    pub fn type_command(&mut self, command: &str) {
        self.terminal.process(b"\x1b[1;32m$\x1b[0m ");
        self.keep(BEFORE_TYPING);
        for key in command.chars() {
            self.terminal.process(key.to_string().as_bytes());
            self.keep(KEY);
        }
        self.terminal.process(b"\r\n");
        self.since = Instant::now();
    }

    /// Takes what a program printed just now.
    pub fn output(&mut self, bytes: &[u8]) {
        let stood = self.since.elapsed();
        if stood >= FRAME {
            self.keep(stood.min(LONGEST_PAUSE));
            self.since = Instant::now();
        }
        self.terminal.process(bytes);
    }

    /// All pictures; the last one stays for a while.
    pub fn finish(mut self) -> Vec<Frame> {
        self.keep(LONGEST_PAUSE * 6);
        self.frames
    }

    fn keep(&mut self, duration: Duration) {
        let rows = rows(self.terminal.screen());
        match self.frames.last_mut() {
            Some(last) if last.rows == rows => last.duration += duration,
            _ => self.frames.push(Frame { rows, duration }),
        }
    }
}

fn rows(screen: &vt100::Screen) -> Rows {
    let (rows, columns) = screen.size();
    (0..rows).map(|row| runs(screen, row, columns)).collect()
}

fn runs(screen: &vt100::Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else { continue };
        let color = match cell.fgcolor() {
            vt100::Color::Idx(color) => Some(color % 8),
            _ => None,
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        match runs.last_mut() {
            Some(run) if run.color == color && run.bold == cell.bold() => run.text.push_str(text),
            _ => runs.push(Run { column, text: text.to_owned(), color, bold: cell.bold() }),
        }
    }
    for run in &mut runs {
        run.text.truncate(run.text.trim_end().len());
    }
    runs.retain(|run| !run.text.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_columns_of_a_row_are_kept() {
        let mut recorder = Recorder::new(20, 2);
        recorder.output(b"ab \x1b[1;31merror\x1b[0m c");
        let frames = recorder.finish();
        let rows = &frames[0].rows;
        let found: Vec<_> =
            rows[0].iter().map(|run| (run.column, run.text.as_str(), run.color, run.bold)).collect();
        assert_eq!(found, [(0, "ab", None, false), (3, "error", Some(1), true), (8, " c", None, false)]);
    }

    #[test]
    fn a_screen_that_does_not_change_is_one_picture() {
        let mut recorder = Recorder::new(20, 2);
        recorder.keep(FRAME);
        recorder.keep(FRAME);
        assert_eq!(recorder.frames.len(), 1);
        assert_eq!(recorder.frames[0].duration, FRAME * 2);
    }
}
