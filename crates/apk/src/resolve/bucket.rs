//! Buckets of names (rule 2.6): apk keeps names in a hash table, and part of its order is the order of that table.
//!
//! The hash is MurmurHash3 for 32 bits (Austin Appleby's, in the public domain).

/// How many buckets the table has.
pub(crate) const NAME_BUCKETS: u32 = 20_000;

const SEED: u32 = 5381;

/// The bucket of a name.
pub(crate) fn bucket(name: &[u8]) -> u32 {
    murmur3(name) % NAME_BUCKETS
}

fn murmur3(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks();
    let mut hash = SEED;
    for block in blocks {
        hash = (hash ^ scrambled(u32::from_le_bytes(*block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let last = tail.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
    hash ^= scrambled(last) ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Of a block of zeroes this is zero, so an empty tail changes nothing.
fn scrambled(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_apk() {
        for (name, expected) in
            [("c-doc", 653), ("b-doc", 2692), ("a-doc", 18400), ("zsh-doc", 18873), ("bash-doc", 19505)]
        {
            assert_eq!(bucket(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(bucket(b"p18"), bucket(b"p38"));
    }
}
