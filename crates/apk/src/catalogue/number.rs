//! Counts in 31 bits, and what cannot be counted so.

use super::WAITS;
use crate::resolve::MAX_REPOSITORIES;

/// Indexes that cannot be one catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// More repositories than can be told apart.
    #[error("{0} repositories, expected at most {MAX_REPOSITORIES}")]
    TooManyRepositories(usize),
    /// More names, packages or dependencies than can be numbered.
    #[error("the indexes hold more than can be numbered")]
    TooLarge,
}

/// A count of what is numbered, or of bytes: the highest bit stands for something else.
pub(super) fn number(count: usize) -> Result<u32, JoinError> {
    u32::try_from(count).ok().filter(|count| *count < WAITS).ok_or(JoinError::TooLarge)
}
