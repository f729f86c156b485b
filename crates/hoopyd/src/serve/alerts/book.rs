//! The known problems, and the events that are still to be sent. Reads no clock and no file: the caller brings both.

use std::collections::{BTreeMap, VecDeque};

use hoopy_boot::status::{Problem, Severity, Status};
use serde::{Deserialize, Serialize};

/// How many seconds a problem must last before it is reported: what is over in a moment needs no alert.
const LASTS: u64 = 30;

/// How many seconds a problem must be gone before it counts as over: one that comes and goes is reported once.
const OVER: u64 = 300;

/// The most events in an hour: more would not be read. Those left out are counted, and their number is reported.
const STORM: usize = 12;
const HOUR: u64 = 3600;

/// The most events that wait for a program that fails; the oldest are dropped first.
const MAX_QUEUE: usize = 50;

/// Seconds before a program that failed is tried again: the first time, and at most.
const RETRY: u64 = 60;
const RETRY_MAX: u64 = 3600;

/// The version of [`Event`] that is written.
const VERSION: u32 = 1;

/// What a program of `alert.d` gets on standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this format.
    pub version: u32,
    /// `boot`, `problem`, `over` or `storm`.
    pub event: String,
    /// The machine.
    pub host: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Identifies the problem, from its first event to `over`.
    pub id: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// One line for a subject.
    pub title: String,
    /// What happened, and what to do.
    pub text: String,
}

/// A problem that is there, or was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    since: u64,
    last: u64,
    told: bool,
    what: String,
}

/// An event that a program has yet to receive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The event.
    pub event: Event,
    /// How often the program failed with it.
    pub failures: u32,
    /// When it is tried next.
    pub due: u64,
}

/// The known problems, and the events that each program has yet to receive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    boot: String,
    known: BTreeMap<String, Known>,
    /// When events were made, for storms.
    recent: Vec<u64>,
    left_out: u64,
    /// The events that each program has yet to receive, oldest first.
    pub queues: BTreeMap<String, VecDeque<Pending>>,
}

impl Book {
    /// Compares `status` with what is known, and queues events for `programs` about what is new.
    pub fn observe(&mut self, status: &Status, programs: &[String], now: u64) {
        self.queues.retain(|program, _| programs.contains(program));
        self.recent.retain(|time| now.saturating_sub(*time) < HOUR);
        let mut events = Vec::new();
        if self.boot != status.image.boot {
            self.boot.clone_from(&status.image.boot);
            let image = status.image.name.as_deref().unwrap_or("no image of hoopy");
            let text = format!("It runs {image}. {}", status.summary);
            events.push(self.event(status, now, "boot", "boot", "info", "has booted", &text));
        }
        for problem in &status.problems {
            if self.is_new(problem, now) {
                let severity = match problem.severity {
                    Severity::Critical => "critical",
                    Severity::Warning => "warning",
                };
                let text = format!("{}: {}.", problem.what, problem.remedy);
                events.push(self.event(status, now, "problem", &problem.id, severity, &problem.what, &text));
            }
        }
        for (id, known) in self.take_over(now) {
            if known.told {
                let title = format!("over: {}", known.what);
                events.push(self.event(status, now, "over", &id, "info", &title, "This is over."));
            }
        }
        if self.left_out > 0 && self.recent.len() < STORM / 2 {
            let text = format!("{} more alerts were left out: look at the machine's page.", self.left_out);
            self.left_out = 0;
            events.push(self.event(
                status,
                now,
                "storm",
                "storm",
                "warning",
                "more alerts than were sent",
                &text,
            ));
        }
        for event in events {
            self.send(&event, programs, now);
        }
    }

    /// Whether the problem has lasted long enough and has not been reported yet.
    fn is_new(&mut self, problem: &Problem, now: u64) -> bool {
        let new = || Known { since: now, last: now, told: false, what: String::new() };
        let known = self.known.entry(problem.id.clone()).or_insert_with(new);
        known.last = now;
        // The machine may reboot right after a failed boot, so this is reported at once.
        let lasts = problem.id == "health" || now.saturating_sub(known.since) >= LASTS;
        let is_new = lasts && !known.told;
        if is_new {
            known.told = true;
            known.what.clone_from(&problem.what);
        }
        is_new
    }

