//! What can go wrong on the way to a machine, and what to do about it. What ssh prints is quoted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopy_base::size;

use super::MAX_GREETING;
use super::limits::Limits;

/// The connection was not made, or broke. `words` are what ssh printed.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// A name that ssh would take for something else.
    #[error("{0:?} is not the name of a machine")]
    NoHost(String),
    /// No such program.
    #[error("cannot start {}: {source}", .program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host key is not the one that is known, or none is known.
    #[error("the host key of {host} is unknown to ssh, or has changed:\n{words}")]
    HostKey {
        /// The machine.
        host: String,
        /// What ssh said.
        words: String,
    },
    /// The machine does not answer.
    #[error("cannot connect to {host}:\n{words}")]
    NoRoute {
        /// The machine.
        host: String,
        /// What ssh said.
        words: String,
    },
    /// Authentication failed.
    #[error("authentication failed on {host}:\n{words}")]
    NotAllowed {
        /// The machine.
        host: String,
        /// What ssh said.
        words: String,
    },
    /// The connection broke.
    #[error("the connection to {host} was lost:\n{words}")]
    Cut {
        /// The machine.
        host: String,
        /// What ssh said.
        words: String,
    },
    /// No answer in time.
    #[error("timed out waiting for {0}")]
    Late(String),
    /// It was not let in, and not refused either.
    #[error(
        "{host} did not finish the login: waited {} s{}",
        seconds(*.waited), said(.words)
    )]
    NoLogin {
        /// The machine.
        host: String,
        /// How long it was waited for.
        waited: Duration,
        /// What ssh said.
        words: String,
    },
    /// It says so much before it is ready that nothing else is to be expected.
    #[error(
        "{host} did not finish the login: expected the greeting of a login shell, found {} KiB of something else",
        MAX_GREETING >> 10
    )]
    NoGreeting {
        /// The machine.
        host: String,
    },
    /// It is connected, and nothing comes.
    #[error(
        "{host} stopped answering: waited {} s for a byte, and none came",
        seconds(*.waited)
    )]
    Silent {
        /// The machine.
        host: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It is connected, and next to nothing comes.
    #[error(
        "{host} is too slow: {} in {} s, and hoopy waits for no less than {} KiB a second",
        size::show(*.bytes), seconds(*.waited), Limits::default().rate >> 10
    )]
    Slow {
        /// The machine.
        host: String,
        /// How much came and went.
        bytes: u64,
        /// In what time.
        waited: Duration,
    },
    /// Anything else.
    #[error("{host}: {words}")]
    Words {
        /// The machine.
        host: String,
        /// What was said.
        words: String,
    },
    /// A pipe to ssh.
    #[error("cannot read from ssh or write to it: {0}")]
    Io(io::Error),
}

impl SshError {
    pub(super) fn start(program: &Path, source: io::Error) -> Self {
        Self::Start { program: program.to_owned(), source }
    }

    /// By what ssh said: it has one exit status for everything (ssh(1)).
    pub(super) fn of(host: &str, words: &str, connected: bool) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
        let host = host.to_owned();
        let words = if words.is_empty() {
            "ssh ended without a message: the login shell on the machine may not run commands".to_owned()
        } else {
            words.to_owned()
        };
        if says_host_key(&words) {
            Self::HostKey { host, words }
        } else if says(&["Permission denied", "Too many authentication failures", "No more authentication"]) {
            Self::NotAllowed { host, words }
        } else if connected {
            Self::Cut { host, words }
        } else if says(&[
            "Could not resolve hostname",
            "No route to host",
            "Network is unreachable",
            "Connection refused",
            "timed out",
            "Host is down",
            "Connection reset",
            "Connection closed",
        ]) {
            Self::NoRoute { host, words }
        } else {
            Self::Words { host, words }
        }
    }
}

/// At least one: tests wait for less.
fn seconds(waited: Duration) -> u64 {
    (waited.as_secs_f64().round() as u64).max(1)
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; ssh says:\n{words}") }
}

fn says_host_key(words: &str) -> bool {
    words.contains("Host key verification failed") || words.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
}
