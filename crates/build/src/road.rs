//! The road: from a system directory to a bootable file. One function of steps that pass values on; each step
//! reads what is content-addressed and does nothing where its result is in the store.

use std::path::PathBuf;

use hoopy_base::digest::LayerId;
use hoopy_base::report::{Event, Timings, Warnings};
use hoopy_boot::release::Release;
use hoopy_cpio::codec::Codec;
use hoopy_lock::{Lock, Role};
use hoopy_store::layer::Layer;
use hoopy_trust::image::{ImageSigner, SignImageError};

use crate::built::Built;
use crate::check;
use crate::context::Context;
use crate::image::{self, Identity, ImageError, Kernel, PendingKernelFile, Spec, Version};
use crate::segment::gather::Gather;
use crate::segment::groups::Groups;
use crate::segment::maker::SegmentMaker;
use crate::stack::database::is_boot;
use crate::stack::{self, Origin, Runner, Stack};
use crate::target::Target;
use crate::working_tree::{IgnoredQuestion, WorkingTree};

mod assemble;
mod error;
mod fit;
mod inputs;
mod made;
mod packages;
mod previous;
mod questions;
mod tool;
mod unchanged;

pub use crate::image::{Output, OwnerKeys};
use assemble::{Assembly, PreviousDraft, draft_of_previous};
pub use error::BuildError;
use inputs::{inputs, locked, refuse_missing};
use made::{Made, built, remember};
use previous::PreviousImage;
use questions::GitQuestions;
pub use tool::{firmware, loader};
use unchanged::Snapshot;

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Fail where the lock is missing or not for these `packages`.
    pub locked: bool,
    /// What to write.
    pub output: Output,
    /// The day for the image's version, `YYYYMMDD`.
    pub day: String,
    /// The image's version, where the user gives it whole.
    pub version: Option<String>,
    /// The directory whose commit the image names, where the system is built from a copy of it.
    pub source: Option<PathBuf>,
    /// Who signs the image, where the directory has keys.
    pub signer: Option<ImageSigner>,
    /// Where the agent for machines, `hoopyd-ARCH`, is looked for.
    pub agents: Vec<PathBuf>,
    /// The owner's identities, for secrets that are opened at build.
    pub owner: Option<OwnerKeys>,
}

impl Options {
    /// The image that is asked for.
    fn spec(&self, target: &Target, release: &Release) -> Result<Spec, ImageError> {
        if self.output == Output::Uki && !target.arch.has_uki() {
            return Err(ImageError::NoUki(target.arch));
        }
        if self.output != Output::Tar {
            image::check_length(target.system.cmdline.as_deref(), target.arch, target.system.layout)?;
        }
        let spec = Spec::requested(target, self.output, self.version.as_deref(), release);
        let Some(signer) = &self.signer else { return Ok(spec) };
        Ok(spec.signed(signer).map_err(|e| SignImageError::Policy(e.into()))?)
    }
}

/// Builds the image of `target`. What turns out to be damaged in the store is made again.
///
/// # Errors
/// [`BuildError`]; nothing half-written is left.
pub fn build(
    target: &Target,
    options: &Options,
    runner: &mut dyn Runner,
    context: Context<'_>,
) -> Result<Built, BuildError> {
    let git = GitQuestions::ask(target, options);
    let snapshot = Snapshot::of(target, &options.agents);
    let (release, tree) = git.answers(context);
    let snapshot = snapshot.map(|snapshot| snapshot.tracked(&tree));
    let spec = options.spec(target, &release)?;
    if let Some(built) = snapshot.as_ref().and_then(|s| s.recall(target, &spec, context)) {
        context.store.note_up_to_date(&built.path);
        return Ok(built);
    }
    let request = Request { target, options, release, tree, spec };
    let (made, warnings) = request.build_mending(runner, context)?;
    // What lacks a signature is not what was asked for: the next build tries again.
    if let Some(snapshot) = snapshot.filter(|_| made.signed_as_requested) {
        snapshot.remember(target, &request.spec, &made.built, warnings, context.store);
    }
    Ok(made.built)
}

