//! Dependencies: what a world, a `depends`, a `provides` or an `install_if` line is made of.
//!
//! One is `[!]name[@tag][op version]` (apk-world(5), apk-package(5)). The operator is any run of
//! `<`, `>`, `=` and `~`: apk reads it as a set, so `=~` and `~=` are one operator, and so are `><` and `<>`.

mod words;

use std::fmt;
use std::str::FromStr;

use crate::version::{self, Op, Version};

/// No name in a real index is a tenth as long; a longer one is an attack or a broken file.
const MAX_LENGTH: usize = 4096;

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

/// Why a text is no dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDependencyError {
    /// Longer than any name and version can be.
    #[error("a dependency of {length} bytes, expected at most {MAX_LENGTH}")]
    TooLong {
        /// How long, in bytes.
        length: usize,
    },
    /// Nothing before the operator, or nothing at all.
    #[error("{text:?} has no package name, expected [!]name[@tag][op version]")]
    NoName {
        /// What was read.
        text: Box<str>,
    },
    /// White space, quotes or control characters, which would not survive being written again.
    #[error("{text:?} holds {found:?}, which no dependency may hold")]
    BadCharacter {
        /// What was read.
        text: Box<str>,
        /// The first such character.
        found: char,
    },
    /// An `@` with nothing after it.
    #[error("{text:?} has an empty repository tag after `@`")]
    EmptyTag {
        /// What was read.
        text: Box<str>,
    },
    /// A run such as `<>=`.
    #[error("{text:?} has the operator {op:?}, expected one of = < <= > >= ~ <~ >~ ><")]
    BadOperator {
        /// What was read.
        text: Box<str>,
        /// The run of operator characters.
        op: Box<str>,
    },
}

impl Dependency {
    /// Whether a package or `provides` of this name with this version meets the dependency; for a conflict,
    /// whether it stays clear of it.
    ///
    /// `None` is a `provides` without version.
    /// A checksum ([`Op::Checksum`]) is not a matter of versions and is met by none here.
    pub fn satisfied_by(&self, version: Option<&Version>) -> bool {
        let constraint = self.constraint.as_ref().map(|(op, wanted)| (*op, wanted.as_str()));
        provides(constraint, version.map(Version::as_str)) != self.conflict
    }

    /// Whether the version, if there is one, follows the grammar; a checksum stands for itself.
    ///
    /// Reading a dependency does not check this, because real indexes hold broken versions: apk then refuses
    /// only the package that depends so, and so does resolution here.
    pub fn has_valid_version(&self) -> bool {
        match &self.constraint {
            Some((Op::Checksum, _)) | None => true,
            Some((_, version)) => version.is_valid(),
        }
    }
}

/// Whether what has this version, if any, is what a constraint asks for.
pub(crate) fn provides(constraint: Option<(Op, &str)>, version: Option<&str>) -> bool {
    match (constraint, version) {
        (None, _) => true,
        // apk takes having no version for being older than any.
        (Some((op, _)), None) => matches!(op, Op::Less | Op::LessOrEqual | Op::LessFuzzy),
        (Some((op, wanted)), Some(version)) => version::matches(version, op, wanted),
    }
}

/// A dependency in its parts, each of them a part of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'t> {
    pub name: &'t str,
    pub conflict: bool,
    pub tag: Option<&'t str>,
    /// The version is the end of the text.
    pub constraint: Option<(Op, &'t str)>,
}

fn is_operator(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '~')
}

impl FromStr for Dependency {
    type Err = ParseDependencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Parts { name, conflict, tag, constraint } = Parts::of(text)?;
        let constraint = constraint.map(|(op, version)| (op, Version::new(version)));
        Ok(Self { name: name.into(), conflict, tag: tag.map(Into::into), constraint })
    }
}

impl<'t> Parts<'t> {
    /// Takes a text apart.
    pub fn of(text: &'t str) -> Result<Self, ParseDependencyError> {
        check_characters(text)?;
        let (conflict, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let end = rest.bytes().position(|byte| matches!(byte, b'<' | b'=' | b'>' | b'~' | b'@'));
        let (name, mut after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
        let mut tag = None;
        if let Some(tagged) = after.strip_prefix('@') {
            let end = tagged.find(is_operator).unwrap_or(tagged.len());
            let (text, constraint) = tagged.split_at_checked(end).unwrap_or((tagged, ""));
            (tag, after) = (Some(text), constraint);
        }
        let constraint = if after.is_empty() { None } else { Some(parse_constraint(text, after)?) };
        if tag == Some("") {
            return Err(ParseDependencyError::EmptyTag { text: text.into() });
        }
        if name.is_empty() {
            return Err(ParseDependencyError::NoName { text: text.into() });
        }
        Ok(Self { name, conflict, tag, constraint })
    }
}

fn check_characters(text: &str) -> Result<(), ParseDependencyError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseDependencyError::TooLong { length: text.len() });
    }
    // Not `all`: looking at several at once is faster than stopping at the first.
    if text.bytes().fold(true, |graphic, byte| graphic & byte.is_ascii_graphic()) {
        return Ok(());
    }
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(found) => Err(ParseDependencyError::BadCharacter { text: text.into(), found }),
        None => Ok(()),
    }
}

