//! The road: from a system directory to a bootable file. One function of steps that pass values on; each step
//! reads what is content-addressed and does nothing where its result is in the store.

use std::path::{Path, PathBuf};
use std::thread;

use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_base::report::{Event, Observer, Timings, Warnings};
use hoopy_boot::release::Release;
use hoopy_cpio::codec::Codec;
use hoopy_lock::{Lock, Role};
use hoopy_store::layer::Layer;
use hoopy_store::{Store, StoreError};
use serde::Serialize;

use crate::built::{Built, LayerSize};
use crate::config::System;
use crate::fetch::{self, Client};
use crate::image::{self, Ahead, Identity, ImageError, Initramfs, Kernel, Version};
use crate::provenance::Provenance;
use crate::segment::eager::Eager;
use crate::segment::gather::Gather;
use crate::segment::groups::Groups;
use crate::stack::database::is_boot;
use crate::stack::{self, Inputs, Origin, Runner, Stack};
use crate::{check, locking as lock, programs};

mod before;
mod error;
mod fit;
mod foresight;
mod glance;
mod packages;
mod tool;
mod work;

use before::Before;
pub use error::BuildError;
use foresight::Foresight;
use glance::Glance;
pub use tool::loader;
use work::{Work, report};

/// What a build gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A unified kernel image.
    #[default]
    Uki,
    /// The kernel and the initramfs as two files.
    KernelAndInitramfs,
    /// The root tree as a tar archive.
    Tar,
}

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
}

/// Builds the image of `system`. What turns out to be damaged in the store is made again.
///
/// # Errors
/// [`BuildError`]; nothing half-written is left.
pub fn build(
    system: &System,
    options: &Options,
    store: &Store,
    runner: &mut dyn Runner,
    observer: &dyn Observer,
) -> Result<Built, BuildError> {
    let provenance = Provenance::ask(options.source.as_ref().unwrap_or(&system.dir));
    let glance = Glance::at(system, options);
    let release = provenance.answer();
    if let Some(built) = glance.as_ref().and_then(|g| g.recall(system, &release, store, observer)) {
        store.note_up_to_date(&built.path);
        return Ok(built);
    }
    let (made, warnings) = mending(system, options, &release, store, runner, observer)?;
    if let Some(glance) = glance {
        glance.remember(&made, warnings, store);
    }
    made.note(store);
    Ok(made.built)
}

/// Builds the image without a glance at whether anything changed, and gives the stack that it is made of.
///
/// # Errors
/// As [`build`].
pub fn build_with_stack(
    system: &System,
    options: &Options,
    store: &Store,
    runner: &mut dyn Runner,
    observer: &dyn Observer,
) -> Result<(Built, Stack), BuildError> {
    let release = Provenance::ask(options.source.as_ref().unwrap_or(&system.dir)).answer();
    let (made, _) = mending(system, options, &release, store, runner, observer)?;
    made.note(store);
    Ok((made.built, made.stack))
}

/// Walks the road, and once more where the store was damaged. Gives the warnings, too.
fn mending(
    system: &System,
    options: &Options,
    release: &Release,
    store: &Store,
    runner: &mut dyn Runner,
    observer: &dyn Observer,
) -> Result<(Made, Vec<String>), BuildError> {
    let mut attempt = || {
        let warnings = Warnings::new(observer);
        let made = road(system, options, release.clone(), store, runner, &warnings)?;
        Ok::<_, BuildError>((made, warnings.into_texts()))
    };
    match attempt() {
        Err(_) if store.take_damage() => {
            let lost = store.verify()?.removed.len() + 1;
            let note = format!("the store was damaged: making {lost} of its files anew");
            observer.event(Event::Note(&note));
            attempt()
        }
        result => result,
    }
}

/// An image, and what it was made of that is not in the directory.
struct Made {
    /// What images of the directory are called.
    name: String,
    /// What git says of the directory.
    release: Release,
    built: Built,
    stack: Stack,
}

