//! Why two contents of the same file may differ: a guess from how they differ, shown as a guess.

use hoopy_store::layer::EntryPath;
use serde::Serialize;

/// Why a script's result is not the same each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It has the time of the build in it.
    Time,
    /// gzip(1) keeps the time of what it packs.
    GzipTime,
    /// The same lines, in another order.
    Order,
    /// A key, or something else that is random.
    Random,
    /// None of those.
    Unknown,
}

impl Cause {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Time => {
                "a time stamp: take $SOURCE_DATE_EPOCH, which is the same in each build, as \
                 `date -u -d @$SOURCE_DATE_EPOCH`"
            }
            Self::GzipTime => "gzip keeps the time: say `gzip -n`",
            Self::Order => "the same lines in another order: sort them, as `| LC_ALL=C sort`",
            Self::Random => {
                "random, as keys and ids are: make it on the machine when it boots first, or keep it in root/"
            }
            Self::Unknown => {
                "the script depends on something that is not the same each time: the time, chance, the order of \
                 a directory, how fast something is done"
            }
        }
    }
}

/// Names of files that hold what is made by chance.
const RANDOM_NAMES: [&[u8]; 6] =
    [b"ssh_host_", b"machine-id", b"random-seed", b"hostid", b".pem", b"dropbear_"];

/// Times that a build may take from a clock: from 2001 to 2096, seconds since 1970.
const TIMES: std::ops::Range<u64> = 1_000_000_000..4_000_000_000;

/// Why contents differ that are the same up to the byte `at`.
pub(super) fn guess(path: &EntryPath, first: &[u8], second: &[u8], at: usize) -> Cause {
    let gzip = [0x1f, 0x8b];
    if first.starts_with(&gzip) && second.starts_with(&gzip) && (4..8).contains(&at) {
        return Cause::GzipTime;
    }
    let name = path.name();
    let has = |needle: &[u8]| first.windows(needle.len()).any(|window| window == needle);
    if RANDOM_NAMES.iter().any(|random| name.windows(random.len()).any(|w| w == *random))
        || has(b" PRIVATE KEY-")
    {
        return Cause::Random;
    }
    if sorted_lines(first) == sorted_lines(second) {
        return Cause::Order;
    }
    let (mine, other) = (line(first, at).0, line(second, at).0);
    if is_time(mine, other) || is_binary_time(first, second, at) {
        return Cause::Time;
    }
    if is_random(mine, other) { Cause::Random } else { Cause::Unknown }
}

/// The line of `bytes` that holds the byte `at`, and that byte's place in it.
pub(super) fn line(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let at = at.min(bytes.len());
    let (before, after) = bytes.split_at(at);
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1);
    let end = after.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |i| at + i);
    (bytes.get(start..end).unwrap_or_default(), at - start)
}

fn sorted_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Whether two lines differ in seconds since 1970, or are the same but for the digits of a time of day or a date.
fn is_time(first: &[u8], second: &[u8]) -> bool {
    let seconds = |line: &[u8]| numbers(line).into_iter().filter(|n| TIMES.contains(n)).collect::<Vec<_>>();
    let (mine, other) = (seconds(first), seconds(second));
    if mine.len() == other.len() && mine != other {
        return true;
    }
    let names: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let dated = |line: &[u8]| {
        let clock = line.windows(5).any(|w| shape(w) == *b"00:00");
        let date = line.windows(7).any(|w| shape(w) == *b"0000-00" || shape(w) == *b"0000/00");
        clock || date || names.iter().any(|name| line.starts_with(name))
    };
    dated(first) && dated(second) && first != second
}

/// Each digit as 0.
fn shape<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut shape = [0; N];
    for (to, from) in shape.iter_mut().zip(bytes) {
        *to = if from.is_ascii_digit() { b'0' } else { *from };
    }
    shape
}

fn numbers(line: &[u8]) -> Vec<u64> {
    let runs = line.split(|byte| !byte.is_ascii_digit()).filter(|run| run.len() == 10);
    runs.filter_map(|run| std::str::from_utf8(run).ok()?.parse().ok()).collect()
}

