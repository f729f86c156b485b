//! What is in an image, how images, locks, git revisions and machines differ, and what a running machine has drifted to.

pub mod diff;
pub mod drift;
pub mod image;
