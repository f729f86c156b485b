//! Which kernel: the package that has `boot/vmlinuz-*`.

use std::collections::BTreeSet;

use super::ImageError;
use crate::layer::{EntryPath, Kind};
use crate::stack::{Origin, Stack};
use crate::store::Store;

/// The kernel of a stack.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its package, with version.
    pub package: String,
    /// The file.
    pub image: Vec<u8>,
    /// Its configuration (`CONFIG_…=y` lines), where the package has it.
    pub config: Option<String>,
    /// What `uname -r` will say, where the file tells.
    pub version: Option<String>,
}

/// Finds the one kernel of `stack`.
///
/// # Errors
/// [`ImageError::NoKernel`] or [`ImageError::TwoKernels`].
pub fn find(stack: &Stack, store: &Store) -> Result<Kernel, ImageError> {
    let boot = |prefix: &'static [u8]| {
        stack.tree.iter().filter(move |(path, entry, _)| {
            path.parent().is_some_and(|p| p.as_bytes() == b"boot")
                && path.name().starts_with(prefix)
                && matches!(entry.kind, Kind::File { .. })
        })
    };
    let kernels: Vec<(&EntryPath, String)> =
        boot(b"vmlinuz").map(|(path, _, at)| (path, stack.origins[at.layer].label())).collect();
    let packages: BTreeSet<&String> = kernels.iter().map(|(_, package)| package).collect();
    let (path, package) = match (kernels.first(), packages.len()) {
        (None, _) => return Err(ImageError::NoKernel),
        (Some(first), 1) => first,
        _ => return Err(ImageError::TwoKernels(packages.into_iter().cloned().collect())),
    };
    let image = stack.read(path, store)?.unwrap_or_default();
    let config = boot(b"config-").next().map(|(path, _, _)| path.clone());
    let config = config.map(|path| stack.read(&path, store)).transpose()?.flatten();
    let version = hoopy_uki::kernel::version(&image).or_else(|| modules(stack));
    Ok(Kernel {
        package: package.clone(),
        image,
        config: config.map(|c| String::from_utf8_lossy(&c).into_owned()),
        version,
    })
}

/// The version, by the directory of modules that the kernel's package brings.
fn modules(stack: &Stack) -> Option<String> {
    let mut dirs = stack.tree.iter().filter(|(path, entry, at)| {
        entry.is_dir()
            && path.parent().is_some_and(|p| p.as_bytes() == b"lib/modules")
            && matches!(stack.origins[at.layer], Origin::Package(_) | Origin::Script(_))
    });
    dirs.next().map(|(path, _, _)| String::from_utf8_lossy(path.name()).into_owned())
}
