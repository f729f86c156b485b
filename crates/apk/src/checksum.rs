//! The checksums of apk, as texts: `Q1` and base64 of a SHA-1, `Q2` and base64 of a SHA-256.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::record::Checksum;

/// A text that is no checksum.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0:?} is not a checksum: expected Q1 or Q2 and base64")]
pub struct BadChecksum(String);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha1(bytes) => write!(f, "Q1{}", BASE64.encode(bytes)),
            Self::Sha256(bytes) => write!(f, "Q2{}", BASE64.encode(bytes)),
        }
    }
}

impl Checksum {
    /// How it is written in a file name: `X1` or `X2` and hexadecimal digits, since base64 has slashes.
    pub fn file_part(&self) -> String {
        match self {
            Self::Sha1(bytes) => format!("X1{}", data_encoding::HEXLOWER.encode(bytes)),
            Self::Sha256(bytes) => format!("X2{}", data_encoding::HEXLOWER.encode(bytes)),
        }
    }
}

impl FromStr for Checksum {
    type Err = BadChecksum;

    fn from_str(text: &str) -> Result<Self, BadChecksum> {
        let parsed = match text.split_at_checked(2) {
            Some(("Q1", rest)) => decode(rest).map(Self::Sha1),
            Some(("Q2", rest)) => decode(rest).map(Self::Sha256),
            _ => None,
        };
        parsed.ok_or_else(|| BadChecksum(text.chars().take(80).collect()))
    }
}

/// So many bytes of base64, without asking for memory: an index has tens of thousands.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if let Some(digest) = decode_plain(text.as_bytes()) {
        return Some(digest);
    }
    let mut room = [0; 48];
    let room = room.get_mut(..BASE64.decode_len(text.len()).ok()?)?;
    let length = BASE64.decode_mut(text.as_bytes(), room).ok()?;
    room.get(..length)?.try_into().ok()
}

/// What a base64 character stands for; what is none has the two highest bits.
const SIX_BITS: [u8; 256] = {
    let mut bits = [0xff; 256];
    let mut letter = 0;
    while letter < 26 {
        bits[b'A' as usize + letter] = letter as u8;
        bits[b'a' as usize + letter] = 26 + letter as u8;
        letter += 1;
    }
    let mut digit = 0;
    while digit < 10 {
        bits[b'0' as usize + digit] = 52 + digit as u8;
        digit += 1;
    }
    bits[b'+' as usize] = 62;
    bits[b'/' as usize] = 63;
    bits
};

/// What ends in one `=`, as the digests of 20 and of 32 bytes do; `None` where there is more to it.
fn decode_plain<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let text = text.strip_suffix(b"=").filter(|text| text.len() == N.div_ceil(3) * 4 - 1)?;
    let (mut digest, mut wrong) = ([0; N], 0);
    for (three, four) in digest.chunks_mut(3).zip(text.chunks(4)) {
        let mut bits = 0_u32;
        for (place, character) in four.iter().enumerate() {
            let six = SIX_BITS.get(usize::from(*character)).copied().unwrap_or(0xff);
            wrong |= six;
            bits |= u32::from(six & 0x3f) << (26 - 6 * place);
        }
        // What is left over of the last character says nothing, and must not seem to.
        wrong |= if three.len() == 2 && bits & 0xffff != 0 { 0xff } else { 0 };
        three.copy_from_slice(bits.to_be_bytes().get(..three.len())?);
    }
    (wrong & 0xc0 == 0).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_any_reader_of_base64_reads_them() {
        let mut random = 1_u64;
        for round in 0..20_000 {
            let bytes: [u8; 32] = std::array::from_fn(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            });
            let length = if round % 2 == 0 { 20 } else { 32 };
            let mut text = BASE64.encode(&bytes[..length]).into_bytes();
            if round % 4 > 1 {
                let place = usize::from(bytes[0]) % text.len();
                text[place] = bytes[1] & 0x7f;
            }
            let expected = BASE64.decode(&text).ok();
            let (twenty, all) = (decode_plain::<20>(&text), decode_plain::<32>(&text));
            let found = twenty.map(Vec::from).or(all.map(Vec::from));
            // It may leave one for the other to read, but not read it differently.
            assert!(found.is_none() || found == expected, "{text:?}");
            assert!(found.is_some() || round % 4 > 1, "{text:?}");
        }
    }
}
