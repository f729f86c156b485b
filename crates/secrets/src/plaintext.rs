//! What a secret holds: bytes that are overwritten when they are dropped, and never shown.

use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

/// What a secret holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads at most `limit` bytes. The room for them is made at once: a vector that grew would leave copies behind.
    ///
    /// # Errors
    /// What reading fails with; [`io::ErrorKind::FileTooLarge`] where there are more.
    pub fn read(input: impl Read, limit: usize) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(READ_AHEAD)));
        input.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `read_to_end` wants some room more to see that there is nothing left.
const READ_AHEAD: usize = 64;

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_holds_is_not_shown() {
        assert_eq!(format!("{:?}", Plaintext::new(b"hunter2".to_vec())), "Plaintext(..)");
    }

    #[test]
    fn reading_never_moves_the_bytes_and_stops_at_the_limit() {
        let held = Plaintext::read(&[7; 1000][..], 1000).unwrap();
        assert_eq!(held.0.capacity(), 1000 + READ_AHEAD);
        assert_eq!(Plaintext::read(&[7; 1001][..], 1000).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