/// Builds the image whether or not anything has changed, and gives the stack that it is made of.
///
/// # Errors
/// As [`build`].
pub fn build_with_stack(
    target: &Target,
    options: &Options,
    runner: &mut dyn Runner,
    context: Context<'_>,
) -> Result<(Built, Stack), BuildError> {
    let (release, tree) = GitQuestions::ask(target, options).answers(context);
    let spec = options.spec(target, &release)?;
    let (made, _) = Request { target, options, release, tree, spec }.build_mending(runner, context)?;
    Ok((made.built, made.stack))
}

/// Makes the root of `target`'s image and no image of it: locks, fetches, runs scripts. A lock is written where there is
/// none.
///
/// # Errors
/// As [`build`], but for a missing kernel.
pub fn root(target: &Target, runner: &mut dyn Runner, context: Context<'_>) -> Result<Stack, BuildError> {
    let mut timings = Timings::default();
    mending(context, || {
        refuse_missing(target)?;
        let lock = timings.step("lock", context.observer, || locked(target, false, context))?;
        runner.expect(context.jobs);
        let tree = WorkingTree::ask(&target.system.dir).answer();
        let inputs = inputs(target, &lock, &tree, false, &[], &mut timings, context)?.0;
        Ok(stack::fold(&inputs, runner, &|_, _| {}, &mut timings, context)?)
    })
}

/// Does `attempt`, and once more where it failed on what turned out to be damaged in the store.
fn mending<T>(
    context: Context<'_>,
    mut attempt: impl FnMut() -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    match attempt() {
        Err(_) if context.store.take_damage() => {
            // What the attempt came upon was removed there and then: verifying does not find it any more.
            let lost = context.store.verify()?.removed.len() + 1;
            let note = format!("the store was damaged: making {lost} of its files anew");
            context.observer.event(Event::Note(&note));
            attempt()
        }
        result => result,
    }
}

/// An image that is asked for.
struct Request<'a> {
    target: &'a Target,
    options: &'a Options,
    /// What git says of the directory.
    release: Release,
    /// Which files of `root/` git tracks.
    tree: WorkingTree,
    /// The image, before its root is known.
    spec: Spec,
}

/// The root of an image, and what is known of it.
struct Root {
    lock: Lock,
    stack: Stack,
    /// The kernel's file, being looked at.
    kernel: Option<PendingKernelFile>,
    /// How many bytes of the machine's memory modules take more, being unpacked.
    modules: u64,
    /// Which packages share segments.
    groups: Groups,
}

