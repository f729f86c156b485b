//! Writing DER: nested lists of bytes. What is written here is small and has one form; crates that read DER know many.
//!
//! Source of the format: ITU-T X.690.

/// One value: its tag, the length of `parts`, and `parts` end to end.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    if let Ok(short @ 0..128) = u8::try_from(len) {
        bytes.push(short);
    } else {
        let digits = len.to_be_bytes();
        let digits: Vec<u8> = digits.into_iter().skip_while(|&digit| digit == 0).collect();
        bytes.push(0x80 | digits.len() as u8);
        bytes.extend(digits);
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// `SEQUENCE`
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(0x30, parts)
}

/// `SET OF`, whose members DER sorts.
pub fn set(members: &[&[u8]]) -> Vec<u8> {
    let mut members = members.to_vec();
    members.sort_unstable();
    value(0x31, &members)
}

/// `INTEGER`, of a number that is not negative, big-endian.
pub fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|&&digit| digit == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    // The first bit is the sign; zero itself has one digit.
    let sign: &[u8] = if digits.first().is_none_or(|digit| digit & 0x80 != 0) { &[0] } else { &[] };
    value(0x02, &[sign, digits])
}

/// `OCTET STRING`
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    value(0x04, &[bytes])
}

/// `BIT STRING`, of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], bytes])
}

/// `UTF8String`
pub fn text(text: &str) -> Vec<u8> {
    value(0x0C, &[text.as_bytes()])
}

/// `UTCTime` (`260101000000Z`)
pub fn utc_time(text: &str) -> Vec<u8> {
    value(0x17, &[text.as_bytes()])
}

/// `OBJECT IDENTIFIER`, from its encoded form.
pub fn identifier(encoded: &[u8]) -> Vec<u8> {
    value(0x06, &[encoded])
}

/// A context-specific value with other values in it: `[number] EXPLICIT`, or an implicit sequence or set.
pub fn tagged(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(0xA0 | number, parts)
}

/// A context-specific value without others in it: an implicit string.
pub fn tagged_string(number: u8, bytes: &[u8]) -> Vec<u8> {
    value(0x80 | number, &[bytes])
}

/// `NULL`
pub const NULL: &[u8] = &[0x05, 0x00];

/// `BOOLEAN TRUE`
pub const TRUE: &[u8] = &[0x01, 0x01, 0xFF];

/// `AlgorithmIdentifier` of an algorithm whose parameters are `NULL`.
pub fn algorithm(encoded: &[u8]) -> Vec<u8> {
    sequence(&[&identifier(encoded), NULL])
}

/// The identifiers that are written, encoded.
pub mod oid {
    /// 2.16.840.1.101.3.4.2.1
    pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    /// 1.2.840.113549.1.1.1
    pub const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    /// 1.2.840.113549.1.1.11
    pub const SHA256_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
    /// 1.2.840.113549.1.7.1
    pub const DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];
    /// 1.2.840.113549.1.7.2
    pub const SIGNED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
    /// 1.2.840.113549.1.9.3
    pub const CONTENT_TYPE: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x03];
    /// 1.2.840.113549.1.9.4
    pub const MESSAGE_DIGEST: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x04];
    /// 1.3.6.1.4.1.311.2.1.4
    pub const SPC_INDIRECT_DATA: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04];
    /// 1.3.6.1.4.1.311.2.1.15
    pub const SPC_PE_IMAGE_DATA: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0F];
    /// 2.5.4.3
    pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    /// 2.5.29.14
    pub const SUBJECT_KEY: &[u8] = &[0x55, 0x1D, 0x0E];
    /// 2.5.29.35
    pub const AUTHORITY_KEY: &[u8] = &[0x55, 0x1D, 0x23];
    /// 2.5.29.19
    pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        let header =
            |len: usize| octets(&vec![7; len]).into_iter().take_while(|&b| b != 7).collect::<Vec<_>>();
        assert_eq!(header(127), [4, 127]);
        assert_eq!(header(128), [4, 0x81, 128]);
        assert_eq!(header(256), [4, 0x82, 1, 0]);
    }

    #[test]
    fn integers_are_not_negative_and_have_no_zeros_in_front() {
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn members_of_a_set_are_sorted() {
        assert_eq!(set(&[&[2, 1, 9], &[2, 1, 3]]), [0x31, 6, 2, 1, 3, 2, 1, 9]);
    }
}
