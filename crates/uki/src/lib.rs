//! Unified kernel images: PE files with a kernel, an initramfs and a command line inside.