fn parse_constraint<'t>(text: &str, constraint: &'t str) -> Result<(Op, &'t str), ParseDependencyError> {
    let version = constraint.trim_start_matches(is_operator);
    let run = constraint.strip_suffix(version).unwrap_or(constraint);
    let op = Op::from_run(run)
        .ok_or_else(|| ParseDependencyError::BadOperator { text: text.into(), op: run.into() })?;
    Ok((op, version))
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflict {
            f.write_str("!")?;
        }
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, "@{tag}")?;
        }
        if let Some((op, version)) = &self.constraint {
            write!(f, "{op}{version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dependency, ParseDependencyError> {
        text.parse()
    }

    #[test]
    fn reads_names_of_every_kind() -> Result<(), ParseDependencyError> {
        for name in ["a", "so:libc.musl-x86_64.so.1", "cmd:[", "pc:x", "/bin/sh", ".make-deps", "gtk+3.0"] {
            let dependency = parse(name)?;
            assert_eq!((&*dependency.name, dependency.constraint), (name, None));
        }
        let pkg_config = parse("pc:x>=1")?;
        assert_eq!(&*pkg_config.name, "pc:x");
        assert_eq!(pkg_config.constraint, Some((Op::GreaterOrEqual, Version::new("1"))));
        Ok(())
    }

    #[test]
    fn reads_and_prints_every_operator() -> Result<(), ParseDependencyError> {
        for (text, op, printed) in [
            ("a=1", Op::Equal, "a=1"),
            ("a==1", Op::Equal, "a=1"),
            ("a<1", Op::Less, "a<1"),
            ("a<=1", Op::LessOrEqual, "a<=1"),
            ("a=<1", Op::LessOrEqual, "a<=1"),
            ("a>1", Op::Greater, "a>1"),
            ("a>=1", Op::GreaterOrEqual, "a>=1"),
            ("a~1", Op::Fuzzy, "a~1"),
            ("a=~1", Op::Fuzzy, "a~1"),
            ("a~=1", Op::Fuzzy, "a~1"),
            ("a<~1", Op::LessFuzzy, "a<~1"),
            ("a>~1", Op::GreaterFuzzy, "a>~1"),
            ("a><Q1AAAAAAAAAAAAAAAAAAAAAAAAAAI=", Op::Checksum, "a><Q1AAAAAAAAAAAAAAAAAAAAAAAAAAI="),
        ] {
            let dependency = parse(text)?;
            assert_eq!(dependency.constraint.as_ref().map(|(op, _)| *op), Some(op), "{text}");
            assert_eq!(dependency.to_string(), printed);
            assert_eq!(parse(printed)?, dependency);
        }
        Ok(())
    }

    #[test]
    fn reads_a_conflict_and_a_tag() -> Result<(), ParseDependencyError> {
        let dependency = parse("!name@edge=1~abc")?;
        assert!(dependency.conflict);
        assert_eq!(dependency.tag.as_deref(), Some("edge"));
        assert_eq!(dependency.constraint, Some((Op::Equal, Version::new("1~abc"))));
        assert_eq!(dependency.to_string(), "!name@edge=1~abc");
        Ok(())
    }

    #[test]
    fn reads_a_broken_version_and_says_so() -> Result<(), ParseDependencyError> {
        assert!(!parse("pc:jemalloc=5.3.0_")?.has_valid_version());
        assert!(!parse("a>")?.has_valid_version());
        assert!(parse("a><Q1x")?.has_valid_version());
        assert!(parse("a")?.has_valid_version());
        Ok(())
    }

    #[test]
    fn refuses_what_is_no_dependency() {
        assert!(matches!(parse(""), Err(ParseDependencyError::NoName { .. })));
        assert!(matches!(parse("!"), Err(ParseDependencyError::NoName { .. })));
        assert!(matches!(parse("=1"), Err(ParseDependencyError::NoName { .. })));
        assert!(matches!(parse("@edge"), Err(ParseDependencyError::NoName { .. })));
        assert!(matches!(parse("a@"), Err(ParseDependencyError::EmptyTag { .. })));
        assert!(matches!(parse("a<>=1"), Err(ParseDependencyError::BadOperator { .. })));
        assert!(matches!(parse("a b"), Err(ParseDependencyError::BadCharacter { found: ' ', .. })));
        assert!(matches!(parse("a\0"), Err(ParseDependencyError::BadCharacter { found: '\0', .. })));
        let long = "a".repeat(MAX_LENGTH + 1);
        assert!(matches!(parse(&long), Err(ParseDependencyError::TooLong { .. })));
    }

    #[test]
    fn having_no_version_is_older_than_any() -> Result<(), ParseDependencyError> {
        for (text, met) in
            [("a", true), ("a<1", true), ("a<=1", true), ("a=1", false), ("a>1", false), ("!a", false)]
        {
            assert_eq!(parse(text)?.satisfied_by(None), met, "{text}");
        }
        Ok(())
    }
}
