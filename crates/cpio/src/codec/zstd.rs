//! Zstandard for the kernel: its levels, within what a machine that boots, and one that builds, have room for.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use zstd::stream::write::Encoder;
use zstd::zstd_safe::CParameter;

/// The kernel would take 2^27, and allocates whatever the frame names while the packed and the unpacked system
/// are both in memory. Levels up to 19 never ask for more than this.
const WINDOW_LOG: u32 = 23;

/// Of the tables in which zstd looks for what it has seen, in entries of four bytes: 20 MiB a thread, where levels
/// from 16 on would take 80 and more. Kernel modules at level 19 become 0.6% larger by it (3,143 KB: 3,162 KB).
const CHAIN_LOG: u32 = 22;
const HASH_LOG: u32 = 20;

/// The last level whose own window and tables are within these.
const LAST_MODEST_LEVEL: i32 = 12;

/// The shortest match that some levels look for, where their own tables say 5: programs are full of what repeats itself
/// in 4 bytes. At level 5 that makes them 1% smaller, and takes no longer.
const MIN_MATCH: u32 = 4;
const MIN_MATCH_LEVELS: RangeInclusive<i32> = 5..=12;

/// The encoder for `level`; see [`Codec::encode`](super::Codec::encode).
pub(super) fn encoder<W: Write>(output: W, level: i32, size: Option<u64>) -> io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(output, level)?;
    // The kernel verifies it: a damaged image is named at boot, where it would else run damaged programs.
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    if level > LAST_MODEST_LEVEL {
        encoder.window_log(WINDOW_LOG)?;
        encoder.set_parameter(CParameter::ChainLog(CHAIN_LOG))?;
        encoder.set_parameter(CParameter::HashLog(HASH_LOG))?;
    }
    if MIN_MATCH_LEVELS.contains(&level) {
        encoder.set_parameter(CParameter::MinMatch(MIN_MATCH))?;
    }
    encoder.set_pledged_src_size(size)?;
    Ok(encoder)
}
