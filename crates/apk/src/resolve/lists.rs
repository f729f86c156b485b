//! Lists end to end in one table: list `n` is what lies between its start and that of the next.

use std::ops::Range;

use super::UniverseError;

/// A list of items for each number.
#[derive(Debug)]
pub(super) struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Sorts pairs of a list's number and an item, keeping the order of each list.
    pub fn of_pairs(lists: usize, mut pairs: Vec<(u32, T)>) -> Result<Self, UniverseError> {
        u32::try_from(pairs.len()).map_err(|_| UniverseError::TooLarge)?;
        // Stable.
        pairs.sort_by_key(|(list, _)| *list);
        let mut starts = Vec::with_capacity(lists + 1);
        for (at, (list, _)) in (0..).zip(&pairs) {
            while starts.len() <= *list as usize {
                starts.push(at);
            }
        }
        starts.resize(lists + 1, pairs.len() as u32);
        Ok(Self { starts, items: pairs.into_iter().map(|(_, item)| item).collect() })
    }

    /// The places of a list.
    pub fn places(&self, list: u32) -> Range<u32> {
        match self.starts.get(list as usize..) {
            Some([start, end, ..]) => *start..*end,
            _ => 0..0,
        }
    }

    /// The item at a place.
    pub fn item(&self, place: u32) -> Option<T> {
        self.items.get(place as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_list_has_its_items_in_order_and_may_be_empty() {
        let lists = Lists::of_pairs(4, vec![(2, 'c'), (0, 'a'), (2, 'd'), (0, 'b')]).unwrap();
        let items = |list| lists.places(list).filter_map(|place| lists.item(place)).collect::<String>();
        assert_eq!([0, 1, 2, 3].map(items), ["ab", "", "cd", ""]);
    }
}
