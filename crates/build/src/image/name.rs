//! Names of images: `images/NAME-YYYYMMDDNN.efi`, counted up within a day.

use std::fs;
use std::path::{Path, PathBuf};

/// The version of an image: a day, and a counter within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `YYYYMMDD`.
    pub day: String,
    /// From 1.
    pub counter: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:02}", self.day, self.counter)
    }
}

impl Version {
    /// The version after those of `name` in `images`, on `day`.
    pub fn next(images: &Path, name: &str, day: &str) -> Self {
        let last = all(images, name).into_iter().filter(|(v, _)| v.day == day).map(|(v, _)| v.counter).max();
        Self { day: day.to_owned(), counter: last.unwrap_or(0) + 1 }
    }

    fn parse(text: &str) -> Option<Self> {
        let (day, counter) = text.split_at_checked(8)?;
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let fits = digits(day) && digits(counter) && counter.len() >= 2;
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
