//! The message that tells of an error, on its way from a helper to the program that knows the user.

use std::fmt;
use std::io::{self, Write};

use super::{Message, Tag, send};

/// Which part of the work failed, where the other side does more than pass the message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// Making namespaces.
    Namespaces,
    /// Starting the script itself.
    Exec,
    /// Anything else.
    Other,
}

/// A helper's error on its way to the program that knows the user.
#[derive(Debug)]
pub(in super::super) struct Failure {
    pub(in super::super) part: Part,
    /// What it was doing: "mount /proc".
    pub(in super::super) what: String,
    pub(in super::super) source: io::Error,
    /// What the script wrote until then, where one ran.
    pub(in super::super) output: Vec<u8>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.source)
    }
}

impl Failure {
    pub(in super::super) fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        let part = match self.part {
            Part::Namespaces => 0_i32,
            Part::Exec => 1,
            Part::Other => 2,
        };
        let errno = self.source.raw_os_error().unwrap_or(0);
        let message = self.source.to_string();
        let (what, message) = (self.what.as_bytes(), message.as_bytes());
        let strings = [&part.to_le_bytes()[..], what, &errno.to_le_bytes(), message, &self.output];
        send(out, Tag::Failed, &strings)
    }

    pub(in super::super) fn from(message: &mut Message) -> io::Result<Self> {
        let part = match message.number()? {
            0 => Part::Namespaces,
            1 => Part::Exec,
            _ => Part::Other,
        };
        let what = message.text()?;
        let (errno, text) = (message.number()?, message.text()?);
        let source = if errno == 0 { io::Error::other(text) } else { io::Error::from_raw_os_error(errno) };
        Ok(Self { part, what, source, output: message.bytes()? })
    }

    /// The same, of a script that wrote `output` before.
    pub(in super::super) fn after(self, output: &[u8]) -> Self {
        Self { output: output.to_vec(), ..self }
    }
}

/// Says what was being done when something failed.
pub(in super::super) trait Doing<T> {
    /// Completes the sentence "cannot ...".
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure {
            part: Part::Other,
            what: what.to_string(),
            source: e.into(),
            output: Vec::new(),
        })
    }
}