/// Whether four bytes around `at` are seconds since 1970 in both, in either order of bytes, and at most a year apart.
fn is_binary_time(first: &[u8], second: &[u8], at: usize) -> bool {
    const YEAR: u64 = 366 * 86_400;
    let text = |bytes: &[u8]| bytes.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    (at.saturating_sub(3)..=at).any(|start| {
        let word = |bytes: &[u8]| bytes.get(start..start + 4).and_then(|w| <[u8; 4]>::try_from(w).ok());
        let (Some(a), Some(b)) = (word(first), word(second)) else { return false };
        let near = |a: u64, b: u64| TIMES.contains(&a) && TIMES.contains(&b) && a.abs_diff(b) < YEAR;
        let orders = [u32::from_le_bytes, u32::from_be_bytes];
        !text(&a) && orders.iter().any(|order| near(u64::from(order(a)), u64::from(order(b))))
    })
}

/// Whether both hold a long word at the same place, most of whose characters differ.
fn is_random(first: &[u8], second: &[u8]) -> bool {
    let words = |line: &[u8]| -> Vec<Vec<u8>> {
        let part = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte));
        line.split(part).filter(|word| word.len() >= 16).map(<[u8]>::to_vec).collect()
    };
    let (mine, other) = (words(first), words(second));
    mine.iter().zip(&other).any(|(a, b)| {
        let differing = a.iter().zip(b).filter(|(x, y)| x != y).count();
        a.len() == b.len() && differing * 3 > a.len() * 2
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn guessed(path: &str, first: &[u8], second: &[u8]) -> Cause {
        let at = first.iter().zip(second).take_while(|(a, b)| a == b).count();
        guess(&EntryPath::new(path).unwrap(), first, second, at)
    }

    #[test]
    fn times_are_told_by_their_form() {
        assert_eq!(guessed("etc/a", b"built 1790000001\n", b"built 1790000460\n"), Cause::Time);
        let (first, second) = (b"Sat Nov 21 17:00:01 UTC 2026\n", b"Sat Nov 21 17:00:09 UTC 2026\n");
        assert_eq!(guessed("etc/a", first, second), Cause::Time);
        assert_eq!(guessed("etc/a", b"on 2026-11-21\n", b"on 2026-11-22\n"), Cause::Time);
        let (first, second) = (b"\x00\x01\x88\x17\xb1\x6a\xff", b"\x00\x01\x99\x17\xb1\x6a\xff");
        assert_eq!(guessed("var/db", first, second), Cause::Time);
    }

    #[test]
    fn the_time_that_gzip_keeps_is_told() {
        let (first, second) = (b"\x1f\x8b\x08\x00\x01\x02\x03\x04", b"\x1f\x8b\x08\x00\x05\x02\x03\x04");
        assert_eq!(guessed("a.gz", first, second), Cause::GzipTime);
    }

    #[test]
    fn the_same_lines_in_another_order_are_told() {
        assert_eq!(guessed("etc/list", b"a\nb\nc\n", b"c\na\nb\n"), Cause::Order);
    }

    #[test]
    fn keys_and_ids_are_told_by_name_and_by_look() {
        assert_eq!(guessed("etc/ssh/ssh_host_rsa_key", b"a", b"b"), Cause::Random);
        assert_eq!(
            guessed("k", b"-----BEGIN PRIVATE KEY-----\na", b"-----BEGIN PRIVATE KEY-----\nb"),
            Cause::Random
        );
        let (first, second) = (b"id=0f3b9a7c5d1e2846\n", b"id=97d2e1c4b8a6035f\n");
        assert_eq!(guessed("etc/id", first, second), Cause::Random);
    }

    #[test]
    fn what_is_none_of_these_is_said_to_be() {
        assert_eq!(guessed("etc/a", b"one\n", b"two\n"), Cause::Unknown);
        assert_eq!(guessed("etc/a", b"", b"two\n"), Cause::Unknown);
    }
}
