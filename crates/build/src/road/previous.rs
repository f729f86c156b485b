//! What is remembered of an image that was built, and whether that image will do again. This is a format of the store:
//! what commands print is [`Built`].

use std::fs::File;
use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_base::digest::RecipeId;
use hoopy_base::report::Timings;
use hoopy_store::{Seal, Store};
use serde::{Deserialize, Serialize};

use crate::built::{Built, LayerSize};
use crate::image::{self, Output, Spec};

/// An image of an earlier build.
#[derive(Debug, Serialize, Deserialize)]
pub struct PreviousImage {
    /// What images of its directory are called.
    name: String,
    path: PathBuf,
    size: u64,
    initramfs: u64,
    packages: usize,
    /// The largest layers, unpacked.
    layers: Vec<(String, u64)>,
    modules: u64,
    arch: Arch,
    #[serde(default)]
    signed_by: Option<String>,
    /// Whether anybody wrote to it since.
    seal: Seal,
}

impl PreviousImage {
    /// The image that was just written; `None` where it is gone already.
    pub fn of(spec: &Spec, built: &Built, store: &Store) -> Option<Self> {
        let seal = File::open(&built.path).and_then(|file| store.seal(&file)).ok()?;
        let Built {
            path,
            size,
            initramfs,
            packages,
            layers,
            modules,
            arch,
            signed_by,
            unchanged: _,
            timings: _,
        } = built.clone();
        let layers = layers.into_iter().map(|LayerSize { name, size }| (name, size)).collect();
        let name = spec.name.clone();
        Some(Self { name, path, size, initramfs, packages, layers, modules, arch, signed_by, seal })
    }

    /// The last image of a directory that was written as `output`, whatever it was made of.
    pub fn last(spec: &Spec, store: &Store) -> Option<Self> {
        store.recall(last(spec))
    }

    /// Remembers it as the image of `spec`, and as the last one of its directory.
    ///
    /// # Errors
    /// [`hoopy_store::StoreError`].
    pub fn remember(&self, spec: &Spec, store: &Store) -> Result<(), hoopy_store::StoreError> {
        store.remember(spec.fingerprint(), self)?;
        store.remember(last(spec), self)
    }

    /// Where it is.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whether it is the newest one, and nobody wrote to it since.
    pub fn is_untouched(&self, spec: &Spec, store: &Store) -> bool {
        let file = File::open(&self.path);
        file.is_ok_and(|file| self.is_newest(spec) && store.is_sealed(&file, &self.seal))
    }

    /// Whether it is the newest one, and whole. Only an image has a checksum that tells; everything else is known by
    /// its size.
    pub fn is_whole(&self, spec: &Spec, store: &Store) -> bool {
        let Ok(mut file) = File::open(&self.path) else { return false };
        let size = file.metadata().is_ok_and(|meta| meta.len() == self.size);
        let image = spec.output == Output::Uki;
        size && self.is_newest(spec)
            && (store.is_sealed(&file, &self.seal)
                || !image
                || hoopy_uki::is_whole(&mut file).unwrap_or(false))
    }

    /// Whether no image of that name is newer.
    fn is_newest(&self, spec: &Spec) -> bool {
        let newest = image::latest(&spec.images(), &self.name);
        newest.is_none_or(|newest| newest.file_name() <= self.path.file_name())
    }

    /// What a build tells that has nothing else to do.
    pub fn into_built(self, timings: Timings) -> Built {
        let Self { name: _, path, size, initramfs, packages, layers, modules, arch, signed_by, seal: _ } =
            self;
        let layers = layers.into_iter().map(|(name, size)| LayerSize { name, size }).collect();
        let unchanged = true;
        Built { path, size, initramfs, packages, layers, modules, arch, signed_by, unchanged, timings }
    }
}

/// Where the last image of a directory is remembered.
fn last(spec: &Spec) -> RecipeId {
    let directory = spec.directory.as_os_str().as_encoded_bytes();
    RecipeId::of_fields(
        "hoopy last image of a directory 2",
        &[directory, spec.name.as_bytes(), &[spec.output as u8]],
    )
}
