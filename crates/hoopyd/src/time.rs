//! A time as the names of backups have it: `20261129T010203Z`.

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A time in seconds since 1970, in UTC.
pub fn stamp(seconds: u64) -> String {
    let (mut days, rest) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z", days + 1)
}

/// Whether a text is such a time.
pub fn is_stamp(text: &str) -> bool {
    text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_days(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // `date -u -d @N +%Y%m%dT%H%M%SZ`
        let cases =
            [(0, "19700101T000000Z"), (951_782_400, "20000229T000000Z"), (1_795_914_123, "20261129T010203Z")];
        for (seconds, text) in cases {
            assert_eq!(stamp(seconds), text);
            assert!(is_stamp(text));
        }
        assert!(!is_stamp("20261129T0102030") && !is_stamp("latest"));
    }
}
