//! GUIDs as partition tables hold them: the first three fields little-endian (UEFI specification 2.10, appendix A).

use std::fmt;

/// A GUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid {
    a: u32,
    b: u16,
    c: u16,
    d: [u8; 8],
}

impl Guid {
    /// The GUID whose text is made of these fields: `a-b-c-d`, the last two groups of the text being `d`.
    pub const fn new(a: u32, b: u16, c: u16, d: u64) -> Self {
        Self { a, b, c, d: d.to_be_bytes() }
    }

    /// A GUID of version 8 (RFC 9562, 5.8) out of bytes that stand for something: a digest's first.
    pub fn derived(bytes: [u8; 16]) -> Self {
        let n = u128::from_be_bytes(bytes);
        let field = |shift: u32| (n >> shift) as u64;
        let (a, b, c) = (field(96) as u32, field(80) as u16, field(64) as u16);
        let variant = (field(0) & !(0b11 << 62)) | (0b10 << 62);
        Self::new(a, b, (c & 0x0fff) | 0x8000, variant)
    }

    /// As it lies on a disk.
    pub fn bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        let parts = [&self.a.to_le_bytes()[..], &self.b.to_le_bytes(), &self.c.to_le_bytes(), &self.d];
        out.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        out
    }
}

/// As Linux shows it in `PARTUUID`.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = u64::from_be_bytes(self.d);
        let (high, low) = (d >> 48, d & 0xffff_ffff_ffff);
        write!(f, "{:08x}-{:04x}-{:04x}-{high:04x}-{low:012x}", self.a, self.b, self.c)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fields_are_little_endian_on_disk() {
        let guid = Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
        assert_eq!(guid.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        let bytes =
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        assert_eq!(guid.bytes(), bytes);
    }

    #[test]
    fn derived_ones_say_that_they_are() {
        assert_eq!(Guid::derived([0xff; 16]).to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }
}
