//! A directory in, a bootable Alpine Linux machine out.

pub mod digest;
pub mod layer;
pub mod sandbox;
