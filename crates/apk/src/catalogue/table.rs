//! Rows of numbers as they lie in a file: 32 bits each, little-endian, read where they are.

use std::io::{self, Read};
use std::ops::Range;

/// A table with `N` numbers a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table<const N: usize>(Vec<[[u8; 4]; N]>);

impl<const N: usize> Table<N> {
    /// With room for so many rows before it has to grow.
    pub fn with_room_for(rows: usize) -> Self {
        Self(Vec::with_capacity(rows))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn push(&mut self, row: [u32; N]) {
        self.0.push(row.map(u32::to_le_bytes));
    }

    /// A row; zeroes where there is none.
    pub fn row(&self, at: u32) -> [u32; N] {
        self.0.get(at as usize).map_or([0; N], |row| row.map(u32::from_le_bytes))
    }

    /// The number `F` of a row, zero where there is none: where one or two are wanted, and often, reading all of the
    /// row costs more than what is done with them.
    #[inline]
    pub fn field<const F: usize>(&self, at: u32) -> u32 {
        let number = self.0.get(at as usize).and_then(|row| row.get(F));
        number.map_or(0, |number| u32::from_le_bytes(*number))
    }

    /// Two numbers of a row.
    #[inline]
    pub fn fields<const F: usize, const G: usize>(&self, at: u32) -> (u32, u32) {
        (self.field::<F>(at), self.field::<G>(at))
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = [u32; N]> {
        self.0.iter().map(|row| row.map(u32::from_le_bytes))
    }

    /// Where the list of a row is that begins where its number `F` says, and ends where that of the next does.
    #[inline]
    pub fn list<const F: usize>(&self, at: u32) -> Range<u32> {
        match self.0.get(at as usize..at as usize + 2) {
            Some([row, next]) => match (row.get(F), next.get(F)) {
                (Some(start), Some(end)) => u32::from_le_bytes(*start)..u32::from_le_bytes(*end),
                _ => 0..0,
            },
            _ => 0..0,
        }
    }

    /// Replaces the number `F` of each row by what `new` makes of it and of the row's place.
    pub fn change<const F: usize>(&mut self, mut new: impl FnMut(usize, u32) -> u32) {
        for (at, row) in self.0.iter_mut().enumerate() {
            if let Some(number) = row.get_mut(F) {
                *number = new(at, u32::from_le_bytes(*number)).to_le_bytes();
            }
        }
    }

    /// All rows as they lie in a file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_flattened().into_flattened()
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.as_flattened().as_flattened()
    }

    /// Reads so many rows, of which the caller knows that they are there.
    pub fn read(from: &mut impl Read, rows: usize) -> io::Result<Self> {
        let mut table = vec![[[0; 4]; N]; rows];
        from.read_exact(table.as_flattened_mut().as_flattened_mut())?;
        Ok(Self(table))
    }
}

impl<const N: usize> Table<N> {
    /// Sorts pairs of a list's number and an item into one table, keeping their order within each list; gives where
    /// each of the `lists` begins, and where the last one ends. The pairs are walked twice.
    pub fn of_lists<I>(lists: usize, pairs: impl Fn() -> I) -> (Vec<u32>, Self)
    where
        I: Iterator<Item = (u32, [u32; N])>,
    {
        let mut starts = vec![0_u32; lists + 2];
        let mut total = 0;
        for (list, _) in pairs() {
            if let Some(count) = starts.get_mut(list as usize + 2) {
                *count += 1;
                total += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut items = vec![[[0; 4]; N]; total];
        for (list, item) in pairs() {
            if let Some(place) = starts.get_mut(list as usize + 1)
                && let Some(row) = items.get_mut(*place as usize)
            {
                *row = item.map(u32::to_le_bytes);
                *place += 1;
            }
        }
        (starts, Self(items))
    }
}
