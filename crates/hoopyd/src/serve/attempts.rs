//! How often a secret may be guessed: a few times for each network that guesses, and
//! networks that guess slow each other down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A network may guess wrong so often before it has to wait.
const GUESSES: u32 = 5;

/// Then it may try again once in this time.
const WAIT: Duration = Duration::from_secs(30);

/// When all networks together have guessed wrong so often, those of them that have guessed must wait.
const GUESSES_OF_ALL: usize = 60;

/// No more networks are remembered: the one that has guessed longest ago is forgotten.
const MAX_NETWORKS: usize = 4096;

/// The wrong guesses that still count.
#[derive(Debug, Default)]
pub struct Attempts(HashMap<IpAddr, Vec<Instant>>);

impl Attempts {
    /// Whether this client may guess now. A network that has not guessed wrong always may, whatever others do.
    pub fn may(&mut self, from: IpAddr, now: Instant) -> bool {
        self.forget(now);
        match self.0.get(&network(from)).map_or(0, Vec::len) {
            0 => true,
            own => own < GUESSES as usize && self.0.values().map(Vec::len).sum::<usize>() < GUESSES_OF_ALL,
        }
    }

    /// A wrong guess counts until [`GUESSES`] times [`WAIT`] have passed, and so a network gets one more try each [`WAIT`]
    /// if it has guessed that evenly.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, guesses| {
            guesses.retain(|guess| now.saturating_duration_since(*guess) < WAIT * GUESSES);
            !guesses.is_empty()
        });
    }

    /// A guess was wrong.
    pub fn wrong(&mut self, from: IpAddr, now: Instant) {
        let network = network(from);
        if self.0.len() >= MAX_NETWORKS && !self.0.contains_key(&network) {
            let oldest = self.0.iter().min_by_key(|(_, guesses)| guesses.last().copied());
            if let Some(oldest) = oldest.map(|(oldest, _)| *oldest) {
                self.0.remove(&oldest);
            }
        }
        self.0.entry(network).or_default().push(now);
    }

    /// The right answer came: its network is not guessing.
    pub fn right(&mut self, from: IpAddr) {
        self.0.remove(&network(from));
    }
}

/// One client of IPv6 has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_guess_a_few_times_and_others_go_on() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let [one, two] = [[0x2001, 0, 0, 1, 0, 0, 0, 1], [0x2001, 0, 0, 1, 9, 9, 9, 9]].map(IpAddr::from);
        for _ in 0..GUESSES {
            assert!(attempts.may(one, now));
            attempts.wrong(one, now);
        }
        assert!(!attempts.may(two, now));
        assert!(attempts.may(IpAddr::from([10, 0, 0, 1]), now));
        assert!(attempts.may(one, now + WAIT * GUESSES));
    }

    #[test]
    fn many_networks_together_guess_no_faster_and_one_that_has_not_guessed_may() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..60 {
            attempts.wrong(IpAddr::from([10, 0, 0, n]), now);
        }
        assert!(!attempts.may(IpAddr::from([10, 0, 0, 1]), now));
        assert!(attempts.may(IpAddr::from([10, 0, 1, 0]), now));
    }

    #[test]
    fn no_number_of_networks_fills_memory() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..10_000_u32 {
            attempts.wrong(std::net::Ipv4Addr::from(n).into(), now + Duration::from_millis(n.into()));
        }
        assert_eq!(attempts.0.len(), MAX_NETWORKS);
        assert!(attempts.0.contains_key(&std::net::Ipv4Addr::from(9_999).into()));
    }
}
