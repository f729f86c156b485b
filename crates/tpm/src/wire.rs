//! How structures lie in commands and answers: numbers big-endian, buffers with a size of two bytes in front.

use crate::error::TpmError;

/// Adds to a command.
pub trait Put {
    /// One byte.
    fn u8(&mut self, value: u8);
    /// Two bytes.
    fn u16(&mut self, value: u16);
    /// Four bytes.
    fn u32(&mut self, value: u32);
    /// A `TPM2B`. What is longer than its size can say is cut, which the TPM refuses; callers have bounds of their own.
    fn sized(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.extend(value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend(value.to_be_bytes());
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.extend(bytes);
    }
}

/// Takes an answer apart. Nothing is read past its end.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a> {
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], TpmError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(TpmError::Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], TpmError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| TpmError::Malformed("it ends too early"))
    }

    pub fn u8(&mut self) -> Result<u8, TpmError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, TpmError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, TpmError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A `TPM2B` of at most `most` bytes.
    pub fn sized(&mut self, most: usize) -> Result<&'a [u8], TpmError> {
        let size = usize::from(self.u16()?);
        if size > most {
            return Err(TpmError::Malformed("a part of it is longer than it may be"));
        }
        self.bytes(size)
    }

    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub fn end(self) -> Result<(), TpmError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TpmError::Malformed("bytes follow its end")) }
    }
}
