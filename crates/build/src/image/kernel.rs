//! Which kernel: the package that has `boot/vmlinuz-*`.

use std::collections::BTreeSet;

use hoopy_base::digest::ContentId;
use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::ImageError;
use crate::stack::{Origin, Stack};

/// The kernel of a stack.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its package, with version.
    pub package: String,
    /// Where it is.
    pub path: EntryPath,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub content: ContentId,
    /// Its configuration (`CONFIG_…=y` lines), where the package has it.
    pub config: Option<String>,
}

/// Whether it is a file in `/boot` whose name begins so.
pub(super) fn is_in_boot(entry: &Entry, prefix: &[u8]) -> bool {
    let name = entry.path.as_bytes().strip_prefix(b"boot/");
    matches!(entry.kind, Kind::File { .. })
        && name.is_some_and(|name| name.starts_with(prefix) && !name.contains(&b'/'))
}

/// Finds the one kernel of `stack`.
///
/// # Errors
/// [`ImageError::NoKernel`] or [`ImageError::TwoKernels`].
pub fn find(stack: &Stack, store: &Store) -> Result<Kernel, ImageError> {
    let boot =
        |prefix: &'static [u8]| stack.tree.iter().filter(move |(_, entry, _)| is_in_boot(entry, prefix));
    let kernels: Vec<Kernel> = boot(b"vmlinuz")
        .filter_map(|(path, entry, at)| {
            let Kind::File { size, content } = entry.kind else { return None };
            let package = stack.origins[at.layer].label();
            Some(Kernel { package, path: path.clone(), size, content, config: None })
        })
        .collect();
    let packages: BTreeSet<&String> = kernels.iter().map(|kernel| &kernel.package).collect();
    let kernel = match (kernels.first(), packages.len()) {
        (None, _) => return Err(ImageError::NoKernel),
        (Some(first), 1) => first.clone(),
        _ => return Err(ImageError::TwoKernels(packages.into_iter().cloned().collect())),
    };
    let config = boot(b"config-").next().map(|(path, _, _)| path.clone());
    let config = config.map(|path| stack.read(&path, store)).transpose()?.flatten();
    let config = config.map(|c| String::from_utf8_lossy(&c).into_owned());
    Ok(Kernel { config, ..kernel })
}

/// The version, by the directory of modules that the kernel's package brings.
pub(super) fn modules(stack: &Stack) -> Option<String> {
    let mut dirs = stack.tree.iter().filter(|(path, entry, at)| {
        entry.is_dir()
            && path.parent().is_some_and(|p| p.as_bytes() == b"lib/modules")
            && matches!(stack.origins[at.layer], Origin::Package(_) | Origin::Script(_))
    });
    dirs.next().map(|(path, _, _)| String::from_utf8_lossy(path.name()).into_owned())
}
