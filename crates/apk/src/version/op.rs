//! Operators: how a version is compared with the one that a dependency names.

use std::cmp::Ordering;
use std::fmt;

/// How a version is compared (apk-package(5), "dependencies"; apk-world(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~` or `=~`: equal as far as written.
    Fuzzy,
    /// `<~`: less, or equal as far as written.
    LessFuzzy,
    /// `>~`: greater, or equal as far as written.
    GreaterFuzzy,
    /// `><`: this very checksum.
    Checksum,
}

impl Op {
    /// The operator as apk prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Fuzzy => "~",
            Self::LessFuzzy => "<~",
            Self::GreaterFuzzy => ">~",
            Self::Checksum => "><",
        }
    }

    /// Reads a run of operator characters: each admits an outcome of the comparison, so their order and number do not
    /// matter. `None` when the run admits nothing or everything.
    pub(crate) fn from_run(run: &str) -> Option<Self> {
        let has = |c| run.contains(c);
        match (has('<'), has('>'), has('='), has('~')) {
            (false, false, true, false) => Some(Self::Equal),
            (true, false, false, false) => Some(Self::Less),
            (true, false, true, false) => Some(Self::LessOrEqual),
            (false, true, false, false) => Some(Self::Greater),
            (false, true, true, false) => Some(Self::GreaterOrEqual),
            (false, false, _, true) => Some(Self::Fuzzy),
            (true, false, _, true) => Some(Self::LessFuzzy),
            (false, true, _, true) => Some(Self::GreaterFuzzy),
            (true, true, false, false) => Some(Self::Checksum),
            (true, true, ..) | (false, false, false, false) => None,
        }
    }

    /// Whether versions that begin alike count as equal.
    pub(super) fn is_fuzzy(self) -> bool {
        matches!(self, Self::Fuzzy | Self::LessFuzzy | Self::GreaterFuzzy)
    }

    /// Whether this outcome of a comparison is what the operator asks for. A checksum is no matter of versions, and
    /// no outcome is enough for it.
    pub(super) fn admits(self, outcome: Ordering) -> bool {
        match self {
            Self::Equal | Self::Fuzzy => outcome.is_eq(),
            Self::Less => outcome.is_lt(),
            Self::LessOrEqual | Self::LessFuzzy => outcome.is_le(),
            Self::Greater => outcome.is_gt(),
            Self::GreaterOrEqual | Self::GreaterFuzzy => outcome.is_ge(),
            Self::Checksum => false,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
