//! Which triggers fire: on a fresh install, every directory that a pattern matches has changed.

use std::collections::BTreeSet;

use hoopy_base::glob;

use super::Stack;

/// Packages whose triggers and scripts make an image for another way of booting: an initramfs or a boot
/// loader's menu. This system has no use for them, and they need what a sandbox has not.
const UNWANTED: [&str; 5] = ["mkinitfs", "grub", "syslinux", "dracut", "booster"];

/// Whether the scripts of the package `name` are left alone.
pub fn is_unwanted(name: &str) -> bool {
    UNWANTED.iter().any(|u| name == *u || name.strip_prefix(u).is_some_and(|rest| rest.starts_with('-')))
}

/// The directories, absolute and sorted, that `patterns` match. In them `*`, `?` and plain bytes are all that package
/// recipes use; classes in brackets are matched as they stand.
pub fn matching(patterns: &[String], stack: &Stack) -> Vec<Vec<u8>> {
    let mut matched = BTreeSet::new();
    for (path, entry, _) in stack.tree.iter().filter(|(_, e, _)| e.is_dir()) {
        let absolute = [b"/", entry.path.as_bytes()].concat();
        if patterns.iter().any(|p| glob::path(p.as_bytes(), &absolute)) {
            matched.insert([b"/", path.as_bytes()].concat());
        }
    }
    matched.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_loaders_and_initramfs_makers_are_unwanted() {
        assert!(is_unwanted("mkinitfs") && is_unwanted("grub-efi") && is_unwanted("syslinux"));
        assert!(!is_unwanted("grubby") && !is_unwanted("busybox"));
    }
}
