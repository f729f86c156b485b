//! Errors as the user sees them: a message that names its cause, hints that say what to type next, and a kind, which
//! is the exit code.
//!
//! Libraries have typed errors, whose messages are whole: each contains its cause. What kind they are, and which hint
//! fits, is decided here, in matches without `_`: a new variant does not compile until both are decided for it.

pub mod backup;
mod build;
mod diskless;
mod exit;
mod inspect;
mod machine;
mod secrets;
mod ship;
mod store;
mod trust;

use std::error::Error;
use std::fmt;

pub use exit::Exit;

/// Why a command failed, as far as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing else says more.
    Failed,
    /// The command line.
    Usage,
    /// The system directory.
    System,
    /// A script or program of the user's or a package's.
    Script,
    /// A package or index, on its way here.
    Fetch,
    /// A machine runs its previous image, or is not healthy.
    FellBack,
    /// A machine did not come back.
    NoReturn,
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::System => Self::System,
            ErrorKind::Script => Self::Script,
            ErrorKind::Fetch => Self::Fetch,
            ErrorKind::FellBack => Self::FellBack,
            ErrorKind::NoReturn => Self::NoReturn,
        }
    }
}

/// A command that failed.
#[derive(Debug)]
pub struct CommandError {
    pub kind: ErrorKind,
    pub error: Box<dyn Error + Send + Sync>,
    pub hints: Vec<String>,
}

pub type Result<T> = std::result::Result<T, CommandError>;

impl CommandError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, error: message.into().into(), hints: Vec::new() }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub fn system(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts before the message what was being done.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { error: format!("{doing}: {}", self.error).into(), ..self }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// A kind, and the hints that fit.
pub struct Class {
    kind: ErrorKind,
    hints: Vec<String>,
}

impl From<ErrorKind> for Class {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, hints: Vec::new() }
    }
}

impl Class {
    fn and(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl ErrorKind {
    fn hint(self, hint: impl Into<String>) -> Class {
        Class { kind: self, hints: vec![hint.into()] }
    }

    /// The same where there may be a hint.
    fn maybe(self, hint: Option<&str>) -> Class {
        Class { kind: self, hints: hint.into_iter().map(str::to_owned).collect() }
    }
}

/// An error of a library.
pub trait Classify {
    fn class(&self) -> Class;
}

impl<E: Classify + Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let Class { kind, hints } = error.class();
        Self { kind, error: Box::new(error), hints }
    }
}

/// `context`, as on [`CommandError`].
pub trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<CommandError>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.into().context(doing))
    }
}
