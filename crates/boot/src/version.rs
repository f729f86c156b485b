//! The order of versions: that of systemd-boot, which decides what a machine starts.

use std::cmp::Ordering;

/// Compares versions (UAPI group, "Version Format Specification"; systemd's `strverscmp_improved`): numbers by their
/// value, `~` before everything, then the end, `-`, `^` and `.`, letters, and numbers last. Other characters only
/// separate.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    loop {
        (a, b) = (without(a, |c| !is_part(c)), without(b, |c| !is_part(c)));
        if let Some(order) = separator(&mut a, &mut b, b'~') {
            return order;
        }
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        for mark in *b"-^." {
            if let Some(order) = separator(&mut a, &mut b, mark) {
                return order;
            }
        }
        let starts_with_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let order = match (starts_with_digit(a), starts_with_digit(b)) {
            (false, false) => {
                take(&mut a, u8::is_ascii_alphabetic).cmp(take(&mut b, u8::is_ascii_alphabetic))
            }
            (true, true) => {
                let (x, y) = (take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
                let (x, y) = (without(x, |c| *c == b'0'), without(y, |c| *c == b'0'));
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
            (x, y) => x.cmp(&y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_part(c: &u8) -> bool {
    c.is_ascii_alphanumeric() || b"~-^.".contains(c)
}

/// What has `mark` next comes first, where the other has not; where both have, it is passed over.
fn separator(a: &mut &[u8], b: &mut &[u8], mark: u8) -> Option<Ordering> {
    let behind = |text: &[u8]| text.strip_prefix(&[mark]).map(<[u8]>::len);
    match (behind(a), behind(b)) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(_), Some(_)) => {
            (*a, *b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
            None
        }
    }
}

/// Takes the beginning of which every byte `belongs`.
fn take<'t>(text: &mut &'t [u8], belongs: impl Fn(&u8) -> bool) -> &'t [u8] {
    let (part, rest) = text.split_at(text.iter().position(|c| !belongs(c)).unwrap_or(text.len()));
    *text = rest;
    part
}

fn without(mut text: &[u8], belongs: impl Fn(&u8) -> bool) -> &[u8] {
    take(&mut text, belongs);
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Each before the next.
    const SORTED: [&str; 20] = [
        "",
        "~",
        "~1",
        "a~rc",
        "a",
        "a-1",
        "a^1",
        "a.1",
        "ab",
        "b",
        "1~rc1",
        "1",
        "1-1",
        "1.9",
        "1.10",
        "1a",
        "2",
        "2026112101",
        "2026112102",
        "20261121100",
    ];

    #[test]
    fn numbers_in_versions_count_by_their_value() {
        for pair in SORTED.windows(2) {
            let [a, b] = pair else { unreachable!() };
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(compare("01", "1"), Ordering::Equal);
        assert_eq!(compare("1_2", "1+2"), Ordering::Equal);
    }

    #[test]
    fn systemd_orders_the_same_versions_the_same_way() {
        let more =
            ["01", "1_2", "1+2", "a-", "a--1", "1.", "1..1", "a1", "a01", "nas-1", "nas.efi", "nas-1.efi"];
        let all: Vec<&str> = SORTED.into_iter().chain(more).filter(|version| !version.is_empty()).collect();
        for (n, a) in all.iter().enumerate() {
            for b in all.iter().skip(n) {
                let said = Command::new("systemd-analyze").args(["compare-versions", a, b]).output();
                let Ok(said) = said else {
                    return hoopy_testkit::skip(format_args!("systemd-analyze is not installed"));
                };
                let theirs = match said.status.code() {
                    Some(0) => Ordering::Equal,
                    Some(11) => Ordering::Greater,
                    Some(12) => Ordering::Less,
                    other => panic!("systemd-analyze compare-versions {a} {b} ended with {other:?}"),
                };
                assert_eq!(compare(a, b), theirs, "{a} {b}");
            }
        }
    }
}
