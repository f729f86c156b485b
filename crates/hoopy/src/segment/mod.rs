//! Segments: the pieces that an initramfs is laid end to end from.

pub mod codec;
