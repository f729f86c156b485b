//! Names that someone may have meant.

use super::super::supply::Supply as _;
use super::super::universe::Universe;

/// How many to suggest.
const MAX_SUGGESTIONS: usize = 3;

/// Longer names are not compared; no package comes near.
const MAX_LENGTH: usize = 64;

/// The names that some package has or provides which are nearest to one that is not there.
pub(super) fn similar(universe: &Universe<'_>, name: &str) -> Vec<Box<str>> {
    let there = |other: &&str| universe.find(other).is_some_and(|id| !universe.offers(id).is_empty());
    let names = universe.names().filter(there);
    match library(name) {
        Some(own) => {
            let mut same: Vec<Box<str>> = names.filter(|n| library(n) == Some(own)).map(Box::from).collect();
            same.sort_unstable();
            same.truncate(MAX_SUGGESTIONS);
            same
        }
        None => similar_names(names, name),
    }
}

/// `libssl` of `so:libssl.so.3`. Nobody types such a name: what helps is another version of the same library.
fn library(name: &str) -> Option<&str> {
    name.strip_prefix("so:")?.split(".so").next()
}

/// Those of `names` nearest to `name`, the nearest first: one letter changed, then the same name with more around it,
/// then two letters changed. Small and capital letters are the same here.
pub fn similar_names<'n>(names: impl Iterator<Item = &'n str>, name: &str) -> Vec<Box<str>> {
    if name.len() > MAX_LENGTH {
        return Vec::new();
    }
    let small = name.to_lowercase();
    let mut found: Vec<(Nearness, usize, &str)> = names
        .filter_map(|other| {
            Some((nearness(&small, &other.to_lowercase())?, other.len().abs_diff(name.len()), other))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MAX_SUGGESTIONS).map(|(.., name)| name.into()).collect()
}

/// How near a name is, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Letter,
    Part,
    TwoLetters,
}

fn nearness(name: &str, other: &str) -> Option<Nearness> {
    // Letters count after `cmd:` or `pc:`, which must be the same.
    let split = |n| str::split_once(n, ':').map_or((None, n), |(kind, rest)| (Some(kind), rest));
    let ((kind, own), (other_kind, rest)) = (split(name), split(other));
    // In a short name every letter counts.
    let limit = match own.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let may_be = kind == other_kind && own.len().abs_diff(rest.len()) <= limit;
    match may_be.then(|| distance(own, rest)).filter(|letters| *letters <= limit) {
        Some(0 | 1) => Some(Nearness::Letter),
        _ if own.len() >= 3 && is_part(name, other) => Some(Nearness::Part),
        Some(_) => Some(Nearness::TwoLetters),
        None => None,
    }
}

/// Whether `other` is `name` with words before or after it.
fn is_part(name: &str, other: &str) -> bool {
    let before = other.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    before || other.strip_suffix(name).is_some_and(|rest| rest.ends_with(['-', ':', '/']))
}

/// How many bytes to insert, drop or change to get from one to the other; two that swap places count once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(name: &str, names: &[&str]) -> Vec<String> {
        similar_names(names.iter().copied(), name).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn more_words_are_nearer_than_other_letters() {
        assert_eq!(near("linuxx", &["linux", "lynxxx"]), ["linux", "lynxxx"]);
        assert_eq!(near("linux", &["libuv", "links", "linux-lts", "gnu-linux"]), ["gnu-linux", "linux-lts"]);
    }

    #[test]
    fn a_kind_is_not_a_matter_of_letters() {
        assert!(near("cmd:foo", &["cmd:col", "cmd:dot", "foo"]).is_empty());
        assert_eq!(near("cmd:busibox", &["cmd:busybox", "busybox"]), ["cmd:busybox"]);
        assert_eq!(near("busybox", &["cmd:busybox"]), ["cmd:busybox"]);
    }

    #[test]
    fn capitals_are_no_difference() {
        assert_eq!(near("OpenSSH", &["openssh"]), ["openssh"]);
    }
}
