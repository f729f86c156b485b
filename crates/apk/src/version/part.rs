//! A version read part by part, and the order of parts.
//!
//! ```text
//! version  number ("." number)* letter? (suffix number?)* ("~" hash)? ("-r" number)?
//! ```
//!
//! Where two versions agree up to some part, the next one decides, so the whole order is that of [`Part`]: a version
//! that stops is one with [`Part::End`] there, which is newer than a pre-release suffix and older than whatever else
//! could stand in its place.

use std::cmp::Ordering;

/// Words after `_` that make a version older than the same one without, oldest first.
const BEFORE_RELEASE: [&[u8]; 4] = [b"alpha", b"beta", b"pre", b"rc"];

/// Words after `_` that make it newer, oldest first.
const AFTER_RELEASE: [&[u8]; 5] = [b"cvs", b"svn", b"git", b"hg", b"p"];

/// One part of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'v> {
    /// The number that every version begins with.
    First(u64),
    /// A number after a dot, in its digits.
    Number(&'v [u8]),
    /// A lower-case letter.
    Letter(u8),
    /// A suffix of [`AFTER_RELEASE`], as a position there.
    After(usize),
    /// The number of a suffix.
    SuffixNumber(u64),
    /// Hexadecimal digits of a commit.
    Hash(&'v [u8]),
    /// The package's own revision.
    Revision(u64),
    /// The version is complete.
    End,
    /// What follows breaks the grammar, and is not looked at.
    Broken,
    /// A suffix of [`BEFORE_RELEASE`], as a position there.
    Before(usize),
}

impl Part<'_> {
    /// Of parts of different kinds the one with the higher number makes the newer version.
    const fn height(self) -> u8 {
        match self {
            Self::Before(_) => 0,
            Self::Broken => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Hash(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::After(_) => 6,
            Self::Letter(_) => 7,
            Self::Number(_) => 8,
            Self::First(_) => 9,
        }
    }

    /// Whether no part comes after this one.
    pub const fn is_last(self) -> bool {
        matches!(self, Self::End | Self::Broken)
    }
}

impl Ord for Part<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::First(a), Self::First(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => a.cmp(&b),
            (Self::Number(a), Self::Number(b)) if a.starts_with(b"0") || b.starts_with(b"0") => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => number(a).cmp(&number(b)),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::After(a), Self::After(b)) | (Self::Before(a), Self::Before(b)) => a.cmp(&b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            (a, b) => a.height().cmp(&b.height()),
        }
    }
}

impl PartialOrd for Part<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// apk counts in 64 bits and lets them overflow, so the same has to happen here.
fn number(digits: &[u8]) -> u64 {
    let add = |sum: u64, digit: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
    digits.iter().fold(0, add)
}

/// The longest run at the start of `text` of bytes that `belongs` accepts, and what follows it.
fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// The parts of a version: at least one, and the last one [is the last](Part::is_last).
#[derive(Debug, Clone)]
pub(super) struct Parts<'v> {
    rest: &'v [u8],
    previous: Option<Part<'v>>,
}

impl<'v> Parts<'v> {
    pub fn of(version: &'v str) -> Self {
        Self { rest: version.as_bytes(), previous: None }
    }

    /// What the grammar allows after the previous part; `None` where it allows nothing that stands there.
    fn read(&mut self) -> Option<Part<'v>> {
        use Part::{After, Before, First, Hash, Letter, Number, Revision, SuffixNumber};
        let previous = match self.previous {
            None => return self.digits(0).map(|digits| First(number(digits))),
            Some(previous) => previous,
        };
        let in_numbers = matches!(previous, First(_) | Number(_));
        let on_suffix = matches!(previous, Before(_) | After(_));
        let before_hash = !matches!(previous, Hash(_) | Revision(_));
        match *self.rest {
            [] => Some(Part::End),
            [b'.', ..] if in_numbers => self.digits(1).map(Number),
            [letter @ b'a'..=b'z', ref rest @ ..] if in_numbers => {
                self.rest = rest;
                Some(Letter(letter))
            }
            [b'0'..=b'9', ..] if on_suffix => self.digits(0).map(|digits| SuffixNumber(number(digits))),
            [b'_', ref rest @ ..] if before_hash => {
                let (word, rest) = run(rest, |byte| byte.is_ascii_lowercase());
                self.rest = rest;
                suffix(word)
            }
            [b'~', ref rest @ ..] if before_hash => {
                let (hash, rest) = run(rest, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                self.rest = rest;
                (!hash.is_empty()).then_some(Hash(hash))
            }
            [b'-', b'r', ..] if !matches!(previous, Revision(_)) => {
                self.digits(2).map(|digits| Revision(number(digits)))
            }
            _ => None,
        }
    }

    /// The digits after `skipped` bytes; `None` where there are none.
    fn digits(&mut self, skipped: usize) -> Option<&'v [u8]> {
        let (digits, rest) = run(self.rest.get(skipped..)?, |byte| byte.is_ascii_digit());
        self.rest = rest;
        (!digits.is_empty()).then_some(digits)
    }
}

fn suffix<'v>(word: &[u8]) -> Option<Part<'v>> {
    let place = |words: &[&[u8]]| words.iter().position(|known| *known == word);
    place(&BEFORE_RELEASE).map(Part::Before).or_else(|| place(&AFTER_RELEASE).map(Part::After))
}

impl<'v> Iterator for Parts<'v> {
    type Item = Part<'v>;

    fn next(&mut self) -> Option<Part<'v>> {
        if self.previous.is_some_and(Part::is_last) {
            return None;
        }
        let part = self.read().unwrap_or(Part::Broken);
        self.previous = Some(part);
        Some(part)
    }
}
