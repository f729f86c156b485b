//! A new lock beside the old one: what `hoopy lock`, `update`, `add` and `remove` make, say and write.

use std::path::Path;

use hoopy_base::count::counted;
use hoopy_base::report::{Event, Observer as _};
use hoopy_build::config::System;
use hoopy_build::context::Context;
use hoopy_build::locking::{self, BranchMove, Keep, Kernel, Newer, Older};
use hoopy_build::target::{LockFile, Target};
use hoopy_lock::{Change, ImageChange, Lock, LockedPackage};
use serde::Serialize;

use crate::args::Global;
use crate::error::{Context as _, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

/// Which locked packages may change their version.
#[derive(Clone, Copy)]
pub enum Moving<'a> {
    All,
    /// These packages, and these images of containers.
    Only(&'a [String], &'a [String]),
}

/// A new lock and the old one; nothing is written yet.
pub struct Relocked {
    lock: LockFile,
    new: Lock,
    /// Where the branch changes.
    moved: Option<BranchMove>,
}

impl Relocked {
    pub fn new(global: &Global, system: System, moving: Moving<'_>, quiet: bool) -> Result<Self> {
        let resources = super::Resources::open(global)?;
        let progress = Progress::new(global.quiet || quiet);
        let target = Target::to_lock(system, global.arch)?;
        let target = locking::with_branch(target, resources.context(&progress))?;
        let keep = match (&target.lock.content, moving) {
            (Some(old), Moving::Only(moving, images)) => {
                Keep { packages: &old.packages, moving, images: &old.images, moving_images: Some(images) }
            }
            (Some(old), Moving::All) => Keep { images: &old.images, ..Keep::default() },
            (None, _) => Keep::default(),
        };
        for unread in locking::unread(&target.system.dir) {
            progress.event(Event::Warning(&unread));
        }
        let new = locking::make(&target, keep, resources.context(&progress))?;
        Ok(Self { lock: target.lock, new, moved: None })
    }

    /// The lock of a target on another branch, with whatever its mirror has now.
    pub fn moved(target: Target, context: Context<'_>) -> Result<Self> {
        let old = target.lock.content.as_ref();
        let images = old.map_or(&[][..], |old| &old.images);
        let new = locking::make(&target, Keep { images, ..Keep::default() }, context)?;
        let moved = old.map(|old| BranchMove::between(old, &new, context.store)).transpose()?.flatten();
        Ok(Self { lock: target.lock, new, moved })
    }

    /// The file of the lock.
    pub fn path(&self) -> &Path {
        &self.lock.path
    }

    pub fn has(&self, name: &str) -> bool {
        let locks = || self.old().into_iter().chain([&self.new]);
        locks().flat_map(|lock| &lock.packages).any(|package| package.name == name)
            || locks().flat_map(|lock| &lock.images).any(|image| image.name == name)
    }

    fn old(&self) -> Option<&Lock> {
        self.lock.content.as_ref()
    }

    /// Fails where the mirror has gone back in time; with what would change, which tells by how much.
    pub fn refuse_older(&self, json: bool) -> Result<()> {
        match self.old().and_then(|old| Older::than(old, &self.new)) {
            Some(older) => self.show(json).and(Err(older.into())),
            None => Ok(()),
        }
    }

    pub fn write(&self) -> Result<()> {
        self.new.write(&self.lock.path).context("cannot write the lock")
    }

    fn changes(&self) -> (Vec<Change>, Vec<ImageChange>) {
        let of = |old| (hoopy_lock::changes(old, &self.new), hoopy_lock::image_changes(old, &self.new));
        self.old().map(of).unwrap_or_default()
    }

    /// The same as JSON; with what is newer than digests in files, where that was asked for.
    pub fn show_json(&self, newer: Option<Vec<Newer>>) -> Result<()> {
        let (changes, images) = self.changes();
        print_json(&Answer {
            lock: &self.lock.path,
            branch: &self.new.branch,
            packages: self.new.packages.len(),
            moved: self.moved.as_ref().map(Moved::of),
            changes: changes.iter().map(Entry::of).chain(images.iter().map(Entry::of_image)).collect(),
            newer: newer.map(|newer| newer.iter().map(NewerEntry::of).collect()),
        })
    }

    /// Prints what changes.
    pub fn show(&self, json: bool) -> Result<()> {
        if json {
            return self.show_json(None);
        }
        let (changes, images) = self.changes();
        let is_same = changes.is_empty() && images.is_empty();
        if let Some(moved) = &self.moved {
            print(moved.to_string())?;
        }
        match self.old() {
            None => print(format!("{}: {}\n", self.lock.path.display(), contents(&self.new))),
            Some(_) if is_same && self.moved.is_some() => Ok(()),
            Some(_) if is_same => print(format!("{}: no changes\n", self.lock.path.display())),
            Some(_) => {
                let lines = changes.iter().map(ToString::to_string);
                let lines = lines.chain(images.iter().map(ToString::to_string));
                print(lines.map(|line| line + "\n").collect::<String>())
            }
        }
    }
}

/// What a lock has: `61 packages, 2 images`.
fn contents(lock: &Lock) -> String {
    let images = match lock.images.len() {
        0 => String::new(),
        images => format!(", {}", counted(images as u64, "image")),
    };
    format!("{} packages{images}", lock.packages.len())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    lock: &'a Path,
    branch: &'a str,
    packages: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<Moved<'a>>,
    changes: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer: Option<Vec<NewerEntry>>,
}

/// An image that a file names by tag and digest, of which its registry has another by now.
#[derive(Serialize)]
struct NewerEntry {
    file: String,
    line: usize,
    name: String,
    sha256: String,
}

impl NewerEntry {
    fn of(newer: &Newer) -> Self {
        let Newer { file, line, name, sha256 } = newer;
        let (file, sha256) = (file.display().to_string(), sha256.to_string());
        Self { file, line: *line, name: name.clone(), sha256 }
    }
}

/// What a move to another branch brings.
#[derive(Serialize)]
struct Moved<'a> {
    old: &'a str,
    new: &'a str,
    renamed: Vec<[&'a str; 2]>,
    kernels: Vec<Entry<'a>>,
}

impl<'a> Moved<'a> {
    fn of(moved: &'a BranchMove) -> Self {
        let kernel = |kernel: &'a Kernel| Entry {
            change: "kernel",
            name: &kernel.new.name,
            old: kernel.old.as_ref().map(|old| &*old.version),
            new: Some(&kernel.new.version),
        };
        Self {
            old: &moved.old,
            new: &moved.new,
            renamed: moved.renamed.iter().map(|both| [&*both.old.name, &*both.new.name]).collect(),
            kernels: moved.kernels.iter().map(kernel).collect(),
        }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    change: &'static str,
    name: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn of_image(change: &'a ImageChange) -> Self {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        Self { change: "image", name: &change.name, old, new }
    }

    fn of(change: &'a Change) -> Self {
        let entry = |change, old: Option<&'a LockedPackage>, new: Option<&'a LockedPackage>| {
            let name = new.or(old).map_or("", |package| &package.name);
            let version = |package: &'a LockedPackage| &*package.version;
            Self { change, name, old: old.map(version), new: new.map(version) }
        };
        match change {
            Change::In(new) => entry("in", None, Some(new)),
            Change::Out(old) => entry("out", Some(old), None),
            Change::Up(old, new) => entry("up", Some(old), Some(new)),
            Change::Down(old, new) => entry("down", Some(old), Some(new)),
            Change::Rebuilt(old, new) => entry("rebuilt", Some(old), Some(new)),
        }
    }
}
