//! What a machine says through the port, taken in as it comes: the output of a script, of which the first and the last
//! are kept, and the mark behind it.
//!
//! ```text
//! output of any kind, of any length ... \x01 MARK STATUS \n
//! ```
//!
//! The mark is made for each request from random bytes, so that no output ends by chance, nor does one that is late end
//! a later request. The machine is not trusted with anything but its own results: whatever it says, what is kept here
//! is bounded.

use hoopy_base::terminal::harmless;

/// Most that is kept of the start of an output: what went wrong first.
const MAX_START: usize = 64 << 10;

/// Most that is kept of its end.
const MAX_END: usize = 192 << 10;

/// A status is a number up to 255, or a word.
const MAX_STATUS: usize = 16;

/// Takes in a stream up to the mark.
#[derive(Debug)]
pub(super) struct Capture {
    mark: Vec<u8>,
    start: Vec<u8>,
    end: Vec<u8>,
    left_out: u64,
}

/// What came before the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Captured {
    /// What stands behind the mark.
    pub(super) status: String,
    /// The output, without what a terminal would act on.
    pub(super) output: String,
}

impl Capture {
    /// Waits for this mark.
    pub(super) fn new(mark: &str) -> Self {
        let mark = format!("\x01{mark} ").into_bytes();
        Self { mark, start: Vec::new(), end: Vec::new(), left_out: 0 }
    }

    /// Takes in what comes next; gives all once the mark is there.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Captured> {
        // The mark may begin in what was taken in before: so much of it is looked at again
        let again = (self.mark.len() + MAX_STATUS).min(self.end.len());
        let from = self.end.len() - again;
        self.end.extend_from_slice(bytes);
        let window = self.end.get(from..).unwrap_or_default();
        let marks = window.windows(self.mark.len()).enumerate().filter(|(_, w)| *w == self.mark);
        let mut found = marks.filter_map(|(at, _)| {
            let behind = window.get(at + self.mark.len()..)?;
            let line = behind.iter().take(MAX_STATUS).position(|&b| b == b'\n')?;
            Some((from + at, String::from_utf8_lossy(behind.get(..line)?).into_owned()))
        });
        if let Some((at, status)) = found.next_back() {
            self.end.truncate(at);
            return Some(Captured { status, output: self.shown() });
        }
        self.forget();
        None
    }

    /// What was taken in so far, shown.
    pub(super) fn shown(&self) -> String {
        let mut text = readable(&self.start);
        if self.left_out > 0 {
            text += &format!("\n[... {} bytes left out ...]\n", self.left_out);
        }
        text + &readable(&self.end)
    }

    fn forget(&mut self) {
        let keep_back = self.mark.len() + MAX_STATUS;
        let room = MAX_START - self.start.len();
        if room > 0 {
            let moved = self.end.len().saturating_sub(keep_back).min(room);
            self.start.extend(self.end.drain(..moved));
        } else if self.end.len() > 2 * MAX_END {
            let gone = self.end.len() - MAX_END;
            self.end.drain(..gone);
            self.left_out += gone as u64;
        }
    }
}

/// As text, lines ending in `\n`; what a terminal or XML would stumble over becomes U+FFFD.
pub(super) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    harmless(&text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mark_ends_an_output_and_its_own_bytes_are_not_shown() {
        let mut capture = Capture::new("m1");
        assert_eq!(capture.push(b"one\r\ntwo \x1b[2J\x01m0 0\n"), None);
        let captured = capture.push(b"three\n\x01m1 77\nnot ours").unwrap();
        assert_eq!(captured.status, "77");
        assert_eq!(captured.output, "one\ntwo \u{fffd}[2J\u{fffd}m0 0\nthree\n");
    }

    #[test]
    fn of_an_endless_output_the_start_and_the_end_are_kept() {
        let mut capture = Capture::new("m");
        assert_eq!(capture.push(b"first words\n"), None);
        for _ in 0..2000 {
            assert_eq!(capture.push(&[b'x'; 4096]), None);
            assert!(capture.start.len() + capture.end.len() <= MAX_START + 2 * MAX_END + 4096);
        }
        let captured = capture.push(b"last words\n\x01m 1\n").unwrap();
        assert!(captured.output.starts_with("first words\n") && captured.output.ends_with("last words\n"));
        assert!(captured.output.contains("bytes left out"));
    }

    #[test]
    fn a_mark_without_an_end_is_no_mark() {
        let mut capture = Capture::new("m");
        assert_eq!(capture.push(b"\x01m 1234567890123456789\n"), None);
        assert_eq!(capture.push(b"\x01m 3\n").unwrap().status, "3");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(
            output in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(1_usize..40, 1..20),
        ) {
            let stream = [output.as_slice(), b"\x01mark 0\n"].concat();
            let (mut capture, mut rest, mut found) = (Capture::new("mark"), stream.as_slice(), None);
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                found = capture.push(piece);
                rest = after;
                if rest.is_empty() { break }
            }
            let found = found.unwrap();
            prop_assert_eq!(found.status, "0");
            // The pieces of a character that was cut show apart; what is plain shows as it is
            let plain = |text: &str| text.chars().filter(char::is_ascii).collect::<String>();
            prop_assert_eq!(plain(&found.output), plain(&readable(&output)));
        }
    }
}
