//! Numbers by what they stand for: a table of hashes, which is asked about many at once.
//!
//! What is looked up lies anywhere in memory, and waiting for it is most of the time: so a look-up has steps, each
//! of which is made for a handful of names before the next step, and the processor waits for all of them at once.

/// The least that there is room for.
const LEAST: usize = 64;

/// How many are looked up at once.
pub(super) const HANDFUL: usize = 16;

/// The number of a slot that has none. It is not 0, so that slots are written before they are read: memory that is
/// read first is made ready twice, and the second time the other cores have to be told.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers by hash. Whoever asks compares what they stand for.
#[derive(Debug)]
pub(super) struct Numbers {
    /// A hash, and its number or [`NONE`].
    slots: Vec<[u32; 2]>,
    count: usize,
}

impl Default for Numbers {
    fn default() -> Self {
        Self::with_room_for(0)
    }
}

impl Numbers {
    /// Room for so many before it has to grow.
    pub fn with_room_for(count: usize) -> Self {
        Self { slots: vec![[0, NONE]; (count + count / 3).next_power_of_two().max(LEAST)], count: 0 }
    }

    fn place(&self, hash: u32) -> usize {
        // The length is a power of two.
        hash as usize & (self.slots.len() - 1)
    }

    /// The first slot where a hash may be: it and its number, right more often than not, or another's.
    #[inline]
    pub fn likely(&self, hash: u32) -> [u32; 2] {
        self.slots.get(self.place(hash)).copied().unwrap_or([0, NONE])
    }

    /// The number for a hash that `is` says is the one; or, when there is none, `new` is it from now on.
    pub fn find_or_add(&mut self, hash: u32, is: impl Fn(u32) -> bool, new: u32) -> Option<u32> {
        if 4 * self.count >= 3 * self.slots.len() {
            self.grow();
        }
        let (mut place, last) = (self.place(hash), self.slots.len() - 1);
        // A quarter of the slots is free, so there is an end.
        while let Some(slot) = self.slots.get_mut(place) {
            match *slot {
                [_, NONE] => {
                    *slot = [hash, new];
                    self.count += 1;
                    return None;
                }
                [known, number] if known == hash && is(number) => return Some(number),
                _ => place = (place + 1) & last,
            }
        }
        None
    }

    fn grow(&mut self) {
        let larger = vec![[0, NONE]; 2 * self.slots.len()];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot[1] != NONE {
                let (mut place, last) = (self.place(slot[0]), self.slots.len() - 1);
                while self.slots.get(place).is_some_and(|taken| taken[1] != NONE) {
                    place = (place + 1) & last;
                }
                if let Some(free) = self.slots.get_mut(place) {
                    *free = slot;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_same_hash_is_told_apart_and_growing_loses_nothing() {
        let mut numbers = Numbers::default();
        for number in 0..1000 {
            // Three of each hash.
            assert_eq!(numbers.find_or_add(number / 3, |known| known == number, number), None);
        }
        for number in 0..1000 {
            assert_eq!(numbers.find_or_add(number / 3, |known| known == number, 5000), Some(number));
        }
        let [hash, number] = numbers.likely(0);
        assert_eq!((hash, number / 3), (0, 0));
    }
}
