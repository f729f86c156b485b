//! Sizes as people write them and read them: `512M`, `4GiB`, `500MB`.

/// The units by their letter, and the power of 1024 or 1000 that each is.
const UNITS: [(char, u32); 4] = [('K', 1), ('M', 2), ('G', 3), ('T', 4)];

/// A text that is not a size.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a size: expected a whole number with a unit, such as 512M or 4GiB (powers of 1024) or 500MB (powers of 1000)"
)]
pub struct BadSize(String);

/// Bytes meant by `text`: `512M` and `512MiB` are 512 times 1024², `512MB` is 512 times 1000².
///
/// # Errors
/// [`BadSize`] when it is not a number with an optional unit, or is over 2^64 bytes.
pub fn parse(text: &str) -> Result<u64, BadSize> {
    let bad = || BadSize(text.to_owned());
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let factor = factor(unit.trim_start()).ok_or_else(bad)?;
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|&n| n > 0).ok_or_else(bad)
}

/// How many bytes a unit stands for; none and `B` are bytes. Capitals do not matter: nobody means millibytes.
fn factor(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_uppercase();
    let mut rest = unit.chars();
    let Some(letter) = rest.next().filter(|letter| *letter != 'B') else {
        return unit.strip_prefix('B').unwrap_or(&unit).is_empty().then_some(1);
    };
    let (_, power) = UNITS.iter().find(|(name, _)| *name == letter)?;
    match rest.as_str() {
        "" | "IB" => Some(1024u64.pow(*power)),
        "B" => Some(1000u64.pow(*power)),
        _ => None,
    }
}

/// `bytes` for people: about three digits and a unit of powers of 1024, as `38.2 MiB`. What is shown can be typed.
pub fn show(bytes: u64) -> String {
    const SHOWN: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be shown as 1024 is 1 of the next unit.
    while value >= 1023.5 && unit + 1 < SHOWN.len() {
        value /= 1024.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} B"),
        (_, v) if v < 9.995 => format!("{v:.2} {}", SHOWN[unit]),
        (_, v) if v < 99.95 => format!("{v:.1} {}", SHOWN[unit]),
        (_, v) => format!("{v:.0} {}", SHOWN[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_unit_as_what_it_says() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("512MiB", 512 << 20),
            ("512 MiB", 512 << 20),
            ("512MB", 512_000_000),
            ("512 mb", 512_000_000),
            ("4 GiB", 4 << 30),
            ("4g", 4 << 30),
            ("1kB", 1000),
            ("1K", 1024),
            ("2T", 2 << 40),
            ("1048576", 1 << 20),
            ("1048576 B", 1 << 20),
        ] {
            assert_eq!(parse(text).ok(), Some(bytes), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in ["", "M", "-1G", "1.5G", "0", "99999999999T", "1BB", "1 X", "1iB", "5Mi", "B", "1 M B"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn shows_three_digits_of_powers_of_1024() {
        assert_eq!(show(999), "999 B");
        assert_eq!(show(1023), "1023 B");
        assert_eq!(show(1024), "1.00 KiB");
        assert_eq!(show(38_212_345), "36.4 MiB");
        assert_eq!(show(512 << 20), "512 MiB");
        assert_eq!(show((1 << 30) - 1), "1.00 GiB");
        assert_eq!(show(1_230_000_000), "1.15 GiB");
    }
}
