//! What the lints look at: the user's files, and as much of the image around them as is known.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;

use super::CheckError;
use super::own::{Own, TextFile};
use crate::config::System;
use crate::ignored::{self, MissingFile};
use crate::image::find_kernel;
use crate::stack::{Origin, Stack};
use crate::working_tree::{IgnoredQuestion, WorkingTree};

/// The image around the user's files.
pub struct Image<'a> {
    /// Its layers.
    pub stack: &'a Stack,
    store: &'a Store,
    /// Whether scripts have run: what is not in the tree is not in the image.
    pub built: bool,
    /// Links that BusyBox's scripts make; a tree in which they have not run lacks them.
    applets: BTreeSet<EntryPath>,
}

impl<'a> Image<'a> {
    /// The image of `stack`. Where it was not built, what BusyBox lists in `/etc/busybox-paths.d` counts as there:
    /// its trigger makes those links.
    pub fn new(stack: &'a Stack, store: &'a Store, built: bool) -> Result<Self, CheckError> {
        let mut image = Self { stack, store, built, applets: BTreeSet::new() };
        if let (false, Ok(lists)) = (built, EntryPath::new("etc/busybox-paths.d")) {
            for (path, _) in stack.tree.below(&lists) {
                let (_, text) = image.packaged(path)?.unwrap_or_default();
                image
                    .applets
                    .extend(text.split(|&b| b == b'\n').filter_map(|line| EntryPath::new(line).ok()));
            }
        }
        Ok(image)
    }

    /// The content of the file at `path` where it is none of the user's, with what brings it.
    fn packaged(&self, path: &EntryPath) -> Result<Option<(String, Vec<u8>)>, CheckError> {
        let entry = self.stack.tree.follow(path);
        let layer = entry.and_then(|e| self.stack.tree.at(&e.path)).map(|at| at.layer);
        match layer.and_then(|layer| self.stack.origins.get(layer)) {
            // A tree that was not built knows of them by name alone.
            None | Some(Origin::Files | Origin::Programs | Origin::Setup) => Ok(None),
            Some(origin) => Ok(self.stack.read(path, self.store)?.map(|text| (origin.label(), text))),
        }
    }

    /// The configuration of the kernel, where its package has it.
    pub fn kernel_config(&self) -> Option<String> {
        find_kernel(self.stack, self.store).ok()?.config
    }

    /// Whether there is something at the absolute `path`, links followed.
    pub fn has(&self, path: &str) -> bool {
        let Ok(path) = EntryPath::new(path) else { return false };
        let direct = self.stack.tree.through_links(&path).is_some_and(|p| self.applets.contains(&p));
        direct || self.applets.contains(&path) || self.stack.tree.follow(&path).is_some()
    }
}

/// All that is known.
pub struct View<'a> {
    /// The directory.
    pub system: &'a System,
    /// The architecture.
    pub arch: Arch,
    /// The user's files in the image.
    pub own: Vec<Own>,
    /// The user's files beside it.
    pub texts: Vec<TextFile>,
    /// The image around them.
    pub image: Option<Image<'a>>,
    /// What git says of the directory.
    pub git: Git<'a>,
}

/// What git says of a system directory.
pub struct Git<'a> {
    /// What it tracks.
    pub tree: &'a WorkingTree,
    /// What it ignores, from the system directory.
    pub ignored: Vec<PathBuf>,
    /// What `.gitignore` names below `root/`.
    pub named: Vec<PathBuf>,
    /// What of that is not there and must be.
    pub missing: Vec<MissingFile>,
}

impl<'a> Git<'a> {
    /// What is known of `system` from `tree`, and what git answers to `question`.
    pub fn of(system: &System, tree: &'a WorkingTree, question: IgnoredQuestion) -> Self {
        let files = ignored::named(system);
        let named = files.iter().map(|file| file.path.clone()).collect();
        Self { tree, named, missing: ignored::missing_of(files, system), ignored: question.answer() }
    }
}

impl View<'_> {
    /// The user's file at `path`.
    pub fn own(&self, path: &str) -> Option<&Own> {
        self.own.iter().find(|own| own.path.as_bytes() == path.as_bytes())
    }

    /// The content of the file at `path` where it is none of the user's, with what brings it.
    pub fn packaged(&self, path: &str) -> Result<Option<(String, Vec<u8>)>, CheckError> {
        let (Some(image), Ok(path)) = (&self.image, EntryPath::new(path)) else { return Ok(None) };
        image.packaged(&path)
    }

    /// What was at `path` before the user's file took its place.
    pub fn replaced(&self, path: &str) -> Result<Option<Vec<u8>>, CheckError> {
        let (Some(image), Ok(path)) = (&self.image, EntryPath::new(path)) else { return Ok(None) };
        let is_own = |origin: &Origin| matches!(origin, Origin::Files | Origin::Programs | Origin::Setup);
        let below = image.stack.iter().take_while(|(_, origin)| !is_own(origin)).map(|(layer, _)| layer);
        let mut found = None;
        for layer in below {
            found = layer.read_file(image.store, &path)?.or(found);
        }
        Ok(found)
    }

    /// `setup.sh`, where it is there and has not run yet: what it names, it may change.
    pub fn pending_setup(&self) -> Option<String> {
        let ran = self.image.as_ref().is_some_and(|image| image.built);
        let setup = self.texts.iter().find(|t| t.name == "setup.sh").filter(|_| !ran)?;
        Some(String::from_utf8_lossy(&setup.text).into_owned())
    }

    /// Whether `setup.sh` has yet to run and names `what`.
    pub fn setup_may_touch(&self, what: &str) -> bool {
        self.pending_setup().is_some_and(|setup| setup.contains(what))
    }
}

/// The lines of a text, from 1, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, String)> {
    (1..).zip(text.split(|&b| b == b'\n').map(|line| String::from_utf8_lossy(line).trim_end().to_owned()))
}
