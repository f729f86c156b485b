//! Where an image goes once it is made.

pub mod mirror;
pub mod trial;
pub mod vm;
