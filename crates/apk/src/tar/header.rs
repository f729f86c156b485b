//! The 512 bytes of a ustar header: fields at fixed places.

use std::ops::Range;

use super::{BLOCK, TarError, shown};

pub const NAME: Range<usize> = 0..100;
pub const MODE: Range<usize> = 100..108;
pub const UID: Range<usize> = 108..116;
pub const GID: Range<usize> = 116..124;
pub const SIZE: Range<usize> = 124..136;
pub const MTIME: Range<usize> = 136..148;
pub const CHECKSUM: Range<usize> = 148..156;
pub const TYPE: usize = 156;
/// The type of a sparse file in GNU's own format (`GNUTYPE_SPARSE`).
pub const SPARSE: u8 = b'S';
/// Whether more of its map follows the header, and such a block of the map (`isextended` of `oldgnu_header` and
/// `sparse_header`).
pub const MORE_MAP: usize = 482;
pub const MORE_MAP_BEHIND_MAP: usize = 504;
pub const LINK: Range<usize> = 157..257;
pub const MAGIC: Range<usize> = 257..265;
pub const UNAME: Range<usize> = 265..297;
pub const GNAME: Range<usize> = 297..329;
pub const MAJOR: Range<usize> = 329..337;
pub const MINOR: Range<usize> = 337..345;
pub const PREFIX: Range<usize> = 345..500;

pub type Block = [u8; BLOCK];

/// The field up to its first NUL.
pub fn text(block: &Block, field: Range<usize>) -> &[u8] {
    let bytes = &block[field];
    bytes.split(|&b| b == 0).next().unwrap_or(bytes)
}

/// The field as a number: octal digits, or base 256 where the top bit is set (GNU).
pub fn number(block: &Block, field: Range<usize>, name: &'static str) -> Result<u64, TarError> {
    let bytes = &block[field];
    let bad = || TarError::Number(shown(text(block, NAME)), name);
    if bytes[0] & 0x80 != 0 {
        let digits = std::iter::once(bytes[0] & 0x7f).chain(bytes[1..].iter().copied());
        let add = |sum: u64, digit: u8| sum.checked_mul(256)?.checked_add(digit.into());
        return digits.into_iter().try_fold(0u64, add).ok_or_else(bad);
    }
    let digits = bytes.split(|&b| b == 0).next().unwrap_or_default().trim_ascii();
    digits.iter().try_fold(0u64, |sum, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&d| d < 8).ok_or_else(bad)?;
        sum.checked_mul(8).and_then(|s| s.checked_add(digit.into())).ok_or_else(bad)
    })
}

/// Writes a number as octal digits and a NUL, or base 256 where it does not fit.
pub fn put_number(block: &mut Block, field: Range<usize>, value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    if digits.len() <= width {
        block[field.start..field.start + width].copy_from_slice(digits.as_bytes());
        return;
    }
    let bytes = value.to_be_bytes();
    let field = &mut block[field];
    let len = field.len();
    field.fill(0);
    let take = len.min(8);
    field[len - take..].copy_from_slice(&bytes[8 - take..]);
    field[0] |= 0x80;
}

/// Writes bytes, cut to the field.
pub fn put_text(block: &mut Block, field: Range<usize>, text: &[u8]) {
    let len = text.len().min(field.len());
    block[field.start..field.start + len].copy_from_slice(&text[..len]);
}

/// The sum of all bytes, the checksum's own counted as spaces.
pub fn checksum(block: &Block) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
    sum(&block[..CHECKSUM.start]) + 8 * u64::from(b' ') + sum(&block[CHECKSUM.end..])
}