    /// Removes the problems that have been gone for long enough, and returns them.
    fn take_over(&mut self, now: u64) -> Vec<(String, Known)> {
        let gone = |known: &Known| {
            let patience = if known.told { OVER } else { LASTS };
            now.saturating_sub(known.last) >= patience
        };
        let ids: Vec<String> =
            self.known.iter().filter(|(_, known)| gone(known)).map(|(id, _)| id.clone()).collect();
        ids.into_iter().filter_map(|id| self.known.remove_entry(&id)).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of an event, in their order")]
    fn event(
        &self,
        status: &Status,
        time: u64,
        event: &str,
        id: &str,
        severity: &str,
        title: &str,
        text: &str,
    ) -> Event {
        let host = status.host.clone();
        let title = format!("{host}: {title}");
        let [event, id, severity, text] = [event, id, severity, text].map(str::to_owned);
        Event { version: VERSION, event, host, time, id, severity, title, text }
    }

    fn send(&mut self, event: &Event, programs: &[String], now: u64) {
        if self.recent.len() >= STORM && event.event != "storm" {
            self.left_out += 1;
            return;
        }
        self.recent.push(now);
        for program in programs {
            let queue = self.queues.entry(program.clone()).or_default();
            queue.push_back(Pending { event: event.clone(), failures: 0, due: now });
            while queue.len() > MAX_QUEUE {
                queue.pop_front();
            }
        }
    }

    /// The first event that is due for a program. Later ones wait behind it, so that they come in order.
    pub fn due(&self, program: &str, now: u64) -> Option<&Event> {
        let first = self.queues.get(program)?.front()?;
        (first.due <= now).then_some(&first.event)
    }

    /// Records whether a program took its first event: removes it, or sets when to try again.
    pub fn done(&mut self, program: &str, success: bool, now: u64) {
        let Some(queue) = self.queues.get_mut(program) else { return };
        if success {
            queue.pop_front();
        } else if let Some(first) = queue.front_mut() {
            let wait = RETRY.saturating_mul(1 << first.failures.min(10)).min(RETRY_MAX);
            first.failures = first.failures.saturating_add(1);
            first.due = now.saturating_add(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ids: &[&str]) -> Status {
        let problem = |id: &&str| Problem {
            id: (*id).to_owned(),
            severity: Severity::Warning,
            what: format!("{id} is full"),
            remedy: "make room".to_owned(),
        };
        Status { host: "nas".into(), problems: ids.iter().map(problem).collect(), ..Status::default() }
    }

    fn told(book: &Book) -> Vec<String> {
        let queue = book.queues.get("p").into_iter().flatten();
        queue.map(|pending| format!("{} {}", pending.event.event, pending.event.id)).collect()
    }

    /// Looks every ten seconds from one time to the other.
    fn look(book: &mut Book, ids: &[&str], times: std::ops::Range<u64>) {
        times.step_by(10).for_each(|now| book.observe(&status(ids), &["p".to_owned()], now));
    }

    #[test]
    fn a_problem_is_told_once_and_once_when_it_is_over() {
        let mut book = Book::default();
        look(&mut book, &["a"], 0..3000);
        assert_eq!(told(&book), ["problem a"]);
        look(&mut book, &[], 3000..4000);
        assert_eq!(told(&book), ["problem a", "over a"]);
        look(&mut book, &["a"], 4000..5000);
        assert_eq!(told(&book), ["problem a", "over a", "problem a"]);
    }

    #[test]
    fn a_moments_problem_and_one_that_comes_and_goes_are_no_storm() {
        let mut book = Book::default();
        look(&mut book, &["a"], 0..20);
        look(&mut book, &[], 20..600);
        assert_eq!(told(&book), Vec::<String>::new());
        for round in 0..20 {
            look(&mut book, &["a"], 1000 + round * 200..1100 + round * 200);
            look(&mut book, &[], 1100 + round * 200..1200 + round * 200);
        }
        assert_eq!(told(&book), ["problem a"]);
    }

    #[test]
    fn a_storm_is_cut_short_and_counted() {
        let ids: Vec<String> = (0..100).map(|n| format!("disk {n:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut book = Book::default();
        look(&mut book, &ids, 0..100);
        assert_eq!(told(&book).len(), STORM);
        look(&mut book, &ids, 100..8000);
        assert_eq!(told(&book).len(), STORM + 1);
        let last = book.queues["p"].back().map(|pending| pending.event.text.clone());
        assert_eq!(last.as_deref(), Some("88 more alerts were left out: look at the machine's page."));
    }

    #[test]
    fn a_reboot_is_told_and_what_was_told_before_is_not() {
        let mut book = Book::default();
        look(&mut book, &["a"], 0..100);
        let text = serde_json::to_string(&book).unwrap_or_default();
        let mut book: Book = serde_json::from_str(&text).unwrap_or_default();
        let mut after = status(&["a"]);
        after.image.boot = "second".into();
        (200..400).step_by(10).for_each(|now| book.observe(&after, &["p".to_owned()], now));
        assert_eq!(told(&book), ["problem a", "boot boot"]);
    }

    #[test]
    fn a_failed_boot_is_told_at_once() {
        let mut book = Book::default();
        book.observe(&status(&["health"]), &["p".to_owned()], 5);
        assert_eq!(told(&book), ["problem health"]);
    }

    #[test]
    fn a_program_that_fails_is_tried_again_later_and_nothing_is_lost() {
        let mut book = Book::default();
        look(&mut book, &["a"], 0..100);
        assert!(book.due("p", 100).is_some());
        book.done("p", false, 100);
        assert!(book.due("p", 159).is_none() && book.due("p", 160).is_some());
        book.done("p", false, 160);
        assert!(book.due("p", 279).is_none() && book.due("p", 280).is_some());
        book.done("p", true, 280);
        assert!(book.due("p", 10_000).is_none());
    }
}
