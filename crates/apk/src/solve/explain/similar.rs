//! Names that someone may have meant.

use super::super::universe::Universe;

/// How many to suggest.
const MAX_SUGGESTIONS: usize = 3;

/// Longer names are not compared; no package comes near.
const MAX_LENGTH: usize = 64;

/// The names that some package has or provides which are nearest to one that is not there.
pub(super) fn similar(universe: &Universe<'_>, name: &str) -> Vec<Box<str>> {
    let there = |other: &&str| universe.find(other).is_some_and(|id| !universe.providers(id).is_empty());
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

/// Those of `names` nearest to `name`, the nearest first: few letters changed (in size they may
/// differ), or the same name with more around it.
pub fn similar_names<'n>(names: impl Iterator<Item = &'n str>, name: &str) -> Vec<Box<str>> {
    if name.len() > MAX_LENGTH {
        return Vec::new();
    }
    // In a short name every letter counts.
    let limit = match name.len() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    let small = name.to_lowercase();
    let mut found: Vec<(usize, usize, &str)> = names
        .filter_map(|other| {
            let longer = other.len().abs_diff(name.len());
            let distance = if longer <= limit { distance(&small, &other.to_lowercase()) } else { usize::MAX };
            let contained = name.len() >= 3 && is_part(&small, other);
            match (distance <= limit, contained) {
                (true, _) => Some((distance, longer, other)),
                (false, true) => Some((limit + 1, longer, other)),
                (false, false) => None,
            }
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MAX_SUGGESTIONS).map(|(.., name)| name.into()).collect()
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
