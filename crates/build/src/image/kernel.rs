//! Which kernel: the package that has `boot/vmlinuz-*`.

use std::collections::BTreeSet;
use std::sync::Arc;

use hoopy_base::digest::ContentId;
use hoopy_base::jobs::{Task, Urgency};
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::ImageError;
use crate::context::Context;
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

impl Kernel {
    /// The file itself, read only when it is to be written: it is the largest of an image.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(
        &self,
        ahead: Option<KernelFile>,
        stack: &Stack,
        store: &Store,
    ) -> Result<Vec<u8>, ImageError> {
        let ahead = ahead.filter(|file| file.content == self.content).and_then(|file| file.bytes.wait());
        match ahead {
            Some(bytes) => Ok(bytes),
            None => Ok(stack.read(&self.path, store)?.unwrap_or_default()),
        }
    }
}

/// The file of a package's kernel, being read while scripts run. What fails is read again when it is needed.
pub struct KernelFile {
    content: ContentId,
    bytes: Task<Option<Vec<u8>>>,
}

impl KernelFile {
    /// Begins to read the kernel that one of `packages` brings.
    pub fn begin(packages: &[Arc<Package>], context: Context<'_>) -> Option<Self> {
        let kernel = |package: &Arc<Package>| {
            let entry = package.layer.entries.iter().find(|entry| is_in_boot(entry, b"vmlinuz"))?;
            Some((Arc::clone(package), entry.clone()))
        };
        let (package, entry) = packages.iter().find_map(kernel)?;
        let Kind::File { size, content } = entry.kind else { return None };
        let store = Arc::clone(context.store);
        let read = move |_: &_| package.layer.read_file(&store, &entry.path).ok().flatten();
        Some(Self { content, bytes: context.jobs.begin(Urgency::Eventually, size, read) })
    }
}

/// Whether it is a file in `/boot` whose name begins so.
fn is_in_boot(entry: &Entry, prefix: &[u8]) -> bool {
    let name = entry.path.as_bytes().strip_prefix(b"boot/");
    matches!(entry.kind, Kind::File { .. })
        && name.is_some_and(|name| name.starts_with(prefix) && !name.contains(&b'/'))
}

/// What `uname -r` will say: as the file `image` tells, or else the directory of modules.
pub fn version(image: &[u8], stack: &Stack) -> Option<String> {
    hoopy_uki::kernel::version(image).or_else(|| modules(stack))
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
fn modules(stack: &Stack) -> Option<String> {
    let mut dirs = stack.tree.iter().filter(|(path, entry, at)| {
        entry.is_dir()
            && path.parent().is_some_and(|p| p.as_bytes() == b"lib/modules")
            && matches!(stack.origins[at.layer], Origin::Package(_) | Origin::Script(_))
    });
    dirs.next().map(|(path, _, _)| String::from_utf8_lossy(path.name()).into_owned())
}
