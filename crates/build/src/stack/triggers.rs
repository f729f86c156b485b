//! Which triggers fire: on a fresh install, every directory that a pattern matches has changed; after `root/` and
//! `programs`, those that have something of them.

use std::collections::BTreeSet;
use std::ops::Range;

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

/// Of the directories that `patterns` match, those in which something of these `layers` of the stack lies at any depth:
/// what was laid there after the triggers ran is unknown to whatever they made.
pub fn matching_again(patterns: &[String], stack: &Stack, layers: Range<usize>) -> Vec<Vec<u8>> {
    if patterns.is_empty() {
        return Vec::new();
    }
    let upper = stack.tree.layers().get(layers).unwrap_or_default();
    let mut touched = BTreeSet::new();
    for entry in upper.iter().flat_map(|layer| layer.entries.iter()).filter(|e| !e.is_dir()) {
        let mut above = entry.path.parent();
        while let Some(dir) = above {
            above = dir.parent();
            if !touched.insert([b"/", dir.as_bytes()].concat()) {
                break;
            }
        }
    }
    let mut matching = matching(patterns, stack);
    matching.retain(|dir| touched.contains(dir));
    matching
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
