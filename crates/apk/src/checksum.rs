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
    let mut room = [0; 48];
    let room = room.get_mut(..BASE64.decode_len(text.len()).ok()?)?;
    let length = BASE64.decode_mut(text.as_bytes(), room).ok()?;
    room.get(..length)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_checksum_is_read_as_it_is_written() {
        for checksum in [Checksum::Sha1([7; 20]), Checksum::Sha256([0xfb; 32])] {
            assert_eq!(checksum.to_string().parse::<Checksum>().unwrap(), checksum);
        }
    }

    #[test]
    fn refuses_what_is_no_digest_of_its_length() {
        let whole = Checksum::Sha1([0; 20]).to_string();
        let long = Checksum::Sha256([0; 32]).to_string().replace("Q2", "Q1");
        let (short, changed) = (whole.replace("AAAA", ""), whole.replace("A=", "B="));
        let endless = format!("Q1{}", "A".repeat(4096));
        for text in ["", "Q1", "Q1=", "Q3AAAA", "Qä", &*long, &*short, &*changed, &*endless] {
            assert!(text.parse::<Checksum>().is_err(), "{text}");
        }
    }
}