impl Made {
    /// Notes what of the store it is made of.
    fn note(&self, store: &Store) {
        let note = if self.built.unchanged { Store::note_up_to_date } else { Store::note_used };
        note(store, &self.built.path);
    }
}

fn road(
    system: &System,
    options: &Options,
    release: Release,
    store: &Store,
    runner: &mut dyn Runner,
    observer: &dyn Observer,
) -> Result<Made, BuildError> {
    let mut timings = Timings::default();
    let client = Client::default();
    let (name, lock) =
        timings.step("lock", observer, || the_lock(system, options, store, &client, observer))?;
    let mut runner = Foresight::new(runner, system, &name, options.output, store);
    runner.expect();
    timings.step("fetch", observer, || tool::fetch(system, &lock, &|_| true, store, &client, observer))?;
    programs::build(&system.programs, observer)?;
    let (packages, modules) = timings.step("import", observer, || packages::import(system, &lock, store))?;
    let (_, keys) = fetch::keyring(lock.arch, system.keys.as_deref())?;
    let inputs = Inputs { system, arch: lock.arch, epoch: lock.epoch, packages, keys: &keys };
    let groups = Groups::of(inputs.packages.iter().map(AsRef::as_ref), &is_boot);
    Eager::beside(system.codec, store, |eager| {
        let gather = Gather::new(eager, &groups, is_boot);
        let settled = |layer: &Layer, origin: &Origin| gather.settled(layer, origin);
        let stack = stack::fold(&inputs, store, &mut runner, &settled, &mut timings, observer);
        let ahead = runner.into_ahead();
        check::tell(system, lock.arch, stack.as_ref().ok(), store, observer);
        let planned = Planned { system, options, name, lock: &lock, release, modules, groups: &groups };
        planned.image(stack?, eager, ahead, store, timings, observer)
    })
}

/// What is known of an image besides what it is made of.
struct Planned<'a> {
    system: &'a System,
    options: &'a Options,
    name: String,
    lock: &'a Lock,
    release: Release,
    /// How many bytes of the machine's memory modules take more, being unpacked.
    modules: u64,
    /// Which packages share segments.
    groups: &'a Groups,
}

