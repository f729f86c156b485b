//! A v2 package whose members are well compressed and whose archives have right sums, so that what lies behind both
//! is reached: the control member, then the data.
//!
//! The input is a byte of length for each archive, in blocks, and the archives.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A tar header, and where its sum is (POSIX.1-2017, ustar).
const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

fn member(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for header in archive.chunks_exact_mut(BLOCK).filter(|b| b[257..262] == *b"ustar") {
        header[SUM].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&archive).expect("memory");
    gzip.finish().expect("memory")
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&blocks, rest)) = bytes.split_first() else { return };
    let Some((control, data)) = rest.split_at_checked(usize::from(blocks) * BLOCK) else { return };
    let bytes = [member(control), member(data)].concat();
    hoopy_fuzz::read_through(bytes.as_slice(), bytes.len() as u64);
});
