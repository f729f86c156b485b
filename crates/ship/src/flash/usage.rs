//! What a block device is in use for.

use serde::Serialize;

/// Mount points that the running system cannot do without.
const SYSTEM: [&str; 6] = ["/", "/boot", "/boot/efi", "/efi", "/usr", "/var"];

/// A partition in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    /// The partition, the device itself, or what is made of them: `sdb1`, `dm-0`.
    pub name: String,
    /// For what.
    pub purpose: Purpose,
}

/// What for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Purpose {
    /// It is mounted there.
    Mounted(String),
    /// It is swap.
    Swap,
    /// It is part of another device, which is not in use itself: `dm-0`, `md0`.
    Held(String),
}

impl Use {
    /// Whether the running system needs it.
    pub fn is_system(&self) -> bool {
        match &self.purpose {
            Purpose::Mounted(point) => SYSTEM.contains(&&**point),
            Purpose::Swap => true,
            Purpose::Held(_) => false,
        }
    }
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.purpose {
            Purpose::Mounted(point) => write!(f, "{} is mounted on {point}", self.name),
            Purpose::Swap => write!(f, "{} is swap", self.name),
            Purpose::Held(by) => write!(f, "{} is part of {by}", self.name),
        }
    }
}
