//! Dependencies: what a world, a `depends`, a `provides` or an `install_if` line is made of.

use crate::version::Version;

/// How a version is compared (apk-tools `src/apk_version.h`).
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
    /// `<~`
    LessFuzzy,
    /// `>~`
    GreaterFuzzy,
    /// `><`: this very checksum.
    Checksum,
}

/// `[!]name[@tag][op version]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// The package, virtual name, `so:...`, `cmd:...` or path.
    pub name: Box<str>,
    /// Whether it must *not* be there.
    pub conflict: bool,
    /// The repository tag it is pinned to, in a world.
    pub tag: Option<Box<str>>,
    /// The constraint on the version; in `provides`, always [`Op::Equal`].
    pub constraint: Option<(Op, Version)>,
}
