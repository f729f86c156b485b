//! Sizes as people write them: `512M`, `4G`, `1073741824`.

/// A text that is not a size.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a size: write a number and K, M, G or T, as 512M or 4G (powers of 1024)")]
pub struct BadSize(String);

/// Bytes meant by `text`.
///
/// # Errors
/// [`BadSize`] when it is not a number with an optional unit, or is over 2^64 bytes.
pub fn parse(text: &str) -> Result<u64, BadSize> {
    let bad = || BadSize(text.to_owned());
    let trimmed = text.trim();
    let trimmed = trimmed.strip_suffix("iB").or_else(|| trimmed.strip_suffix('B')).unwrap_or(trimmed);
    let unit = ["K", "M", "G", "T"]
        .iter()
        .zip(1u32..)
        .find_map(|(unit, power)| trimmed.strip_suffix(unit).map(|number| (number, 1024u64.pow(power))));
    let (number, factor) = unit.unwrap_or((trimmed, 1));
    number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|&n| n > 0).ok_or_else(bad)
}

/// `bytes` for people: three digits and a unit (`38.2 MB`, decimal as disks and downloads are counted).
pub fn show(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} B"),
        (_, v) if v < 10.0 => format!("{v:.2} {}", UNITS[unit]),
        (_, v) if v < 100.0 => format!("{v:.1} {}", UNITS[unit]),
        (_, v) => format!("{v:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_in_powers_of_1024() {
        assert_eq!(parse("512M").ok(), Some(512 << 20));
        assert_eq!(parse("4 GiB").ok(), Some(4 << 30));
        assert_eq!(parse("1048576").ok(), Some(1 << 20));
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in ["", "M", "-1G", "1.5G", "0", "99999999999T"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn shows_three_digits() {
        assert_eq!(show(999), "999 B");
        assert_eq!(show(38_212_345), "38.2 MB");
        assert_eq!(show(50_499), "50.5 kB");
        assert_eq!(show(1_230_000_000), "1.23 GB");
    }
}
