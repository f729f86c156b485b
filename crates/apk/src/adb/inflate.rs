//! Raw deflate, without gzip's header and checksum, as a stream that reports when it was cut short.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Inflates what `R` gives.
#[derive(Debug)]
pub struct Inflate<R> {
    inner: R,
    state: Decompress,
    ended: bool,
}

impl<R: BufRead> Inflate<R> {
    /// A deflate stream that begins where `inner` is.
    pub fn new(inner: R) -> Self {
        Self { inner, state: Decompress::new(false), ended: false }
    }

    /// Whether the deflate stream is over and nothing stands behind it.
    pub fn at_end(&mut self) -> io::Result<bool> {
        // The last bytes of the stream may hold no data at all.
        Ok(self.read(&mut [0])? == 0 && self.inner.fill_buf()?.is_empty())
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !buffer.is_empty() {
            let input = self.inner.fill_buf()?;
            let dry = input.is_empty();
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(input, buffer, FlushDecompress::None)?;
            let consumed = self.state.total_in() - before_in;
            let made = self.state.total_out() - before_out;
            // Both are bounded by the lengths of slices.
            self.inner.consume(consumed as usize);
            self.ended = status == Status::StreamEnd;
            if made > 0 {
                return Ok(made as usize);
            }
            if dry && !self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}
