//! What a lock says of a package beside its name and version, as a row of numbers: which digest, its bytes, the size of
//! the file, and when it was built.

use std::sync::OnceLock;

use super::Catalogue;
use crate::record::{Checksum, Record};
use crate::version::Version;

/// The numbers of a row: 1 or 2 as in `Q1` and `Q2`, eight of a digest (of a SHA-1 the first five), and two of either
/// other number, the lower half first.
pub(super) const PARTICULARS: usize = 13;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
pub(super) type Identity = [u32; 5];

/// What is known of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Particulars {
    pub checksum: Checksum,
    pub size: u64,
    pub build_time: u64,
}

impl Particulars {
    pub fn row(&self) -> [u32; PARTICULARS] {
        let mut row = [0; PARTICULARS];
        let (kind, digest): (u32, &[u8]) = match &self.checksum {
            Checksum::Sha1(digest) => (1, digest),
            Checksum::Sha256(digest) => (2, digest),
        };
        let (digits, _) = digest.as_chunks();
        let numbers = [self.size, self.build_time].into_iter().flat_map(|n| [n as u32, (n >> 32) as u32]);
        let digits = digits.iter().copied().map(u32::from_le_bytes);
        let [first, middle @ .., _, _, _, _] = &mut row;
        *first = kind;
        middle.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
        let [.., a, b, c, d] = &mut row;
        [a, b, c, d].into_iter().zip(numbers).for_each(|(place, number)| *place = number);
        row
    }

    /// What a row says; nothing where it says no such thing.
    pub fn of(row: [u32; PARTICULARS]) -> Option<Self> {
        let [kind, digest @ .., size, larger, time, later] = row;
        let mut bytes = [0; 32];
        let (places, _) = bytes.as_chunks_mut();
        places.iter_mut().zip(digest).for_each(|(place, digit)| *place = digit.to_le_bytes());
        let checksum = match kind {
            1 => Checksum::Sha1(*bytes.first_chunk()?),
            2 => Checksum::Sha256(bytes),
            _ => return None,
        };
        let number = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        Some(Self { checksum, size: number(size, larger), build_time: number(time, later) })
    }
}

/// The identity of the package of a row.
pub(super) fn identity([_, a, b, c, d, e, ..]: [u32; PARTICULARS]) -> Identity {
    [a, b, c, d, e]
}

/// Records come to be in groups of so many: making ready for every package would cost more than the few records.
const GROUP: usize = 32;

pub(super) type Cells = [OnceLock<Option<Box<Record>>>; GROUP];

/// Cells for the records of so many packages.
pub(super) fn cells(packages: usize) -> Vec<OnceLock<Box<Cells>>> {
    (0..packages.div_ceil(GROUP)).map(|_| OnceLock::new()).collect()
}

impl Catalogue {
    /// What a lock says of a package, and nothing else of its record; nothing where it cannot be read.
    pub(crate) fn record(&self, number: u32) -> Option<&Record> {
        let group = self.records.get(number as usize / GROUP)?;
        let cells = group.get_or_init(|| Box::new([const { OnceLock::new() }; GROUP]));
        let record =
            cells.get(number as usize % GROUP)?.get_or_init(|| self.make_record(number).map(Box::new));
        record.as_deref()
    }

    fn make_record(&self, number: u32) -> Option<Record> {
        let [starts, _, texts] = &self.kept;
        let name = String::from_utf8(starts.listed(self.name_of(number), texts).ok()?).ok()?;
        let Particulars { checksum, size, build_time } = self.particulars(number)?;
        let version = Version::new(self.version(number));
        Some(Record { checksum, name: name.into(), version, size, build_time, ..Record::empty() })
    }

    /// When the newest package of each repository was built, in their order; 0 where that cannot be read.
    pub fn newest(&self) -> Vec<u64> {
        let mut newest = vec![0; self.descriptions().len()];
        let [_, rows, _] = &self.kept;
        let rows = rows.rows::<PARTICULARS>().unwrap_or_default();
        for (package, particulars) in (0..).zip(rows.into_iter().map(Particulars::of)) {
            let Some(Particulars { build_time, .. }) = particulars else { continue };
            let there = self.repositories_of(package);
            for (at, time) in newest.iter_mut().enumerate().take(u64::BITS as usize) {
                if there >> at & 1 == 1 {
                    *time = build_time.max(*time);
                }
            }
        }
        newest
    }

    /// The digest of a package.
    pub(crate) fn checksum(&self, number: u32) -> Option<Checksum> {
        self.particulars(number).map(|particulars| particulars.checksum)
    }

    fn particulars(&self, number: u32) -> Option<Particulars> {
        let [_, rows, _] = &self.kept;
        Particulars::of(rows.row::<PARTICULARS>(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_put_into_it() {
        let digest = std::array::from_fn(|at| at as u8);
        for checksum in [Checksum::Sha1([7; 20]), Checksum::Sha256(digest)] {
            let known = Particulars { checksum, size: 5 << 32 | 6, build_time: u64::MAX - 1 };
            assert_eq!(Particulars::of(known.row()), Some(known));
        }
        assert_eq!(Particulars::of([0; PARTICULARS]), None);
    }
}
