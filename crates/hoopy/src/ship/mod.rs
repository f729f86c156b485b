//! Where an image goes once it is made.

pub mod deploy;
pub mod mirror;
pub mod vm;
