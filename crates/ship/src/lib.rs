//! Where an image goes once it is built: a disk, a stick, a machine over ssh.

pub mod deploy;
pub mod disk;
pub mod flash;
