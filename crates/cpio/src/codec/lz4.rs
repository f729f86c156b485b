//! The legacy frame of LZ4, the only one that the kernel decodes.
//!
//! ```text
//! frame   magic block* | zero
//! block   length of what follows (u32, little-endian) | compressed; all but the last unpack to 8 MiB
//! zero    four bytes; not of the frame: the kernel's decoder, which runs on through the buffer, ends there
//! ```
//!
//! Source of the format: lz4 `doc/lz4_Frame_format.md` (Legacy frame), Linux `lib/decompress_unlz4.c`.

use std::io::{self, Write};

use lz4_flex::block::{compress_into, get_maximum_output_size};

/// What a legacy frame starts with.
pub const MAGIC: [u8; 4] = 0x184C_2102_u32.to_le_bytes();

/// The format's own; the kernel's decoder allocates exactly this.
pub const BLOCK: usize = 8 << 20;

/// What ends the frame for the kernel.
pub const END: [u8; 4] = [0; 4];

/// Writes one frame.
pub struct Encoder<W> {
    output: W,
    /// What is not compressed yet, less than a block.
    pending: Vec<u8>,
    compressed: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(&MAGIC)?;
        Ok(Self { output, pending: Vec::new(), compressed: Vec::new() })
    }

    pub fn finish(mut self) -> io::Result<W> {
        if !self.pending.is_empty() {
            self.block()?;
        }
        self.output.write_all(&END)?;
        Ok(self.output)
    }

    fn block(&mut self) -> io::Result<()> {
        self.compressed.resize(get_maximum_output_size(self.pending.len()), 0);
        let len = compress_into(&self.pending, &mut self.compressed).map_err(io::Error::other)?;
        let compressed = self.compressed.get(..len).unwrap_or_default();
        // A block of 8 MiB grows by less than half a percent at worst.
        self.output.write_all(&(len as u32).to_le_bytes())?;
        self.output.write_all(compressed)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(BLOCK - self.pending.len());
        self.pending.extend_from_slice(data.get(..taken).unwrap_or_default());
        if self.pending.len() == BLOCK {
            self.block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
