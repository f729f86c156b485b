//! Asking again where the machine changed its partition between two questions.
//!
//! Its services give an image that they find good another name, at a moment of their own. Whatever a script looks for and
//! does not find by the name that it had, it says so ([`DeployError::Gone`]) before it changes anything that starts.

use super::error::DeployError;

/// How often: names change once a boot.
const ATTEMPTS: usize = 3;

/// Does `what`, and again where a name changed meanwhile.
///
/// # Errors
/// Its error; [`DeployError::Gone`] where names change all the time.
pub(super) fn while_names_change<T>(
    mut what: impl FnMut() -> Result<T, DeployError>,
) -> Result<T, DeployError> {
    for _ in 1..ATTEMPTS {
        match what() {
            Err(DeployError::Gone { .. }) => {}
            other => return other,
        }
    }
    what()
}
