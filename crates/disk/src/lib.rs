//! Disk images: EFI system partitions and partition tables.
