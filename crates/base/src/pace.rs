//! Time limits for a remote end: at most `idle` without a byte, and no trickle of bytes for ever.
//!
//! A minimum rate is kept as a budget of time: it starts with `grace`, waiting spends it, and every `rate` bytes earn a
//! second. It never grows beyond a few times `grace`, so that a fast start does not pay for an hour of trickling. Where
//! the size of what comes is bounded, so is the time.

use std::time::{Duration, Instant};

/// How many times `grace` can be saved up.
const SAVED: u32 = 3;

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Without a byte.
    pub idle: Duration,
    /// Before the minimum rate counts.
    pub grace: Duration,
    /// Bytes a second that are waited for.
    pub rate: u64,
}

/// Why to wait no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// Nothing came for so long.
    Silent(Duration),
    /// So many bytes came in so long, lately too few.
    Slow(u64, Duration),
}

/// Watches bytes come.
#[derive(Debug)]
pub struct Pace {
    patience: Patience,
    started: Instant,
    /// When it was looked last, and what of the budget was left.
    looked: Instant,
    budget: Duration,
    /// When the last byte came, and how many had come by then.
    last: (Instant, u64),
}

impl Pace {
    /// Watches from `now` on.
    pub fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, started: now, looked: now, budget: patience.grace, last: (now, 0) }
    }

    /// How long it waits.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// How long it goes on waiting where nothing more comes.
    pub fn left(&self) -> Duration {
        self.patience.idle.min(self.budget)
    }

    /// Takes note that `total` bytes have come by `now`; says so where that is too few.
    pub fn check(&mut self, now: Instant, total: u64) -> Option<Stall> {
        let came = total.saturating_sub(self.last.1);
        let earned = Duration::from_secs_f64(came as f64 / self.patience.rate.max(1) as f64);
        let spent = now.saturating_duration_since(self.looked);
        self.budget =
            self.budget.saturating_add(earned).saturating_sub(spent).min(self.patience.grace * SAVED);
        self.looked = now;
        if came > 0 {
            self.last = (now, total);
        }
        let silent = now.saturating_duration_since(self.last.0);
        if silent >= self.patience.idle {
            return Some(Stall::Silent(silent));
        }
        let took = now.saturating_duration_since(self.started);
        self.budget.is_zero().then_some(Stall::Slow(total, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { idle: Duration::from_secs(60), grace: Duration::from_secs(60), rate: 1000 };

    /// After how many seconds a sender that has sent `sent(n)` bytes after `n` seconds is given up.
    fn given_up(sent: impl Fn(u64) -> u64) -> Option<(u64, Stall)> {
        let start = Instant::now();
        let mut pace = Pace::new(PATIENCE, start);
        (1..100_000).find_map(|n| Some((n, pace.check(start + Duration::from_secs(n), sent(n))?)))
    }

    #[test]
    fn silence_is_waited_for_as_long_as_it_says() {
        assert_eq!(given_up(|_| 0), Some((60, Stall::Silent(Duration::from_secs(60)))));
        assert_eq!(given_up(|n| n.min(100) * 5000), Some((160, Stall::Silent(Duration::from_secs(60)))));
    }

    #[test]
    fn a_trickle_is_given_up_whatever_came_before() {
        assert!(matches!(given_up(|n| n), Some((60..=61, Stall::Slow(..)))));
        assert!(matches!(given_up(|n| 100_000_000 + n), Some((180..=182, Stall::Slow(..)))));
    }

    #[test]
    fn what_is_slow_and_fast_enough_may_take_as_long_as_it_wants() {
        assert_eq!(given_up(|n| n * 1001), None);
        // Fifty seconds of work, then what came of it.
        assert_eq!(given_up(|n| n / 50 * 60_000), None);
    }
}
