//! How often a secret may be guessed: a few times for each network that guesses, and not very often for all together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many wrong guesses at once, and then one in [`AGAIN`].
const BURST: u32 = 5;

/// After so long a guess is forgiven.
const AGAIN: Duration = Duration::from_secs(30);

/// So many wrong guesses of everyone together are open at a time: who has many addresses is no better off.
const ALL: u32 = 60;

/// The wrong guesses that were not forgiven yet.
#[derive(Debug, Default)]
pub struct Attempts(HashMap<IpAddr, Vec<Instant>>);

impl Attempts {
    /// Whether this client may guess now.
    pub fn may(&mut self, from: IpAddr, now: Instant) -> bool {
        self.0.retain(|_, guesses| {
            guesses.retain(|guess| now.saturating_duration_since(*guess) < AGAIN * BURST);
            !guesses.is_empty()
        });
        let all: usize = self.0.values().map(Vec::len).sum();
        let own = self.0.get(&network(from)).map_or(0, Vec::len);
        own < BURST as usize && all < ALL as usize
    }

    /// A guess was wrong.
    pub fn wrong(&mut self, from: IpAddr, now: Instant) {
        self.0.entry(network(from)).or_default().push(now);
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
        for _ in 0..BURST {
            assert!(attempts.may(one, now));
            attempts.wrong(one, now);
        }
        assert!(!attempts.may(two, now));
        assert!(attempts.may(IpAddr::from([10, 0, 0, 1]), now));
        assert!(attempts.may(one, now + AGAIN * BURST));
    }

    #[test]
    fn many_networks_together_guess_no_faster() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..60 {
            attempts.wrong(IpAddr::from([10, 0, 0, n]), now);
        }
        assert!(!attempts.may(IpAddr::from([10, 0, 1, 0]), now));
    }
}
