//! Which packages are kernels. Import asks it of names, before a package is there; export of what was built.

use std::collections::BTreeSet;

use hoopy_apk::Record;
use hoopy_build::stack::{Origin, Stack};
use hoopy_store::layer::Kind;

/// What the names of all kernels begin with, and those of firmware, headers and modules for PAM as well.
const PREFIX: &str = "linux-";

/// The flavors of kernels that Alpine has or had.
const FLAVORS: [&str; 23] = [
    "lts",
    "virt",
    "stable",
    "edge",
    "edge4virt",
    "rpi",
    "rpi2",
    "rpi4",
    "asahi",
    "elm",
    "gru",
    "grsec",
    "hardened",
    "jh7100",
    "octeon",
    "openpax",
    "pinephone",
    "qcom",
    "starfive",
    "vanilla",
    "virtgrsec",
    "virthardened",
    "zen",
];

/// What kernels of Alpine's ask for: something that makes an initramfs for them.
const INITRAMFS: &str = "initramfs-generator";

/// The name of a kernel's package, of its flavor or name.
pub fn package(flavor: &str) -> String {
    format!("{PREFIX}{}", flavor.strip_prefix(PREFIX).unwrap_or(flavor))
}

/// The flavor of the package `name`; nothing where the name is that of no kernel.
pub fn flavor(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|flavor| FLAVORS.contains(flavor))
}

/// The package that a line of `packages` or of the world asks for.
pub fn name_of(line: &str) -> &str {
    line.split(['=', '<', '>', '~', '@']).next().unwrap_or_default()
}

/// Whether `record` is a kernel: by its name, or by what it needs. Whoever makes one of their own begins with Alpine's.
pub fn is_kernel(record: &Record) -> bool {
    let needs = || record.depends.iter().any(|dependency| &*dependency.name == INITRAMFS);
    flavor(&record.name).is_some() || record.name.starts_with(PREFIX) && needs()
}

/// The names of the packages in `stack` that have a kernel, `boot/vmlinuz-*`.
pub fn in_stack(stack: &Stack) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (layer, origin) in stack.iter() {
        let Origin::Package(package) = origin else { continue };
        let is_kernel = |path: &[u8]| path.starts_with(b"boot/vmlinuz");
        let mut files = layer.entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }));
        if files.any(|entry| is_kernel(entry.path.as_bytes())) {
            names.insert(package.record.name.to_string());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_like_a_kernel_is_none() {
        for name in [
            "linux-tools",
            "linux-pam",
            "linux-headers",
            "linux-firmware",
            "linux-firmware-none",
            "linux-lts-dev",
        ] {
            assert_eq!(flavor(name), None, "{name}");
        }
        assert_eq!(flavor("linux-virt"), Some("virt"));
        assert_eq!(name_of("linux-lts@edge=6"), "linux-lts");
        assert_eq!((package("virt").as_str(), package("linux-virt").as_str()), ("linux-virt", "linux-virt"));
    }
}
