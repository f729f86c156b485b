//! What several targets do with the bytes that they have.

use std::io::{BufRead, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use hoopy_apk::package::open;

/// Reads a package as an import does, and sees to it that no path could lead out of a root.
pub fn read_through(package: impl BufRead, size: u64) {
    let Ok(mut opened) = open(package) else { return };
    opened.data.bound(size);
    while let Ok(Some(mut file)) = opened.data.next_file() {
        assert!(!file.entry.path.split(|&b| b == b'/').any(|name| matches!(name, b"" | b"." | b"..")));
        if file.skip().is_err() {
            return;
        }
    }
    let _ = opened.data.finish();
}

/// A tar header, and where its sum is (POSIX.1-2017, ustar).
const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

/// The archive, with the sum of each header as it must be.
pub fn with_right_sums(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for header in archive.chunks_exact_mut(BLOCK).filter(|b| b[257..262] == *b"ustar") {
        header[SUM].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}

/// `bytes` in a gzip member that is not compressed, so that a fuzzer's changes reach what is inside.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}
