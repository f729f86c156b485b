//! `hoopy.lock`: the exact packages of a system, and how two locks differ. Nothing here chooses packages.

mod change;
mod file;

pub use change::{Change, ImageChange, changes, image_changes};
pub use file::{Lock, LockError, LockedImage, LockedPackage, LockedRepository, Role};
