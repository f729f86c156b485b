//! The checksum in a PE file's optional header, computed while the file streams by.
//!
//! It is the one's complement sum of the file's little-endian 16-bit words, the field itself counted as zero,
//! plus the file's length. Such a sum can be put together from those of the parts: a part that starts at an odd
//! offset has its bytes in the other half of each word, and swapping the halves of its sum makes up for it.
//! So what is stored can keep its sum, and need not be read again.
//!
//! Source: RFC 1071, section 2, for the arithmetic; the addition of the length is Microsoft's `CheckSumMappedFile`.

/// The sum of some bytes, wherever they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Checksum {
    /// Folded to 16 bits.
    sum: u16,
    len: u64,
}

/// How many words add up in 32 bits without an overflow.
const RUN: usize = 2 << 15;

impl Checksum {
    /// Of no bytes.
    pub const fn new() -> Self {
        Self { sum: 0, len: 0 }
    }

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = 0;
        for run in bytes.chunks(RUN) {
            let (words, rest) = run.as_chunks::<2>();
            let words = words.iter().map(|&word| u32::from(u16::from_le_bytes(word)));
            // A run cannot overflow, and sums that are looked after are not added up several at a time.
            let words = words.fold(0, u32::wrapping_add);
            let rest = rest.first().map_or(0, |&byte| u32::from(byte));
            sum = fold(u64::from(sum) + u64::from(words) + u64::from(rest));
        }
        Self { sum, len: bytes.len() as u64 }
    }

    /// Takes in the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        self.append(Self::of(bytes));
    }

    /// Takes in the bytes that follow, of which only the sum is known.
    pub fn append(&mut self, next: Self) {
        let sum = if self.len.is_multiple_of(2) { next.sum } else { next.sum.swap_bytes() };
        self.sum = fold(u64::from(self.sum) + u64::from(sum));
        self.len += next.len;
    }

    /// How many bytes it is of.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is of no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The field's value for a file of these bytes, in which the field is zero.
    pub const fn value(&self) -> u32 {
        // A PE file is under 4 GiB.
        (self.sum as u32).wrapping_add(self.len as u32)
    }
}

const fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Word by word, as the definition has it.
    fn plain(bytes: &[u8]) -> u32 {
        let mut sum = 0_u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) | u32::from(*word.get(1).unwrap_or(&0)) << 8;
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum + bytes.len() as u32
    }

    #[test]
    fn the_largest_words_do_not_overflow() {
        let bytes = vec![0xFF; 3 * RUN + 1];
        assert_eq!(Checksum::of(&bytes).value(), plain(&bytes));
    }

    proptest! {
        #[test]
        fn parts_at_odd_offsets_add_up_to_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(0_usize..20, 0..20),
        ) {
            let mut rest = bytes.as_slice();
            let mut sum = Checksum::new();
            for cut in cuts {
                let (part, tail) = rest.split_at(cut.min(rest.len()));
                sum.update(part);
                rest = tail;
            }
            sum.append(Checksum::of(rest));
            prop_assert_eq!(sum.value(), plain(&bytes));
            prop_assert_eq!(sum, Checksum::of(&bytes));
        }
    }
}
