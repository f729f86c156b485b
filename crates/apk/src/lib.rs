//! Alpine packages: versions, indexes, packages, signatures, resolution.

pub mod dependency;
pub mod record;
pub mod solve;
pub mod version;

pub use dependency::{Dependency, Op, ParseDependencyError};
pub use record::{Checksum, Record};
pub use version::Version;
