//! A catalogue as bytes: what the store keeps so that an index is inflated and read only once.
//!
//! ```text
//! text, description, names (3 numbers each), packages (13), mentions (3), 5 counts, magic
//! ```
//!
//! Numbers are 32 bits, little-endian. The text is first, so that it stays where it was read to. Whoever keeps it
//! checks its digest; a form that is damaged all the same is refused or answers as if names were missing, and never
//! makes anything panic.

use std::sync::OnceLock;

use super::{Catalogue, Mention, Name, Package, Span, cells};
use crate::dependency::Op;
use crate::solve::NAME_BUCKETS;

/// Ends every form; changes whenever the form, or what is kept in it, does.
pub const FORMAT: [u8; 16] = *b"hoopy catalog 1\n";

/// Operators as numbers, from 1; 0 is none.
const OPERATORS: [Op; 9] = [
    Op::Equal,
    Op::Less,
    Op::LessOrEqual,
    Op::Greater,
    Op::GreaterOrEqual,
    Op::Fuzzy,
    Op::LessFuzzy,
    Op::GreaterFuzzy,
    Op::Checksum,
];

/// In the third number of a mention: the length of its version, then the operator, then whether it is a conflict.
const OPERATOR_SHIFT: u32 = 16;
const CONFLICT: u32 = 1 << 31;

/// Bytes that are no catalogue of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a catalogue as this version of hoopy writes it")]
pub struct BadForm;

impl Catalogue {
    /// The catalogue as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [
            self.names.len(),
            self.packages.len(),
            self.mentions.len(),
            self.description.len(),
            self.text.len(),
        ];
        let counts = counts.map(|count| count as u32).into_iter();
        let names = self.names.iter().flat_map(Name::numbers);
        let packages = self.packages.iter().flat_map(Package::numbers);
        let mentions = self.mentions.iter().flat_map(Mention::numbers);
        let numbers = names.chain(packages).chain(mentions).chain(counts);
        let mut bytes = self.text.clone().into_bytes();
        bytes.extend_from_slice(self.description.as_bytes());
        bytes.extend(numbers.flat_map(u32::to_le_bytes));
        bytes.extend_from_slice(&FORMAT);
        bytes
    }

    /// Reads what [`Catalogue::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BadForm`].
    pub fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, BadForm> {
        let rest = bytes.strip_suffix(&FORMAT).ok_or(BadForm)?;
        let (rest, counts) = rest.split_last_chunk::<{ 5 * 4 }>().ok_or(BadForm)?;
        let counts = take(&mut counts.as_slice(), 1, |counts: [u32; 5]| counts)?;
        let counts = counts.first().copied().ok_or(BadForm)?;
        let [names, packages, mentions, description, text] = counts.map(|count| count as usize);
        let (_, mut rest) = rest.split_at_checked(text).ok_or(BadForm)?;
        let (said, numbers) = rest.split_at_checked(description).ok_or(BadForm)?;
        rest = numbers;
        let description = std::str::from_utf8(said).map_err(|_| BadForm)?.to_owned();
        let names = take(&mut rest, names, Name::from_numbers)?;
        let packages = take(&mut rest, packages, Package::from_numbers)?;
        let mentions = take(&mut rest, mentions, Mention::from_numbers)?;
        if !rest.is_empty() || !in_range(&names, &packages, &mentions) {
            return Err(BadForm);
        }
        bytes.truncate(text);
        let text = String::from_utf8(bytes).map_err(|_| BadForm)?;
        let records = cells(&packages);
        Ok(Self { description, text, names, packages, mentions, records, table: OnceLock::new() })
    }
}

impl Name {
    fn numbers(&self) -> [u32; 3] {
        [self.text.start, self.text.end, self.bucket]
    }

    fn from_numbers([start, end, bucket]: [u32; 3]) -> Self {
        Self { text: Span { start, end }, bucket }
    }
}

impl Package {
    fn numbers(&self) -> [u32; 13] {
        let Self { stanza, checksum, version, arch, name, depends, provides, install_if, priority, flags } =
            *self;
        let last = u32::from(flags) << 16 | u32::from(priority);
        [
            stanza.start,
            stanza.end,
            checksum.start,
            checksum.end,
            version.start,
            version.end,
            arch.start,
            arch.end,
            name,
            depends,
            provides,
            install_if,
            last,
        ]
    }

    fn from_numbers(numbers: [u32; 13]) -> Self {
        let [a, b, c, d, e, f, g, h, name, depends, provides, install_if, last] = numbers;
        let span = |start, end| Span { start, end };
        let (stanza, checksum, version, arch) = (span(a, b), span(c, d), span(e, f), span(g, h));
        let (priority, flags) = (last as u16, (last >> 16) as u16);
        Self { stanza, checksum, version, arch, name, depends, provides, install_if, priority, flags }
    }
}

impl Mention {
    fn numbers(&self) -> [u32; 3] {
        let op = OPERATORS.iter().position(|op| Some(*op) == self.op).map_or(0, |at| at as u32 + 1);
        let conflict = if self.conflict { CONFLICT } else { 0 };
        let length = self.version.end - self.version.start;
        [self.name, self.version.start, conflict | op << OPERATOR_SHIFT | length]
    }

    fn from_numbers([name, start, last]: [u32; 3]) -> Self {
        let length = last & ((1 << OPERATOR_SHIFT) - 1);
        let version = Span { start, end: start.saturating_add(length) };
        let op = ((last & !CONFLICT) >> OPERATOR_SHIFT).checked_sub(1);
        let op = op.and_then(|at| OPERATORS.get(at as usize).copied());
        Self { name, version, op, conflict: last & CONFLICT != 0 }
    }
}

/// Whether all buckets, names and lists that are referred to are there.
fn in_range(names: &[Name], packages: &[Package], mentions: &[Mention]) -> bool {
    let name = |name: u32| (name as usize) < names.len();
    let list = |at: u32| at as usize <= mentions.len();
    names.iter().all(|name| name.bucket < NAME_BUCKETS)
        && packages.iter().all(|p| name(p.name) && list(p.depends) && list(p.provides) && list(p.install_if))
        && mentions.iter().all(|mention| name(mention.name))
}

/// Takes `count` groups of `N` numbers.
fn take<T, const N: usize>(
    rest: &mut &[u8],
    count: usize,
    read: impl Fn([u32; N]) -> T,
) -> Result<Vec<T>, BadForm> {
    let (taken, left) =
        count.checked_mul(4 * N).and_then(|size| rest.split_at_checked(size)).ok_or(BadForm)?;
    *rest = left;
    let number = |group: &[u8], i: usize| {
        group.get(4 * i..4 * i + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    };
    Ok(taken.chunks_exact(4 * N).map(|group| read(std::array::from_fn(|i| number(group, i)))).collect())
}