impl Planned<'_> {
    /// The image of `stack`: the last one, where it is of the same, or a new one.
    fn image(
        self,
        mut stack: Stack,
        eager: &Eager<'_>,
        ahead: Option<Ahead>,
        store: &Store,
        mut timings: Timings,
        observer: &dyn Observer,
    ) -> Result<Made, BuildError> {
        let Self { system, options, name, lock, release, modules, groups } = self;
        let kernel = image::find_kernel(&stack, store)?;
        check_codec(system.codec, &kernel)?;
        let recipe = recipe(system, options, &stack, lock, &release);
        if let Some(built) =
            store.recall::<Before>(recipe).and_then(|before| before.still_good(system, store))
        {
            return Ok(Made { name, release, built: Built { timings, ..built }, stack });
        }
        let identity = identity(system, name.clone(), options);
        let named = Release { image: identity.image(), ..release.clone() };
        stack::sign(&mut stack, &named, lock.epoch, store)?;
        // What cannot fit is not compressed first.
        fit::check(system, &stack, kernel.size, modules)?;
        let work = Work {
            system,
            store,
            arch: lock.arch,
            lock,
            stack: &stack,
            kernel: &kernel,
            identity: &identity,
        };
        let built = thread::scope(|scope| {
            let (initramfs, laid) = timings.step("segments", observer, || {
                let laying = if ahead.is_none() { work.begin(options.output) } else { None };
                Initramfs::of(&stack, groups, eager, laying, scope, store, observer)
            })?;
            fit::check(system, &stack, initramfs.size() + kernel.size, modules)?;
            let begun = || {
                let laid = || laid.and_then(|laid| laid.join().ok().flatten());
                ahead.and_then(Ahead::finish).or_else(laid)
            };
            let write = || work.write(options.output, &initramfs, begun);
            let (path, bytes) = timings.step("write", observer, write)?;
            Ok::<_, BuildError>(Built { modules, ..report(&work, path, bytes, &initramfs) })
        })?;
        if let Some(before) = Before::of(&name, &built, store) {
            let last = foresight::last(system, &name, options.output);
            match store.remember(recipe, &before).and_then(|()| store.remember(last, &before)) {
                // The image is there, made of what the store had.
                Ok(()) | Err(StoreError::ReadOnly { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(Made { name, release, built: Built { timings, ..built }, stack })
    }
}

/// The lock: the one that is there, or a new one where there is none.
fn the_lock(
    system: &System,
    options: &Options,
    store: &Store,
    client: &Client,
    observer: &dyn Observer,
) -> Result<(String, Lock), BuildError> {
    let (arch, path) = lock::place(system)?;
    let arch = arch.ok_or(BuildError::NoArch)?;
    let name = lock::image_name(system, arch, &path);
    if let Some(lock) = Lock::read(&path)? {
        let drift = lock::Drift::between(&lock, system);
        return if drift.is_none() { Ok((name, lock)) } else { Err(BuildError::Drift { path, drift }) };
    }
    if options.locked {
        return Err(BuildError::NoLock(path));
    }
    observer.event(Event::Note(&format!("no {}: creating it", path.display())));
    let lock = lock::make(system, arch, lock::Keep::default(), store, client, observer)?;
    lock.write(&path)?;
    Ok((name, lock))
}

fn check_codec(codec: Codec, kernel: &Kernel) -> Result<(), ImageError> {
    let Some(config) = &kernel.config else { return Ok(()) };
    codec
        .check_kernel_config(config)
        .map_err(|source| ImageError::Codec { kernel: kernel.package.clone(), source })
}

/// All that the image depends on but its own name.
fn recipe(system: &System, options: &Options, stack: &Stack, lock: &Lock, release: &Release) -> RecipeId {
    let mut hasher = Hasher::new("hoopy image 2");
    let directory = system.dir.canonicalize().unwrap_or_else(|_| system.dir.clone());
    hasher.field(directory.as_os_str().as_encoded_bytes());
    hasher.field(system.name.as_bytes()).field(lock.arch.as_str().as_bytes()).field(lock.branch.as_bytes());
    hasher.field(system.codec.to_string().as_bytes()).field(&[options.output as u8]);
    hasher.field(&system.memory.to_le_bytes());
    hasher.field(options.version.as_deref().unwrap_or_default().as_bytes());
    hasher.field(image::command_line(system.cmdline.as_deref(), lock.arch, system.layout).as_bytes());
    hasher.field(release.commit.as_deref().unwrap_or_default().as_bytes()).field(&[u8::from(release.dirty)]);
    lock.with_role(Role::Stub).for_each(|p| {
        hasher.field(p.sha256.as_bytes());
    });
    stack.tree.layers().iter().for_each(|l| {
        hasher.field(l.id.as_bytes());
    });
    RecipeId::from_bytes(hasher.finish())
}

/// Whether no image called `name` is newer than the one at `path`.
fn is_newest(system: &System, name: &str, path: &Path) -> bool {
    let newest = image::latest(&system.path("images"), name);
    newest.is_none_or(|newest| newest.file_name() <= path.file_name())
}

fn identity(system: &System, name: String, options: &Options) -> Identity {
    // By the image's own name: the machine's other architecture counts for itself.
    let next = || Version::next(&system.path("images"), &name, &options.day).to_string();
    let version = options.version.clone().unwrap_or_else(next);
    Identity { name, version }
}

fn largest(stack: &Stack) -> Vec<LayerSize> {
    let mut sizes: Vec<LayerSize> =
        stack.iter().map(|(l, o)| LayerSize { name: o.label(), size: l.unpacked_size() }).collect();
    sizes.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    sizes
}
