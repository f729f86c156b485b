//! The file of a kernel: the largest of an image, and read only where it is to be written. What the image says of it is
//! remembered by its digest.

use std::borrow::Cow;
use std::sync::Arc;

use hoopy_base::digest::{ContentId, RecipeId};
use hoopy_base::jobs::{Task, Urgency};
use hoopy_store::Store;
use hoopy_store::layer::Kind;
use hoopy_store::layer::package::Package;
use hoopy_uki::SectionData;
use hoopy_uki::kernel::Facts;

use super::kernel::is_in_boot;
use super::{ImageError, Kernel};
use crate::context::Context;
use crate::stack::Stack;

/// Changes when [`Facts`] does.
const VERSION: &str = "hoopy facts of a kernel 1";

/// A kernel's file.
pub struct KernelFile<'a> {
    kernel: &'a Kernel,
    stack: &'a Stack,
    store: &'a Store,
    examined: Examined,
}

/// What was found out about it: where there are no facts, it is no EFI program, and its bytes are here.
struct Examined {
    facts: Option<Facts>,
    bytes: Option<Vec<u8>>,
}

/// A kernel's file that is examined while scripts run. What fails is done again when it is needed.
pub struct PendingKernelFile {
    content: ContentId,
    examined: Task<Option<Examined>>,
}

impl PendingKernelFile {
    /// Begins to look at the kernel that one of `packages` brings.
    pub fn begin(packages: &[Arc<Package>], context: Context<'_>) -> Option<Self> {
        let kernel = |package: &Arc<Package>| {
            let entry = package.layer.entries.iter().find(|entry| is_in_boot(entry, b"vmlinuz"))?;
            Some((Arc::clone(package), entry.clone()))
        };
        let (package, entry) = packages.iter().find_map(kernel)?;
        let Kind::File { size, content } = entry.kind else { return None };
        let store = Arc::clone(context.store);
        let look = move |_: &_| {
            let read = || package.layer.read_file(&store, &entry.path).ok().flatten().ok_or(());
            Examined::of(content, &store, read).ok()
        };
        Some(Self { content, examined: context.jobs.begin(Urgency::Eventually, size, look) })
    }
}

impl Examined {
    fn of<E>(
        content: ContentId,
        store: &Store,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let recipe = RecipeId::of_fields(VERSION, &[content.as_bytes()]);
        if let Some(facts) = store.recall(recipe) {
            return Ok(Self { facts: Some(facts), bytes: None });
        }
        let bytes = read()?;
        let facts = Facts::of(&bytes).ok();
        if let Some(facts) = &facts {
            // Without it the next build looks again.
            let _ = store.remember(recipe, facts);
        }
        Ok(Self { facts, bytes: Some(bytes) })
    }
}

impl Kernel {
    /// Its file, which may have been examined already.
    ///
    /// # Errors
    /// [`ImageError`] when it cannot be read.
    pub fn file<'a>(
        &'a self,
        pending: Option<PendingKernelFile>,
        stack: &'a Stack,
        store: &'a Store,
    ) -> Result<KernelFile<'a>, ImageError> {
        let done = pending.filter(|file| file.content == self.content).and_then(|file| file.examined.wait());
        let read = || Ok::<_, ImageError>(stack.read(&self.path, store)?.unwrap_or_default());
        let examined = done.map_or_else(|| Examined::of(self.content, store, read), Ok)?;
        Ok(KernelFile { kernel: self, stack, store, examined })
    }
}

impl KernelFile<'_> {
    /// What `uname -r` will say: as the file tells, or else the directory of modules.
    pub fn release(&self) -> Option<String> {
        let told = self.examined.facts.as_ref().and_then(|facts| facts.release.clone());
        told.or_else(|| super::kernel::modules(self.stack))
    }

    /// Whether it is packed into a small EFI program, which nothing but EFI firmware starts.
    pub fn is_packed(&self) -> bool {
        self.examined.facts.as_ref().is_some_and(|facts| facts.is_packed)
    }

    /// Its digest.
    pub const fn content(&self) -> ContentId {
        self.kernel.content
    }

    /// What it is in a plan.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn section(&self) -> Result<SectionData, ImageError> {
        Ok(match &self.examined.facts {
            Some(facts) => SectionData::Kernel(Box::new(facts.clone())),
            // The plan says what is wrong with it.
            None => SectionData::Bytes(self.bytes()?.into_owned()),
        })
    }

    /// Its part of the image's checksum.
    pub fn checksum(&self) -> hoopy_uki::Checksum {
        self.examined.facts.as_ref().map(|facts| facts.sum).unwrap_or_default()
    }

    /// All of it.
    ///
    /// # Errors
    /// [`ImageError`] when it cannot be read.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, ImageError> {
        match &self.examined.bytes {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => Ok(Cow::Owned(self.stack.read(&self.kernel.path, self.store)?.unwrap_or_default())),
        }
    }
}
