//! Where an image goes once it is made.

pub mod deploy;
pub mod disk;
pub mod flash;
pub mod fstab;
pub mod mirror;
pub mod mkfs;
mod sparse;
pub mod trial;
pub mod vm;
