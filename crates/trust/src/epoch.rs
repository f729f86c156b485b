//! The epoch of a system's images: a number in `trust/epoch`, which only goes up.
//!
//! A machine that has booted an image of an epoch well does not open its secrets for images of earlier ones any more. Where there
//! is no such file, images are of epoch 0.

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::input::read_up_to;

/// The file, below the system directory.
pub const FILE: &str = "trust/epoch";

/// The last epoch.
pub const LAST: u32 = 9999;

/// A number, and whatever an editor puts behind it.
const MAX_FILE: u64 = 64;

/// An epoch that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a number.
    #[error("{}: expected a number from 1 to {LAST}, found {found:?}", .path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
    },
}

/// The epoch of the system directory `dir`.
///
/// # Errors
/// [`EpochError`].
pub fn read(dir: &Path) -> Result<u32, EpochError> {
    let path = dir.join(FILE);
    let text = match read_up_to(&path, MAX_FILE) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(EpochError::Read { path, source }),
    };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(epoch) if is_number && (1..=LAST).contains(&epoch) => Ok(epoch),
        Ok(_) | Err(_) => Err(EpochError::NotANumber { path, found: text }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_epoch_is_a_number_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), 0);
        std::fs::create_dir(dir.path().join("trust")).unwrap();
        for (text, expected) in [("1", 1), ("2\n", 2), (" 17\r\n", 17), ("9999", LAST)] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(read(dir.path()).unwrap(), expected);
        }
        for text in ["", "0", "-1", "+1", "10000", "1 2", "two", "99999999999", &"1".repeat(100)] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let refusal = read(dir.path()).unwrap_err().to_string();
            assert!(refusal.contains("trust/epoch: "), "{refusal}");
        }
    }
}
