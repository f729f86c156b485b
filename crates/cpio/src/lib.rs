//! The newc archive that the Linux kernel unpacks as its initramfs.
