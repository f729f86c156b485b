//! Names of images: `images/NAME-YYYYMMDDNN.efi`, counted up within a day.
//!
//! Versions have ten digits, always: systemd-boot compares them as numbers, so one with eleven would be newer than all
//! of the days to come. After the 99th image of a day comes number 00 of the next one, and what is built then goes on
//! from there.

use std::fs;
use std::path::{Path, PathBuf};

/// The last number that two digits can count.
const LAST: u32 = 99;

/// The version of an image: a day, and a counter within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `YYYYMMDD`.
    pub day: String,
    /// Up to 99; from 1, or from 0 where the day before ran over.
    pub counter: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:02}", self.day, self.counter)
    }
}

impl Version {
    /// The version after those of `name` in `images`, on `day`: newer than every one of them, also where one is of a
    /// later day.
    pub fn next(images: &Path, name: &str, day: &str) -> Self {
        let later = all(images, name).into_iter().filter(|(version, _)| version.day.as_str() >= day);
        let next = later.filter_map(|(version, _)| version.after()).max();
        next.unwrap_or_else(|| Self { day: day.to_owned(), counter: 1 })
    }

    /// The next one; none after the last that there is.
    fn after(&self) -> Option<Self> {
        if self.counter < LAST {
            return Some(Self { day: self.day.clone(), counter: self.counter + 1 });
        }
        // Not always a day of the calendar, which nothing asks for
        let day = self.day.parse::<u32>().ok()? + 1;
        Some(Self { day: format!("{day:08}"), counter: 0 }).filter(|next| next.day.len() == self.day.len())
    }

    fn parse(text: &str) -> Option<Self> {
        let (day, counter) = text.split_at_checked(8)?;
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let fits = digits(day) && digits(counter) && counter.len() == 2;
        Some(Self { day: day.to_owned(), counter: counter.parse().ok()? }).filter(|_| fits)
    }
}

/// The newest image of `name` in `images`.
pub fn latest(images: &Path, name: &str) -> Option<PathBuf> {
    all(images, name)
        .into_iter()
        .filter(|(_, path)| path.extension().is_some_and(|e| e == "efi"))
        .max()
        .map(|(_, p)| p)
}

fn all(images: &Path, name: &str) -> Vec<(Version, PathBuf)> {
    let version = |path: &Path| {
        let stem = path.file_name()?.to_str()?.split('.').next()?;
        Version::parse(stem.strip_prefix(name)?.strip_prefix('-')?)
    };
    let entries = fs::read_dir(images).into_iter().flatten().flatten().map(|e| e.path());
    entries.filter_map(|path| Some((version(&path)?, path))).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::cmp::Ordering;

    use hoopy_boot::version::compare;

    use super::*;

    /// The version after these.
    fn next(there: &[&str], day: &str) -> String {
        let images = tempfile::tempdir().unwrap();
        for version in there {
            fs::write(images.path().join(format!("nas-{version}.efi")), "").unwrap();
        }
        Version::next(images.path(), "nas", day).to_string()
    }

    #[test]
    fn images_of_a_day_are_counted() {
        assert_eq!(next(&[], "20261128"), "2026112801");
        assert_eq!(next(&["2026112802", "2026112705", "x"], "20261128"), "2026112803");
    }

    #[test]
    fn the_hundredth_image_of_a_day_is_no_newer_than_the_first_of_tomorrow() {
        let hundredth = next(&["2026112899"], "20261128");
        assert_eq!(hundredth, "2026112900");
        let tomorrow = next(&["2026112899", &hundredth], "20261129");
        assert_eq!(compare(&tomorrow, &hundredth), Ordering::Greater);
    }

    #[test]
    fn every_image_of_a_busy_year_is_newer_than_the_one_before_it() {
        let mut last = Version { day: "20261231".to_owned(), counter: 1 };
        for _ in 0..1000 {
            let next = last.after().unwrap();
            let (text, before) = (next.to_string(), last.to_string());
            assert_eq!((text.len(), compare(&text, &before)), (10, Ordering::Greater), "{before} {text}");
            last = next;
        }
        assert_eq!(compare("2027010101", &last.to_string()), Ordering::Greater);
        assert_eq!(Version { day: "99999999".to_owned(), counter: 99 }.after(), None);
    }

    #[test]
    fn an_image_is_newer_than_one_that_a_wrong_clock_made() {
        assert_eq!(next(&["2027010101"], "20261128"), "2027010102");
        assert_eq!(next(&["9999999999"], "20261128"), "2026112801");
    }
}
