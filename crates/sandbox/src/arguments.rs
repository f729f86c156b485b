//! The arguments with which hoopy starts itself as a helper.

/// The first argument of a helper.
pub const MARK: &str = "__sandbox";

/// The second argument of the helper of a session.
pub(super) const SESSION: &str = "session";

/// The second argument of the helper that removes control groups in the end.
pub(super) const KEEPER: &str = "groups";
