//! The index files (`modules.*.bin`): keys and their values as a tree of shared beginnings.
//!
//! ```text
//! file   magic 0xB007F457 | version 0x00020001 | root | node*        numbers are big-endian, 32 bits
//! root   offset of a node, with flags in its upper four bits: 8 a prefix, 4 values, 2 children
//! node   prefix NUL | first last child[last - first + 1] | count (priority value NUL)[count]
//! ```
//!
//! A child is reached by the byte after its parent's prefix; a place without one is 0. Children stand after their
//! parent, each with all that is below it. Values stand by priority, and of equal ones the one that was added last comes first.
//!
//! Source of the format: depmod.d(5), and the comments of kmod's `libkmod/libkmod-index.c`, which reads it.

use crate::Error;

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;

/// The bits that a node's offset has.
const MAX_FILE: usize = 0x0FFF_FFFF;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;

/// What goes into an index file.
#[derive(Debug, Default)]
pub struct Index {
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    key: Vec<u8>,
    priority: u32,
    value: Vec<u8>,
}

impl Index {
    /// Adds a value to a key. The lowest priority comes first.
    pub fn add(&mut self, key: Vec<u8>, value: &[u8], priority: usize) {
        // Modules are counted in 16 bits.
        self.pairs.push(Pair { key, priority: priority as u32, value: value.to_vec() });
    }

    /// The file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where offsets do not hold it.
    pub fn write(mut self) -> Result<Vec<u8>, Error> {
        self.pairs.reverse();
        self.pairs.sort_by(|a, b| a.key.cmp(&b.key).then(a.priority.cmp(&b.priority)));
        let mut file = Vec::with_capacity(self.pairs.len() * 32);
        [MAGIC, VERSION, 0].iter().for_each(|word| file.extend(word.to_be_bytes()));
        let root = node(&self.pairs, 0, 0, &mut file);
        if file.len() > MAX_FILE {
            return Err(Error::TooLarge { what: "an index file".into(), most: MAX_FILE });
        }
        if let Some(place) = file.get_mut(8..12) {
            place.copy_from_slice(&root.to_be_bytes());
        }
        Ok(file)
    }
}

/// Writes the node of `pairs`, which are sorted and not empty below the root, and have the same first `from` bytes
/// and `prefix` more, and then its children: gives its offset with its flags. As deep as keys are long, and those are
/// bounded.
fn node(pairs: &[Pair], from: usize, prefix: usize, file: &mut Vec<u8>) -> u32 {
    let end = from + prefix;
    let own = pairs.partition_point(|pair| pair.key.len() == end);
    let (values, below) = pairs.split_at(own);
    let label = pairs.first().and_then(|pair| pair.key.get(from..end)).unwrap_or_default();
    let mut offset = file.len() as u32;
    if !label.is_empty() {
        file.extend(label);
        file.push(0);
        offset |= HAS_PREFIX;
    }
    let byte = |pair: Option<&Pair>| pair.and_then(|pair| pair.key.get(end)).copied();
    let first = byte(below.first());
    if let (Some(first), Some(last)) = (first, byte(below.last())) {
        file.extend([first, last]);
        offset |= HAS_CHILDREN;
    }
    let mut place = file.len();
    let count = first.zip(byte(below.last())).map_or(0, |(first, last)| usize::from(last - first) + 1);
    file.resize(place + count * 4, 0);
    if !values.is_empty() {
        put_values(values, file);
        offset |= HAS_VALUES;
    }
    let mut at = first.unwrap_or_default();
    for group in below.chunk_by(|a, b| a.key.get(end) == b.key.get(end)) {
        let byte = byte(group.first()).unwrap_or_default();
        place += usize::from(byte - at) * 4;
        at = byte;
        let child = node(group, end + 1, shared(group, end + 1), file);
        if let Some(slot) = file.get_mut(place..place + 4) {
            slot.copy_from_slice(&child.to_be_bytes());
        }
    }
    offset
}

fn put_values(values: &[Pair], file: &mut Vec<u8>) {
    file.extend((values.len() as u32).to_be_bytes());
    for Pair { priority, value, .. } in values {
        file.extend(priority.to_be_bytes());
        file.extend(value);
        file.push(0);
    }
}

/// How many bytes from `from` on all keys have in common: of sorted ones, what the first and the last have.
fn shared<'p>(pairs: &'p [Pair], from: usize) -> usize {
    let rest = |pair: Option<&'p Pair>| pair.and_then(|p| p.key.get(from..)).unwrap_or_default();
    let (first, last) = (rest(pairs.first()), rest(pairs.last()));
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}
