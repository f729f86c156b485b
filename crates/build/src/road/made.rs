//! Where the road ends: what was made, told and remembered.

use std::path::PathBuf;

use hoopy_base::report::Timings;
use hoopy_store::StoreError;

use super::previous::PreviousImage;
use crate::built::{Built, ImageFacts, LayerSize};
use crate::context::Context;
use crate::image::Spec;
use crate::stack::Stack;

/// An image that was built, and the stack that it is made of.
pub(super) struct Made {
    pub(super) built: Built,
    pub(super) stack: Stack,
    /// Whether every key that it should be signed with was at hand.
    pub(super) signed_as_requested: bool,
}

/// What was made.
pub(super) fn built(
    spec: &Spec,
    stack: &Stack,
    path: PathBuf,
    size: u64,
    initramfs: u64,
    modules: u64,
) -> Built {
    let mut layers = largest(stack);
    layers.truncate(5);
    Built {
        path: path.canonicalize().unwrap_or(path),
        facts: ImageFacts {
            size,
            initramfs,
            packages: stack.packages().count(),
            layers,
            modules,
            arch: spec.arch,
            signed_by: spec.signer.as_ref().map(|signer| signer.subject.clone()),
        },
        unchanged: false,
        timings: Timings::default(),
    }
}

pub(super) fn largest(stack: &Stack) -> Vec<LayerSize> {
    let mut sizes: Vec<LayerSize> =
        stack.iter().map(|(l, o)| LayerSize { name: o.label(), size: l.unpacked_size() }).collect();
    sizes.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    sizes
}

/// Remembers an image that was written.
pub(super) fn remember(spec: &Spec, built: &Built, context: Context<'_>) -> Result<(), StoreError> {
    let Some(image) = PreviousImage::of(spec, built, context.store) else { return Ok(()) };
    match image.remember(spec, context.store) {
        // The image is there, made of what the store had.
        Err(StoreError::ReadOnly { .. }) => Ok(()),
        result => result,
    }
}
