//! A v2 package whose members are well compressed and whose archives have right sums, so that what lies behind both
//! is reached: the control member, then the data.
//!
//! The input is a byte of length for each archive, in blocks, and the archives.
#![no_main]

use hoopy_fuzz::{gzip, with_right_sums};

/// Of a tar archive.
const BLOCK: usize = 512;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&blocks, rest)) = bytes.split_first() else { return };
    let Some((control, data)) = rest.split_at_checked(usize::from(blocks) * BLOCK) else { return };
    let bytes = [control, data].map(|archive| gzip(&with_right_sums(archive))).concat();
    hoopy_fuzz::read_through(bytes.as_slice(), bytes.len() as u64);
});
