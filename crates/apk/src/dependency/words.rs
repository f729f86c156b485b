//! The words of a list of dependencies, each in its parts, in one look at most of their bytes: an index has millions.

use std::ops::Range;

use super::{MAX_LENGTH, Op, ParseDependencyError, Parts};

/// What a byte of a list is, where most are those of names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    /// Ends a name: an operator or `@`.
    Mark,
    Blank,
    /// What a look at single bytes does not understand.
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 0x7f {
        classes[byte] = match byte as u8 {
            b'<' | b'=' | b'>' | b'~' | b'@' => Class::Mark,
            b'!'.. => Class::Plain,
            byte if byte.is_ascii_whitespace() => Class::Blank,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

fn class_of(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Other)
}

/// How many bytes there are before the first that is no `wanted` one.
fn run(bytes: &[u8], wanted: impl Fn(Class) -> bool) -> usize {
    bytes.iter().position(|byte| !wanted(class_of(*byte))).unwrap_or(bytes.len())
}

/// What a word ends with: the end of the list is as good as a blank.
fn end_class(byte: Option<&u8>) -> Class {
    byte.map_or(Class::Blank, |byte| class_of(*byte))
}

/// The words of a list.
#[derive(Debug)]
pub(crate) struct Words<'t> {
    list: &'t str,
    at: usize,
}

impl<'t> Iterator for Words<'t> {
    type Item = Result<(Parts<'t>, Range<usize>), ParseDependencyError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let left = self.list.as_bytes().get(self.at..)?;
        let start = self.at + run(left, |class| class == Class::Blank);
        let rest = self.list.get(start..).filter(|rest| !rest.is_empty())?;
        let (parts, length) = match Parts::plain(rest) {
            Some(plain) => plain,
            None => {
                let length = rest.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
                match Parts::of(rest.get(..length).unwrap_or(rest)) {
                    Ok(parts) => (parts, length),
                    Err(error) => return Some(Err(error)),
                }
            }
        };
        self.at = start + length;
        Some(Ok((parts, start..self.at)))
    }
}

impl<'t> Parts<'t> {
    /// The words of a list in their parts, and where each of them is.
    pub fn all_of(list: &'t str) -> Words<'t> {
        Words { list, at: 0 }
    }

    /// The first word, and its length, of what begins with one of the sort that nearly all are: a name, and at most
    /// one character as operator. `None` where there may be more to it: each byte is looked at once, and an index has
    /// millions.
    #[inline]
    fn plain(list: &'t str) -> Option<(Self, usize)> {
        let bytes = list.as_bytes();
        let conflict = bytes.first() == Some(&b'!');
        let start = usize::from(conflict);
        let name = list.get(start..start + run(bytes.get(start..)?, |class| class == Class::Plain))?;
        let end = start + name.len();
        let (constraint, end) = match end_class(bytes.get(end)) {
            Class::Mark => {
                let op = match bytes.get(end)? {
                    b'=' => Op::Equal,
                    b'<' => Op::Less,
                    b'>' => Op::Greater,
                    b'~' => Op::Fuzzy,
                    _ => return None,
                };
                let version = bytes.get(end + 1..)?;
                if end_class(version.first()) == Class::Mark {
                    return None;
                }
                let after = end + 1 + run(version, |class| matches!(class, Class::Plain | Class::Mark));
                (Some((op, list.get(end + 1..after)?)), after)
            }
            _ => (None, end),
        };
        let ends = end_class(bytes.get(end)) == Class::Blank && !name.is_empty() && end <= MAX_LENGTH;
        ends.then_some((Self { name, conflict, tag: None, constraint }, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_list_are_read_as_each_by_itself() {
        let pieces =
            ["a", "!", "so:b.1", "=", "<", ">", "~", "@", "1.2-r0", " ", "\t", "\u{b}", "ä", "\r", "\x7f"];
        let mut random = 1_u64;
        for _ in 0..100_000 {
            let mut list = String::new();
            for _ in 0..8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                list += pieces[(random >> 33) as usize % pieces.len()];
            }
            let found: Result<Vec<_>, _> = Parts::all_of(&list).collect();
            let expected: Result<Vec<_>, _> = list.split_ascii_whitespace().map(Parts::of).collect();
            let found = found.map(|words| {
                let words = words.into_iter();
                words.map(|(parts, place)| (format!("{parts:?}"), list[place].to_owned())).collect::<Vec<_>>()
            });
            let expected = expected.map(|words| {
                let words = words.into_iter().zip(list.split_ascii_whitespace());
                words.map(|(parts, word)| (format!("{parts:?}"), word.to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{list:?}");
        }
    }
}
