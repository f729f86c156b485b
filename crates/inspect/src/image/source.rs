//! Bytes of the image as they are read: counted, digested, and seen before they are taken.

use std::io::{self, BufRead, Read};

use hoopy_base::digest::ContentId;
use sha2::{Digest as _, Sha256};

/// How much is read from the file at a time.
const BUFFER: usize = 128 << 10;

/// A part of the image. Only what is consumed counts, so that a decoder that stops leaves it exactly behind its
/// last byte.
pub struct Source<R> {
    input: R,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    consumed: u64,
    hash: Sha256,
    /// Whether anybody will ask for a digest.
    hashing: bool,
}

impl<R: Read> Source<R> {
    /// Counts from where `input` stands.
    pub fn new(input: R, hashing: bool) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { input, buffer, from: 0, to: 0, consumed: 0, hash: Sha256::new(), hashing }
    }

    /// Bytes consumed so far.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The digest of what was consumed since the last call.
    pub fn take_digest(&mut self) -> ContentId {
        ContentId::from_bytes(std::mem::take(&mut self.hash).finalize().into())
    }

    /// The next bytes, none consumed: `count` of them where there are so many.
    ///
    /// # Errors
    /// What the input fails with.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.to - self.from < count.min(BUFFER) && self.refill()? > 0 {}
        let held = self.held();
        Ok(held.get(..count).unwrap_or(held))
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Reads more behind what is held.
    fn refill(&mut self) -> io::Result<usize> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        let read = self.input.read(self.buffer.get_mut(self.to..).unwrap_or_default())?;
        self.to += read;
        Ok(read)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            self.refill()?;
        }
        Ok(self.held())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.to - self.from);
        if self.hashing {
            self.hash.update(self.buffer.get(self.from..self.from + count).unwrap_or_default());
        }
        self.from += count;
        self.consumed += count as u64;
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let count = held.len().min(into.len());
        if let (Some(into), Some(held)) = (into.get_mut(..count), held.get(..count)) {
            into.copy_from_slice(held);
        }
        self.consume(count);
        Ok(count)
    }
}
