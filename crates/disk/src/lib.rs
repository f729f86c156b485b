//! Disk images: EFI system partitions and partition tables.

pub mod esp;
pub mod esp_line;
pub mod fstab;
pub mod gpt;
pub mod mbr;
pub mod mkfs;
pub mod populate;
pub mod sparse;
pub mod window;
