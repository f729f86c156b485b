//! Sets of numbers, a bit for each that there may be: small enough to stay in the processor's own memory while an
//! index of many thousands is walked.

/// A set of numbers below some count.
#[derive(Debug)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set.
    pub fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// Whether a number is in it.
    #[inline]
    pub fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Puts a number in; whether it was not in it. One that is too large never is.
    #[inline]
    pub fn set(&mut self, number: u32) -> bool {
        let Some(word) = self.0.get_mut(number as usize / 64) else { return false };
        let bit = 1 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes a number out; whether it was in it.
    #[inline]
    pub fn take(&mut self, number: u32) -> bool {
        let Some(word) = self.0.get_mut(number as usize / 64) else { return false };
        let bit = 1 << (number % 64);
        let had = *word & bit != 0;
        *word &= !bit;
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_in_until_it_is_taken_out() {
        let mut bits = Bits::new(65);
        for number in [0, 63, 64] {
            assert!(!bits.has(number));
            assert!(bits.set(number));
            assert!(!bits.set(number));
            assert!(bits.has(number));
            assert!(bits.take(number));
            assert!(!bits.take(number));
        }
        assert!(!bits.set(1000) && !bits.has(1000) && !bits.take(1000));
    }
}
