//! Package versions: apk's grammar and order (apk-tools `src/version.c`).
//!
//! `1.2.3b_rc1_git20240101~abc123-r4`. A version that breaks the grammar still has a place in the order (what
//! follows the break is not looked at), since indexes in the wild hold such ones and apk sorts them too.

mod token;

use std::cmp::Ordering;
use std::fmt;

use crate::dependency::Op;
use token::{Kind, Tokens};

/// A version as written.
///
/// [`Ord`] is apk's order, with ties (`1.0` and `01.0`) settled by the text, so that it agrees with [`Eq`];
/// [`Version::compare`] is apk's order alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Box<str>);

impl Version {
    /// Takes any text; [`Version::is_valid`] says whether it follows the grammar.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text follows the grammar.
    pub fn is_valid(&self) -> bool {
        let mut tokens = Tokens::new(&self.0);
        loop {
            match tokens.next().kind {
                Kind::End => return true,
                Kind::Invalid => return false,
                _ => {}
            }
        }
    }

    /// Which of two versions apk takes for the newer one.
    pub fn compare(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0, false)
    }

    /// Whether this version is what `op other` asks for. A checksum is no version and matches none.
    pub fn matches(&self, op: Op, other: &Self) -> bool {
        let fuzzy = || compare(&self.0, &other.0, true);
        match op {
            Op::Equal => self.compare(other).is_eq(),
            Op::Less => self.compare(other).is_lt(),
            Op::LessOrEqual => self.compare(other).is_le(),
            Op::Greater => self.compare(other).is_gt(),
            Op::GreaterOrEqual => self.compare(other).is_ge(),
            Op::Fuzzy => fuzzy().is_eq(),
            Op::LessFuzzy => fuzzy().is_le(),
            Op::GreaterFuzzy => fuzzy().is_ge(),
            Op::Checksum => false,
        }
    }
}

/// Compares in step; `fuzzy` calls `a` equal when `b` ends first.
fn compare(a: &str, b: &str, fuzzy: bool) -> Ordering {
    let (mut a, mut b) = (Tokens::new(a), Tokens::new(b));
    let (left, right) = loop {
        let (left, right) = (a.next(), b.next());
        if left.kind != right.kind {
            break (left, right);
        }
        if left.kind >= Kind::End {
            return Ordering::Equal;
        }
        match left.compare(&right) {
            Ordering::Equal => {}
            different => return different,
        }
    };
    if fuzzy && right.kind == Kind::End {
        return Ordering::Equal;
    }
    // They agree as far as one goes: having more is newer, unless it is `_rc` or another of its sort.
    if left.is_before_release() {
        return Ordering::Less;
    }
    if right.is_before_release() {
        return Ordering::Greater;
    }
    right.kind.cmp(&left.kind)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
