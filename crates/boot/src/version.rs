//! The order of versions.

use std::cmp::Ordering;

/// Versions, numbers in them by their value, as systemd-boot sorts them (UAPI group, "Version Format").
pub fn compare(a: &str, b: &str) -> Ordering {
    fn part(text: &str) -> (&str, &str) {
        let digits = text.starts_with(|c: char| c.is_ascii_digit());
        let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
        text.split_at(end)
    }
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((x, rest_a), (y, rest_b)) = (part(a), part(b));
        let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let (u, v) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
        let order =
            if number(x) && number(y) { u.len().cmp(&v.len()).then_with(|| u.cmp(v)) } else { x.cmp(y) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_versions_count_by_their_value() {
        for (a, b) in [("2026112101", "2026112102"), ("1.9", "1.10"), ("1", "1.1"), ("a2", "a10"), ("", "1")]
        {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(compare("01", "1"), Ordering::Equal);
    }
}
