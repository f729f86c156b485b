//! A version, cut into the tokens that apk compares.
//!
//! `number{.number}[letter]{_suffix[number]}[~hash][-rnumber]`. Comparison takes the tokens of two versions in
//! step, so the order of [`Kind`] is the order of versions that agree as far as the shorter one goes: what has a
//! further `.number` is newest, then a letter, and so on down to what has nothing more, and last what is broken.

use std::cmp::Ordering;

/// What a token is, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The digits before the first dot.
    FirstNumber,
    /// The digits after a dot.
    Number,
    /// One lower-case letter.
    Letter,
    /// A known word after `_`.
    Suffix,
    /// The digits after that word.
    SuffixNumber,
    /// Lower-case hexadecimal digits after `~`.
    Hash,
    /// The digits after `-r`.
    Revision,
    /// Nothing more.
    End,
    /// Anything else; the rest is not looked at.
    Invalid,
}

/// The words after `_`, oldest first; those before `Cvs` are older than no suffix at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    Alpha,
    Beta,
    Pre,
    Rc,
    Cvs,
    Svn,
    Git,
    Hg,
    P,
}

impl Suffix {
    fn from_word(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"alpha" => Self::Alpha,
            b"beta" => Self::Beta,
            b"pre" => Self::Pre,
            b"rc" => Self::Rc,
            b"cvs" => Self::Cvs,
            b"svn" => Self::Svn,
            b"git" => Self::Git,
            b"hg" => Self::Hg,
            b"p" => Self::P,
            _ => return None,
        })
    }
}

/// One token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    text: &'a [u8],
}

impl Token<'_> {
    /// Whether this is a suffix that makes a version older than the one without it.
    pub fn is_before_release(&self) -> bool {
        self.kind == Kind::Suffix && Suffix::from_word(self.text) < Some(Suffix::Cvs)
    }

    /// Compares two tokens of the same kind.
    pub fn compare(&self, other: &Self) -> Ordering {
        match self.kind {
            // As in decimal fractions: 1.05 is older than 1.5, and 1.050 newer than 1.05.
            Kind::Number if self.text.first() == Some(&b'0') || other.text.first() == Some(&b'0') => {
                self.text.cmp(other.text)
            }
            Kind::FirstNumber | Kind::Number | Kind::SuffixNumber | Kind::Revision => {
                value(self.text).cmp(&value(other.text))
            }
            Kind::Suffix => Suffix::from_word(self.text).cmp(&Suffix::from_word(other.text)),
            Kind::Letter | Kind::Hash | Kind::End | Kind::Invalid => self.text.cmp(other.text),
        }
    }
}

/// A number as apk reads it: it wraps at 2^64, and so must we to agree on what is newest.
fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum: u64, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit & 0x0f)))
}

/// Yields the tokens of a text, then [`Kind::End`] or [`Kind::Invalid`] for ever.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    last: Option<Kind>,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), last: None }
    }

    /// The next token.
    pub fn next(&mut self) -> Token<'a> {
        let (kind, text) = self.take().unwrap_or((Kind::Invalid, b""));
        self.last = Some(kind);
        Token { kind, text }
    }

    fn take(&mut self) -> Option<(Kind, &'a [u8])> {
        let Some(last) = self.last else {
            return self.digits(Kind::FirstNumber);
        };
        if last == Kind::Invalid {
            return None;
        }
        let Some(first) = self.rest.first() else {
            return Some((Kind::End, b""));
        };
        match first {
            b'a'..=b'z' if last <= Kind::Number => Some((Kind::Letter, self.split(1))),
            b'.' if last <= Kind::Number => {
                self.split(1);
                self.digits(Kind::Number)
            }
            b'0'..=b'9' if last == Kind::Suffix => self.digits(Kind::SuffixNumber),
            b'_' if last <= Kind::SuffixNumber => {
                self.split(1);
                let word = self.run(u8::is_ascii_lowercase);
                Suffix::from_word(word).map(|_| (Kind::Suffix, word))
            }
            b'~' if last < Kind::Hash => {
                self.split(1);
                let hash = self.run(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
                (!hash.is_empty()).then_some((Kind::Hash, hash))
            }
            b'-' if last < Kind::Revision && self.rest.starts_with(b"-r") => {
                self.split(2);
                self.digits(Kind::Revision)
            }
            _ => None,
        }
    }

    fn digits(&mut self, kind: Kind) -> Option<(Kind, &'a [u8])> {
        let digits = self.run(u8::is_ascii_digit);
        (!digits.is_empty()).then_some((kind, digits))
    }

    fn run(&mut self, accept: impl Fn(&u8) -> bool) -> &'a [u8] {
        self.split(self.rest.iter().take_while(|c| accept(c)).count())
    }

    fn split(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, b""));
        self.rest = rest;
        head
    }
}
