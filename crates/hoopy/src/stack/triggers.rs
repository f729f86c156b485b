//! Which triggers fire: on a fresh install, every directory that a pattern matches has changed.

use std::collections::BTreeSet;

use super::Stack;

/// Packages whose triggers and scripts make an image for another way of booting: an initramfs or a boot
/// loader's menu. This system has no use for them, and they need what a sandbox has not.
const UNWANTED: [&str; 5] = ["mkinitfs", "grub", "syslinux", "dracut", "booster"];

/// Whether the scripts of the package `name` are left alone.
pub fn is_unwanted(name: &str) -> bool {
    UNWANTED.iter().any(|u| name == *u || name.strip_prefix(u).is_some_and(|rest| rest.starts_with('-')))
}

/// The directories, absolute and sorted, that `patterns` match.
pub fn matching(patterns: &[String], stack: &Stack) -> Vec<Vec<u8>> {
    let mut matched = BTreeSet::new();
    for (path, entry, _) in stack.tree.iter().filter(|(_, e, _)| e.is_dir()) {
        let absolute = [b"/", entry.path.as_bytes()].concat();
        if patterns.iter().any(|p| glob(p.as_bytes(), &absolute)) {
            matched.insert([b"/", path.as_bytes()].concat());
        }
    }
    matched.into_iter().collect()
}

/// fnmatch(3) with FNM_PATHNAME, for `*`, `?` and plain bytes: all that package recipes use. Classes in
/// brackets are matched as they stand.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text) || text.split_first().is_some_and(|(&c, more)| c != b'/' && glob(pattern, more))
        }
        (Some((b'?', rest)), Some((&c, more))) => c != b'/' && glob(rest, more),
        (Some((p, rest)), Some((c, more))) => p == c && glob(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stops_at_a_slash() {
        assert!(glob(b"/lib/modules/*", b"/lib/modules/6.18.56-0-virt"));
        assert!(!glob(b"/lib/modules/*", b"/lib/modules/6.18.56-0-virt/kernel"));
        assert!(!glob(b"/lib/modules/*", b"/lib/modules"));
        assert!(glob(b"/usr/lib/*/gdk-pixbuf-?.0", b"/usr/lib/x/gdk-pixbuf-2.0"));
    }

    #[test]
    fn boot_loaders_and_initramfs_makers_are_unwanted() {
        assert!(is_unwanted("mkinitfs") && is_unwanted("grub-efi") && is_unwanted("syslinux"));
        assert!(!is_unwanted("grubby") && !is_unwanted("busybox"));
    }
}
