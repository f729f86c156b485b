//! Until when a certificate is valid: as much of X.509 as that takes (RFC 5280, 4.1).

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version stands in `[0]`; a certificate of version 1 has none.
const VERSION: u8 = 0xa0;

/// What is read of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Whether it is of version 1, which TLS 1.3 is not spoken with.
    pub first_version: bool,
    /// The last second, since 1970.
    pub until: u64,
}

/// Reads it from DER; nothing where that is no certificate.
pub fn of(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (signed, _) = expect(certificate, SEQUENCE)?;
    let (first_version, rest) = match expect(signed, VERSION) {
        Some((_, rest)) => (false, rest),
        None => (true, signed),
    };
    let (_, rest) = expect(rest, INTEGER)?;
    let (_, rest) = expect(rest, SEQUENCE)?;
    let (_, rest) = expect(rest, SEQUENCE)?;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _, until) = element(validity)?;
    let (tag, text, _) = element(until)?;
    Some(Validity { first_version, until: seconds(tag, text)? })
}

/// The content of the first element, which has this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        _ if (0x81..=0x83).contains(&length) => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let at = |from: usize| rest.get(from..from + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (at(0)?, at(2)?, at(4)?, at(6)?, at(8)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March: the day that may be missing is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        for (tag, text, date) in [
            (UTC_TIME, "700101000000Z", "1970-01-01 00:00:00"),
            (UTC_TIME, "491231235959Z", "2049-12-31 23:59:59"),
            (GENERALIZED_TIME, "20240229120000Z", "2024-02-29 12:00:00"),
            (GENERALIZED_TIME, "21000301000001Z", "2100-03-01 00:00:01"),
            (GENERALIZED_TIME, "99991231235959Z", "9999-12-31 23:59:59"),
        ] {
            let out = std::process::Command::new("date").args(["-u", "-d", date, "+%s"]).output().unwrap();
            let expected: u64 = String::from_utf8(out.stdout).unwrap().trim().parse().unwrap();
            assert_eq!(seconds(tag, text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        for der in [&b""[..], b"0", b"\x30\x03\x30\x01", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff"] {
            assert_eq!(of(der), None);
        }
        for text in ["", "Z", "701301000000Z", "\u{e9}\u{e9}0101000000Z", "7001010000Z"] {
            assert_eq!(seconds(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }
}
