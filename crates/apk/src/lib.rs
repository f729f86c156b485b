//! Alpine packages: versions, indexes, packages, signatures, resolution.

pub mod adb;
pub mod catalogue;
mod checksum;
pub mod dependency;
mod gzip;
pub mod index;
pub mod installed;
mod key;
pub mod package;
pub mod record;
pub mod resolve;
pub mod signature;
pub mod stanza;
pub mod tar;
pub mod version;

pub use checksum::BadChecksum;
pub use dependency::Dependency;
pub use record::{Checksum, Record};
pub use version::{Op, Version};
