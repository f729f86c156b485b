//! The values of a database: four bits of type, and 28 of a number or a place.
//!
//! A place may be named any number of times: equal values are written once. So a small database could unfold to an
//! endless one; what is taken out is counted against its size.

use std::cell::Cell;

use super::AdbError;
use super::container::HEADER;

/// How much more than its own size a database may unfold to, and the allowance for small ones. The index of Alpine's
/// `main`, whose dependencies name few packages over and over, unfolds to five times its size.
const MAX_UNFOLDED: (u64, u64) = (16, 1 << 20);

/// What each value is counted at, beyond its bytes: about what becomes of it costs in memory.
const COST: u64 = 32;

const SPECIAL: u32 = 0x0;
const INT: u32 = 0x1;
const INT_32: u32 = 0x2;
const INT_64: u32 = 0x3;
const BLOB_8: u32 = 0x8;
const BLOB_16: u32 = 0x9;
const BLOB_32: u32 = 0xa;
const ARRAY: u32 = 0xd;
const OBJECT: u32 = 0xe;
/// A value that the writer could not make sense of, and wrote all the same. It is as none, as it is to apk.
const ERROR: u32 = 0xf;

/// A database whose block is trusted.
#[derive(Debug)]
pub struct Database<'a> {
    bytes: &'a [u8],
    left: Cell<u64>,
}

/// An object or array: values by number, from 1. One that is absent is empty.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    database: &'a Database<'a>,
    slots: &'a [u8],
}

impl<'a> Database<'a> {
    /// The database in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let (times, allowance) = MAX_UNFOLDED;
        Self { bytes, left: Cell::new(times * bytes.len() as u64 + allowance) }
    }

    /// The root object.
    pub fn root(&'a self) -> Result<Object<'a>, AdbError> {
        let root = self.word(HEADER - 4)?;
        self.object(root)
    }

    /// Counts `bytes` that something is made of.
    pub fn charge(&self, bytes: usize) -> Result<(), AdbError> {
        let left = self.left.get().checked_sub(bytes as u64 + COST).ok_or(AdbError::Bomb)?;
        self.left.set(left);
        Ok(())
    }

    fn slice(&self, at: usize, length: usize) -> Result<&'a [u8], AdbError> {
        let end = at.checked_add(length).ok_or(AdbError::Place(at))?;
        self.bytes.get(at..end).ok_or(AdbError::Place(at))
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&self, at: usize, length: usize) -> Result<u64, AdbError> {
        Ok(self.slice(at, length)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn word(&self, at: usize) -> Result<u32, AdbError> {
        // Four bytes always fit.
        Ok(self.number(at, 4)? as u32)
    }

    fn object(&'a self, value: u32) -> Result<Object<'a>, AdbError> {
        let at = place(value);
        let slots = match value >> 28 {
            SPECIAL | ERROR => &[],
            ARRAY | OBJECT => {
                let count = self.word(at)? as usize;
                let size = count.checked_mul(4).filter(|&s| s >= 4).ok_or(AdbError::Place(at))?;
                self.charge(size)?;
                self.slice(at + 4, size - 4)?
            }
            found => return Err(AdbError::Type { expected: "an object or array", found }),
        };
        Ok(Object { database: self, slots })
    }

    fn blob(&self, value: u32) -> Result<&'a [u8], AdbError> {
        let at = place(value);
        let width = match value >> 28 {
            SPECIAL | ERROR => return Ok(&[]),
            BLOB_8 => 1,
            BLOB_16 => 2,
            BLOB_32 => 4,
            found => return Err(AdbError::Type { expected: "bytes", found }),
        };
        let length = self.number(at, width)? as usize;
        self.charge(length)?;
        self.slice(at + width, length)
    }

    fn int(&self, value: u32) -> Result<u64, AdbError> {
        match value >> 28 {
            SPECIAL | ERROR => Ok(0),
            INT => Ok(place(value) as u64),
            INT_32 => self.number(place(value), 4),
            INT_64 => self.number(place(value), 8),
            found => Err(AdbError::Type { expected: "a number", found }),
        }
    }
}

/// The number or place in a value.
fn place(value: u32) -> usize {
    (value & 0x0fff_ffff) as usize
}

impl<'a> Object<'a> {
    /// The database it is of.
    pub fn database(&self) -> &'a Database<'a> {
        self.database
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.slots.len() / 4
    }

    fn value(&self, field: usize) -> u32 {
        let slot = field.checked_sub(1).and_then(|i| self.slots.get(i * 4..i * 4 + 4));
        slot.and_then(|s| s.try_into().ok()).map_or(SPECIAL, u32::from_le_bytes)
    }

    /// The number at `field`, 0 where there is none.
    pub fn int(&self, field: usize) -> Result<u64, AdbError> {
        self.database.int(self.value(field))
    }

    /// The bytes at `field`, none where there are none.
    pub fn blob(&self, field: usize) -> Result<&'a [u8], AdbError> {
        self.database.blob(self.value(field))
    }

    /// The object or array at `field`, an empty one where there is none.
    pub fn object(&self, field: usize) -> Result<Object<'a>, AdbError> {
        self.database.object(self.value(field))
    }

    /// The text at `field`, without control characters: it becomes part of lines.
    pub fn text(&self, field: usize, name: &'static str) -> Result<&'a str, AdbError> {
        let text =
            std::str::from_utf8(self.blob(field)?).map_err(|_| AdbError::field(name, "not UTF-8 text"))?;
        if text.chars().any(char::is_control) {
            return Err(AdbError::field(name, "a control character in it, such as a newline"));
        }
        Ok(text)
    }
}
