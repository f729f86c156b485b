//! How long a machine may be silent or slow before hoopy stops waiting for it.
//!
//! A machine that is hostile, hung or behind a broken network may accept a connection and then send nothing, or a byte
//! a minute. ssh's own `ServerAliveInterval` notices only a network that is gone: the server still answers its probes.
//! Every answer is bounded in size where it is asked for, so with a minimum rate it is bounded in time.

use std::time::Duration;

use hoopy_base::pace::Patience;

/// The limits of a connection. Tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection is made and keys are exchanged: ssh's own `ConnectTimeout`.
    pub connect: Duration,
    /// Then until the login is done, where nobody is there to type anything.
    pub login: Duration,
    /// The same where somebody may have to type a password or to look at a host key.
    pub typing: Duration,
    /// Without a byte in either direction while a script answers.
    pub idle: Duration,
    /// The same while it works and has nothing to say: it digests every file, or reads an image back from a stick.
    pub work: Duration,
    /// Bytes a second, on average, below which a transfer is given up.
    pub rate: u64,
    /// Bytes a second at which the slowest medium is written to and read back.
    pub medium: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A small ARM board takes ten seconds for a key exchange; twice that, and a jump host.
            connect: Duration::from_secs(30),
            // A login shell on a machine that is busy with its boot.
            login: Duration::from_secs(30),
            // sshd's LoginGraceTime is 120 seconds, and begins anew after a question about the host key.
            typing: Duration::from_secs(180),
            // The scripts wait 30 seconds for the partition's lock, and 8 for a mount.
            idle: Duration::from_secs(60),
            // A file of 4 GB at the 50 MB a second of a slow SHA-256, half as fast again.
            work: Duration::from_secs(120),
            // 32 kbit/s, less than any modem of this century.
            rate: 4 << 10,
            // The slowest USB sticks write small blocks so.
            medium: 256 << 10,
        }
    }
}

impl Limits {
    /// The same, none longer than `most`.
    pub fn at_most(&self, most: Duration) -> Self {
        let short = |limit: Duration| limit.min(most);
        Self {
            connect: short(self.connect),
            login: short(self.login),
            typing: short(self.typing),
            idle: short(self.idle),
            ..*self
        }
    }

    /// For a script that answers a question, or gives bytes that lie there.
    pub fn answer(&self) -> Patience {
        Patience { idle: self.idle, grace: self.idle * 2, rate: self.rate }
    }

    /// For a script that looks at every file.
    pub fn search(&self) -> Patience {
        Patience { idle: self.work, grace: self.work * 2, rate: self.rate }
    }

    /// For a script that reads or writes `bytes` of a medium, and says nothing meanwhile.
    pub fn medium(&self, bytes: u64) -> Patience {
        let idle = self.work + Duration::from_secs(bytes / self.medium.max(1));
        Patience { idle, grace: idle * 2, rate: self.rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_written_to_a_slow_stick_is_waited_for() {
        let patience = Limits::default().medium(200 << 20);
        assert_eq!(patience.idle, Duration::from_secs(120 + 800));
    }
}
