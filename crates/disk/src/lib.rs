//! Disk images: EFI system partitions and partition tables.

pub mod esp;
pub mod gpt;
mod window;
