//! Where an image goes once it is made.

pub mod vm;
