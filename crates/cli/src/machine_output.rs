//! What a machine says on its console, printed as it comes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::adapter::StripBytes;

use crate::error::Result;
use crate::output::{Stream, print};
use hoopy_base::terminal::harmless_bytes;

/// Prints a console on standard output, without the sequences by which firmware clears the screen and programs paint.
/// Clones print to the same place.
#[derive(Clone, Default)]
pub struct MachineOutput(Arc<Mutex<Printed>>);

#[derive(Default)]
struct Printed {
    sequences: StripBytes,
    /// The beginning of a character whose end has not come yet.
    rest: Vec<u8>,
    in_line: bool,
    to: Stream,
}

impl Printed {
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        for part in self.sequences.strip_next(bytes) {
            self.rest.extend(part.iter().filter(|byte| **byte != b'\r'));
        }
        let begun =
            self.rest.utf8_chunks().last().map_or(0, |last| match std::str::from_utf8(last.invalid()) {
                // Not wrong yet: its end may come.
                Err(error) if error.error_len().is_none() => last.invalid().len(),
                _ => 0,
            });
        let whole = self.rest.len() - begun;
        self.rest.drain(..whole).collect()
    }

    /// The beginning of a character whose end never came.
    fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// Prints what is harmless of `bytes`.
    fn print(&mut self, bytes: &[u8]) {
        let text = harmless_bytes(bytes);
        if let Some(last) = text.chars().last() {
            self.in_line = last != '\n';
        }
        // Who listens to the console goes on without this: the stream keeps the error
        let _ = self.to.write_all(text.as_bytes());
    }
}

impl Write for MachineOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = printed.take(bytes);
        printed.print(&whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MachineOutput {
    /// Ends the last line. What is written later, by a machine that is being stopped, is not awaited.
    ///
    /// # Errors
    /// That of the first write that failed.
    pub fn finish(self) -> Result<()> {
        let mut printed = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let rest = printed.take_rest();
        printed.print(&rest);
        if printed.in_line && !printed.to.has_failed() {
            print("\n")?;
        }
        printed.to.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(chunks: &[&[u8]]) -> String {
        let mut printed = Printed::default();
        let taken: String = chunks.iter().map(|chunk| harmless_bytes(&printed.take(chunk))).collect();
        taken + &harmless_bytes(&printed.take_rest())
    }

    #[test]
    fn sequences_of_the_firmware_are_left_out_wherever_they_are_cut() {
        assert_eq!(shown(&[b"\x1b[2J\x1b[01;0", b"1HBdsDxe\r\n\x1b", b"[0mlogin: "]), "BdsDxe\nlogin: ");
    }

    #[test]
    fn a_character_that_comes_in_two_parts_is_one() {
        assert_eq!(shown(&[b"gr\xc3", b"\xbcn"]), "gr\u{fc}n");
    }

    #[test]
    fn a_character_in_two_parts_is_one_after_bytes_that_are_no_text() {
        assert!(shown(&[b"\xff gr\xc3", b"\xbcn"]).ends_with(" gr\u{fc}n"));
        assert!(shown(&[b"\xff\xe2\x82", b"\xac"]).ends_with('\u{20ac}'));
    }

    #[test]
    fn a_character_whose_end_never_comes_is_not_lost() {
        assert_eq!(shown(&[b"gr\xc3"]), format!("gr{}", harmless_bytes(b"\xc3")));
        assert_ne!(shown(&[b"gr\xc3"]), "gr");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hold_up_what_follows() {
        assert!(shown(&[b"\xff\xff", b"\xff\xff ok\n"]).ends_with(" ok\n"));
    }
}