impl Request<'_> {
    /// Walks the road, and once more where the store was damaged. Gives the warnings, too.
    fn build_mending(
        &self,
        runner: &mut dyn Runner,
        context: Context<'_>,
    ) -> Result<(Made, Vec<String>), BuildError> {
        let (made, warnings) = mending(context, || {
            let warnings = Warnings::new(context.observer);
            let made = self.build(runner, Context { observer: &warnings, ..context })?;
            Ok((made, warnings.into_texts()))
        })?;
        if made.built.unchanged {
            context.store.note_up_to_date(&made.built.path);
        } else {
            context.store.note_used(&made.built.path);
        }
        Ok((made, warnings))
    }

    /// The road.
    fn build(&self, runner: &mut dyn Runner, context: Context<'_>) -> Result<Made, BuildError> {
        let mut timings = Timings::default();
        refuse_missing(self.target)?;
        let lock =
            timings.step("lock", context.observer, || locked(self.target, self.options.locked, context))?;
        let draft = draft_of_previous(&self.spec, context);
        let maker = SegmentMaker::new(self.target.system.codec, context);
        let root = self.root(lock, runner, &maker, &mut timings, context)?;
        match self.spec.output {
            Output::Tar => self.archive(root, timings, context),
            Output::Uki | Output::KernelAndInitramfs => self.image(root, &maker, draft, timings, context),
        }
    }

    /// The root: packages, what their scripts make of them, and the directory's own files.
    fn root(
        &self,
        lock: Lock,
        runner: &mut dyn Runner,
        maker: &SegmentMaker<'_>,
        timings: &mut Timings,
        context: Context<'_>,
    ) -> Result<Root, BuildError> {
        runner.expect(context.jobs);
        let boots = self.options.output != Output::Tar;
        let (tree, agents) = (&self.tree, &self.options.agents);
        let (inputs, modules) = inputs(self.target, &lock, tree, boots, agents, timings, context)?;
        // Answered while scripts run.
        let ignored = IgnoredQuestion::ask(&self.target.system.dir);
        let kernel = if boots { PendingKernelFile::begin(&inputs.packages, context) } else { None };
        let groups = Groups::of(inputs.packages.iter().map(AsRef::as_ref), &is_boot);
        let gather = Gather::new(maker, &groups, is_boot);
        let settled = |layer: &Layer, origin: &Origin| gather.settled(layer, origin);
        let stack = stack::fold(&inputs, runner, &settled, timings, context);
        check::warn(self.target, stack.as_ref(), (tree, ignored), context);
        Ok(Root { stack: stack?, lock, kernel, modules, groups })
    }

    /// The image of `root`: the previous one, where it is of the same, or a new one.
    fn image(
        &self,
        root: Root,
        maker: &SegmentMaker<'_>,
        mut draft: Option<PreviousDraft>,
        mut timings: Timings,
        context: Context<'_>,
    ) -> Result<Made, BuildError> {
        let Root { lock, mut stack, kernel: kernel_file, modules, groups } = root;
        let kernel = image::find_kernel(&stack, context.store)?;
        check_codec(self.target.system.codec, &kernel)?;
        let requested = self.spec_of(&stack, Some(&kernel), &lock);
        if let Some(previous) = PreviousImage::of_same(&requested, context.store) {
            return Ok(Made { built: previous.into_built(timings), stack, signed_as_requested: true });
        }
        let mut spec = self.with_keys_at_hand(requested.clone(), context);
        let mut signed_as_requested = spec == requested;
        if !signed_as_requested && let Some(previous) = PreviousImage::of_same(&spec, context.store) {
            return Ok(Made { built: previous.into_built(timings), stack, signed_as_requested });
        }
        let identity = self.named(&spec, &mut stack, &lock, context)?;
        // What cannot fit is not compressed first.
        fit::check(&spec, &stack, kernel.size, modules)?;
        let (lock, kernel, identity) = (&lock, &kernel, &identity);
        let (signer, owner) = (self.options.signer.as_ref(), self.options.owner.as_ref());
        let assembly =
            Assembly { spec: &spec, lock, stack: &stack, kernel, identity, signer, owner, context };
        let segments = || assembly.initramfs(&groups, maker, &mut draft);
        let initramfs = timings.step("segments", context.observer, segments)?;
        fit::check(&spec, &stack, initramfs.size() + kernel.size, modules)?;
        let write = || assembly.write(&initramfs, kernel_file, draft);
        let (path, size) = match timings.step("write", context.observer, write) {
            // A command cannot be asked whether it will sign but by having it sign, for which a token may want a PIN: so it is
            // seen only here.
            Err(error) if signed_as_requested && spec.is_signed() && is_not_at_hand(&error) => {
                let unsigned = without_signatures(&spec, &error, context);
                if let Some(previous) = PreviousImage::of_same(&unsigned, context.store) {
                    let built = previous.into_built(timings);
                    return Ok(Made { built, stack, signed_as_requested: false });
                }
                (spec, signed_as_requested) = (unsigned, false);
                let assembly =
                    Assembly { spec: &spec, lock, stack: &stack, kernel, identity, signer, owner, context };
                timings.step("write", context.observer, || assembly.write(&initramfs, None, None))?
            }
            written => written?,
        };
        let built = built(&spec, &stack, path, size, initramfs.size(), modules);
        remember(&spec, &built, context)?;
        Ok(Made { built: Built { timings, ..built }, stack, signed_as_requested })
    }

    /// The archive of `root`: for a container or a chroot, where there need be no kernel.
    fn archive(&self, root: Root, mut timings: Timings, context: Context<'_>) -> Result<Made, BuildError> {
        let Root { lock, mut stack, modules, .. } = root;
        // No firmware looks at it.
        let spec = self.spec_of(&stack, None, &lock).unsigned();
        if let Some(previous) = PreviousImage::of_same(&spec, context.store) {
            return Ok(Made { built: previous.into_built(timings), stack, signed_as_requested: true });
        }
        let identity = self.named(&spec, &mut stack, &lock, context)?;
        let write = || assemble::archive(&spec, &identity, &stack, context);
        let (path, size) = timings.step("write", context.observer, write)?;
        let built = built(&spec, &stack, path, size, 0, modules);
        remember(&spec, &built, context)?;
        Ok(Made { built: Built { timings, ..built }, stack, signed_as_requested: true })
    }

    /// What the image is called, which its root says from here on.
    fn named(
        &self,
        spec: &Spec,
        stack: &mut Stack,
        lock: &Lock,
        context: Context<'_>,
    ) -> Result<Identity, BuildError> {
        let identity = identity(spec, &self.options.day);
        let release = Release { image: identity.image(), ..self.release.clone() };
        let name = self.target.system.release_file.as_ref();
        stack::add_release_file(stack, &release, name, lock.epoch, context.store)?;
        Ok(identity)
    }

    /// The spec as it is where the keys for it can be had, and without signatures where not.
    fn with_keys_at_hand(&self, spec: Spec, context: Context<'_>) -> Spec {
        let ready = self.options.signer.as_ref().filter(|_| spec.is_signed()).map(ImageSigner::ready);
        match ready {
            Some(Err(reason)) => without_signatures(&spec, &reason, context),
            None | Some(Ok(())) => spec,
        }
    }

    /// The spec of the image with this root.
    fn spec_of(&self, stack: &Stack, kernel: Option<&Kernel>, lock: &Lock) -> Spec {
        let layers: Vec<LayerId> = stack.tree.layers().iter().map(|layer| layer.id).collect();
        let stub = lock.with_role(Role::Stub).next().map(|package| package.sha256);
        let sealed = stack.sealed.as_ref().map(|sealed| sealed.key);
        self.spec.clone().with_root(&layers, kernel.map(|kernel| kernel.content), stub, sealed)
    }
}

/// The same without signatures, with a warning that says why.
fn without_signatures(spec: &Spec, reason: &dyn std::fmt::Display, context: Context<'_>) -> Spec {
    context.observer.event(Event::Warning(&format!("the image is not signed: {reason}")));
    spec.clone().unsigned()
}

/// Whether the image was not written because a key could not be asked for its signature.
fn is_not_at_hand(error: &BuildError) -> bool {
    match error {
        BuildError::Image(ImageError::Sign(error)) => error.is_not_at_hand(),
        _ => false,
    }
}

fn check_codec(codec: Codec, kernel: &Kernel) -> Result<(), ImageError> {
    let Some(config) = &kernel.config else { return Ok(()) };
    codec
        .check_kernel_config(config)
        .map_err(|source| ImageError::Codec { kernel: kernel.package.clone(), source })
}

/// The image's name: by the target's own, so that the images of each architecture are counted for themselves.
fn identity(spec: &Spec, day: &str) -> Identity {
    let next = || Version::next(&spec.images(), &spec.name, day).to_string();
    Identity { name: spec.name.clone(), version: spec.version.clone().unwrap_or_else(next) }
}
