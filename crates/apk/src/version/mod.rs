//! Package versions: apk's grammar and order (apk-package(5), "version").
//!
//! `1.2.3b_rc1_git20240101~abc123-r4`. A version that breaks the grammar still has a place in the order (what
//! follows the break is not looked at), since indexes in the wild hold such ones and apk sorts them too.

mod op;
mod part;

use std::cmp::Ordering;
use std::fmt;

pub use op::Op;
use part::{Part, Parts};

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
        is_valid(&self.0)
    }

    /// Which of two versions apk takes for the newer one.
    pub fn compare(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }

    /// Whether this version is what `op other` asks for. A checksum is no version and matches none.
    pub fn matches(&self, op: Op, other: &Self) -> bool {
        matches(&self.0, op, other.as_str())
    }
}

/// [`Version::is_valid`] of a text.
pub(crate) fn is_valid(text: &str) -> bool {
    if is_plain(text) {
        return true;
    }
    Parts::of(text).all(|part| part != Part::Broken)
}

/// Whether a text is numbers with dots between them, and perhaps a revision: so most are, and an index has a hundred
/// thousand.
fn is_plain(text: &str) -> bool {
    let mut digits = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => digits = true,
            b'.' if digits => digits = false,
            b'-' if digits && bytes.next() == Some(b'r') => {
                return bytes.len() > 0 && bytes.all(|byte| byte.is_ascii_digit());
            }
            _ => return false,
        }
    }
    digits
}

/// [`Version::compare`] of texts: the first part that differs decides.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    Parts::of(a).cmp(Parts::of(b))
}

/// Whether `version` begins with all the parts of `other`.
fn begins_with(version: &str, other: &str) -> bool {
    let mut parts = Parts::of(version);
    Parts::of(other).all(|part| part == Part::End || parts.next().is_some_and(|own| own.cmp(&part).is_eq()))
}

/// [`Version::matches`] of texts.
pub(crate) fn matches(version: &str, op: Op, other: &str) -> bool {
    let alike = op.is_fuzzy() && begins_with(version, other);
    op.admits(if alike { Ordering::Equal } else { order(version, other) })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as `apk version -t` of apk-tools 3.0.8 answers it.
    const COMPARED: &str = "
        1 < 1.0
        1.0 < 1.00
        01 = 1
        1.05 < 1.5
        1.050 > 1.05
        1.09 < 1.1
        1.10 > 1.9
        1.0 < 1.10
        1_alpha < 1
        1_rc9 < 1
        1_alpha < 1_beta
        1_beta < 1_pre
        1_pre < 1_rc
        1 < 1_cvs
        1_cvs < 1_svn
        1_svn < 1_git
        1_git < 1_hg
        1_hg < 1_p
        1_p < 1_p0
        1_p0 < 1_p1
        1_rc_p1 > 1_rc
        1_rc < 1_rc1
        1a > 1
        1a < 1.0
        1a < 1b
        1z > 1_p1
        1-r0 > 1
        1-r0 < 1-r1
        1-r01 = 1-r1
        1~abc > 1
        1~abc > 1-r0
        1~abc < 1~abd
        1~ab < 1~abc
        1_git20240101~abc-r1 > 1_git20240101-r1
        1_rc1-r5 < 1-r0
        1.2.3a_p1-r4 > 1.2.3a-r9
        0.1.0_alpha_pre2 < 0.1.0_alpha
        18446744073709551616 = 0
        2.2.0_rc2 < 2.2.0_rc10
        3.0.0_p20240101 > 3.0.0
        1.0.0 > 1.0";

    #[test]
    fn orders_tricky_pairs_as_apk_does() {
        for line in COMPARED.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [left, sign, right] = words[..] else { panic!("{line}") };
            let expected = match sign {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(Version::new(left).compare(&Version::new(right)), expected, "{line}");
            assert_eq!(Version::new(right).compare(&Version::new(left)), expected.reverse(), "{line}");
        }
    }

    #[test]
    fn knows_valid_versions_as_apk_does() {
        for text in ["1", "1a", "1_p", "1-r0", "1~abc", "1~abc-r0", "0.0", "1_git20240101_p1~0f-r12"] {
            assert!(Version::new(text).is_valid(), "{text}");
        }
        for text in [
            "1.",
            ".1",
            "1..",
            "1ab",
            "1a.1",
            "1_",
            "1_foo",
            "1_pp",
            "1_p1.2",
            "1-r",
            "1-r0-r1",
            "1-R0",
            "1~",
            "1~ABC",
            "1~g",
            "1~abc_p1",
            "v1",
            "1.x",
            "1-1",
            "",
            "1_p1a",
            "1_P",
            "1.0-r1_p1",
            "1:2",
        ] {
            assert!(!Version::new(text).is_valid(), "{text}");
        }
    }

    #[test]
    fn fuzzy_matches_what_begins_so() {
        let version = Version::new("1.20.3-r1");
        for (op, other, matches) in [
            (Op::Fuzzy, "1", true),
            (Op::Fuzzy, "1.20", true),
            (Op::Fuzzy, "1.20.3", true),
            (Op::Fuzzy, "1.20.3-r1", true),
            (Op::Fuzzy, "1.2", false),
            (Op::Fuzzy, "1.20.3-r10", false),
            (Op::Fuzzy, "1.20.3-r1-r1", false),
            (Op::LessFuzzy, "1.20", true),
            (Op::LessFuzzy, "1.19", false),
            (Op::GreaterFuzzy, "1.20", true),
            (Op::GreaterFuzzy, "1.21", false),
            (Op::Equal, "1.20.3", false),
            (Op::GreaterOrEqual, "1.20.3", true),
            (Op::Less, "1.20.3", false),
            (Op::Checksum, "1.20.3-r1", false),
        ] {
            assert_eq!(version.matches(op, &Version::new(other)), matches, "{version} {op} {other}");
        }
    }

    #[test]
    fn ties_are_settled_by_the_text() {
        let (a, b) = (Version::new("01"), Version::new("1"));
        assert_eq!(a.compare(&b), Ordering::Equal);
        assert_ne!(a.cmp(&b), Ordering::Equal);
    }
}
