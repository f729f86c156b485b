//! What is remembered of an image that was built, and whether that image is still up to date. This is a format of the store:
//! what commands print is [`Built`].

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use hoopy_base::digest::RecipeId;
use hoopy_base::report::Timings;
use hoopy_store::{Seal, Store};
use serde::{Deserialize, Serialize};

use crate::built::{Built, ImageFacts};
use crate::image::{self, Output, Spec};

/// An image of an earlier build.
#[derive(Debug, Serialize, Deserialize)]
pub struct PreviousImage {
    /// What images of its directory are called.
    name: String,
    /// Where it is, as bytes: JSON has no other place for a path that is not UTF-8.
    #[serde(with = "path_as_bytes")]
    path: PathBuf,
    /// What is in it.
    facts: ImageFacts,
    /// Whether anybody wrote to it since.
    seal: Seal,
    /// The mode that it was written with. Images that an earlier hoopy wrote were open to all: what it remembered lacks
    /// this, does not count, and so they are made again.
    mode: u32,
    /// The size of the kernel beside an initramfs.
    kernel: Option<u64>,
}

impl PreviousImage {
    /// The image that was just written; `None` where it is gone already.
    pub fn of(spec: &Spec, built: &Built, store: &Store) -> Option<Self> {
        let file = File::open(&built.path).ok()?;
        let (seal, mode) = (store.seal(&file).ok()?, file.metadata().ok()?.mode());
        let kernel = fs::metadata(built.path.with_extension("vmlinuz")).ok().map(|meta| meta.len());
        let (path, facts) = (built.path.clone(), built.facts.clone());
        Some(Self { name: spec.name.clone(), path, facts, seal, mode, kernel })
    }

    /// The image that was written of the same spec, where it is still there and whole.
    pub fn of_same(spec: &Spec, store: &Store) -> Option<Self> {
        store.recall(spec.fingerprint()).filter(|image: &Self| image.is_whole(spec, store))
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

    /// Whether it is where images go now, the newest one, and nobody wrote to it since.
    pub fn is_untouched(&self, spec: &Spec, store: &Store) -> bool {
        let file = File::open(&self.path);
        file.is_ok_and(|file| self.is_answer(spec) && store.is_sealed(&file, &self.seal))
    }

    /// Whether it is where images go now, the newest one, and whole. Only an image has a checksum that tells; everything
    /// else is known by its size.
    fn is_whole(&self, spec: &Spec, store: &Store) -> bool {
        let Ok(mut file) = File::open(&self.path) else { return false };
        let size = file.metadata().is_ok_and(|meta| meta.len() == self.facts.size);
        let image = spec.output == Output::Uki;
        size && self.is_answer(spec)
            && (store.is_sealed(&file, &self.seal)
                || !image
                || hoopy_uki::is_whole(&mut file).unwrap_or(false))
    }

    /// Whether it is what would be found in `images/`. That may have been a link to another directory, and the kernel
    /// beside an initramfs may be gone.
    fn is_answer(&self, spec: &Spec) -> bool {
        let there = spec.images().canonicalize().is_ok_and(|images| self.path.parent() == Some(&images));
        let kernel = spec.output != Output::KernelAndInitramfs
            || fs::metadata(self.path.with_extension("vmlinuz"))
                .is_ok_and(|meta| Some(meta.len()) == self.kernel);
        there && kernel && self.is_newest(spec)
    }

    /// Whether no image of that name is newer.
    fn is_newest(&self, spec: &Spec) -> bool {
        let newest = image::latest(&spec.images(), &self.name);
        newest.is_none_or(|newest| newest.file_name() <= self.path.file_name())
    }

    /// What a build tells that has nothing else to do.
    pub fn into_built(self, timings: Timings) -> Built {
        Built { path: self.path, facts: self.facts, unchanged: true, timings }
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

mod path_as_bytes {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Vec::deserialize(deserializer).map(|bytes| std::ffi::OsString::from_vec(bytes).into())
    }
}
