//! A directory in, a bootable Alpine Linux machine out.

pub mod arch;
pub mod digest;
pub mod layer;
pub mod sandbox;
pub mod ship;
