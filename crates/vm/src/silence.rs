//! A machine that prints nothing: hoopy says so while it waits, so that the user does not see an empty screen for minutes.

use std::time::{Duration, Instant};

/// How long a machine may be silent before there is a note; the next one comes after twice as long, and so on.
const AFTER: Duration = Duration::from_secs(30);

/// When the next note about a silent machine is due.
#[derive(Debug)]
pub struct Silence {
    since: Instant,
    after: Duration,
    next: Duration,
}

impl Silence {
    /// For a wait of at most `within`: the first note comes after half of that at the latest.
    pub fn new(within: Duration) -> Self {
        let after = AFTER.min(within / 2);
        Self { since: Instant::now(), after, next: after }
    }

    /// The note that is due now about a machine whose last output was at `last`.
    pub fn note(&mut self, last: Option<Instant>, facts: impl FnOnce() -> String) -> Option<String> {
        if let Some(last) = last.filter(|last| *last > self.since) {
            (self.since, self.next) = (last, self.after);
        }
        if self.since.elapsed() < self.next {
            return None;
        }
        let seconds = self.next.as_secs();
        self.next *= 2;
        Some(format!("nothing on the machine's console for {seconds} s; {}. Still waiting", facts()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_after_a_while_and_then_less_and_less_often() {
        let mut silence = Silence::new(Duration::from_millis(100));
        assert_eq!(silence.note(None, String::new), None);
        std::thread::sleep(Duration::from_millis(60));
        let note = silence.note(None, || "accelerator: TCG, state: running".to_owned());
        assert_eq!(
            note.as_deref(),
            Some("nothing on the machine's console for 0 s; accelerator: TCG, state: running. Still waiting")
        );
        assert_eq!(silence.note(None, String::new), None);
        std::thread::sleep(Duration::from_millis(60));
        assert!(silence.note(None, String::new).is_some());
        // A word, and it begins anew
        assert_eq!(silence.note(Some(Instant::now()), String::new), None);
    }
}
