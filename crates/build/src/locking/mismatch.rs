//! Whether a lock still answers what the system directory asks. The architecture is compared where the target is
//! resolved ([`crate::target`]): without it there is no lock to look at.

use std::fmt;

use hoopy_boot::layout::Layout;
use hoopy_lock::{Lock, Role};

use super::error::{FIRMWARE, LOADER};
use crate::config::System;
use crate::quadlet;

/// What a system directory asks, and its lock does not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// In `packages`, not in the lock.
    pub added: Vec<String>,
    /// In the lock, not in `packages` any more.
    pub removed: Vec<String>,
    /// The branch in the lock and the one in `hoopy.toml`, where they differ.
    pub branch: Option<(String, String)>,
    /// The repositories in the lock and those in `hoopy.toml`, where they differ.
    pub repositories: Option<(Vec<String>, Vec<String>)>,
    /// Images of containers that are named by a tag for which the lock has no digest.
    pub images: Vec<String>,
    /// Why the layout asks for a boot loader, where the lock has none.
    pub loader: Option<&'static str>,
}

/// The package that a layout starts images with, and why it is asked for.
const fn loader(layout: Layout) -> Option<(&'static str, &'static str)> {
    match layout {
        Layout::Single | Layout::Extlinux => None,
        Layout::Ab => Some((LOADER, "layout = \"ab\" starts images with a boot loader")),
        Layout::Pi => Some((FIRMWARE, "layout = \"pi\" needs the firmware of a Raspberry Pi")),
    }
}

impl Mismatch {
    /// What has changed since `lock` was made of `system`.
    pub fn between(lock: &Lock, system: &System) -> Self {
        let world = system.world.texts();
        let only_in = |a: &[String], b: &[String]| a.iter().filter(|t| !b.contains(t)).cloned().collect();
        let asked: Vec<String> = system.repositories.iter().map(label_of).collect();
        let locked: Vec<String> =
            lock.repositories.iter().map(|r| label(r.tag.as_deref(), &r.name)).collect();
        Self {
            added: only_in(&world, &lock.world),
            removed: only_in(&lock.world, &world),
            branch: (lock.branch != system.branch).then(|| (lock.branch.clone(), system.branch.clone())),
            repositories: (locked != asked).then_some((locked, asked)),
            images: quadlet::tagged(&system.dir)
                .iter()
                .map(quadlet::Image::reference)
                .filter(|name| lock.images.iter().all(|image| image.name != *name))
                .collect(),
            loader: loader(system.layout)
                .filter(|(package, _)| lock.with_role(Role::Loader).all(|locked| locked.name != *package))
                .map(|(_, why)| why),
        }
    }

    /// Whether images of containers are all that has changed.
    pub fn is_images_alone(&self) -> bool {
        let images = self.images.clone();
        !images.is_empty() && *self == Self { images, ..Self::default() }
    }

    /// Whether nothing has.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn label_of(repository: &crate::config::Repository) -> String {
    label(repository.tag.as_deref(), &repository.name)
}

/// As `hoopy.toml` has it.
fn label(tag: Option<&str>, name: &str) -> String {
    tag.map_or_else(|| name.to_owned(), |tag| format!("@{tag} {name}"))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.added.iter().map(|t| format!("`{t}` is new")));
        parts.extend(self.removed.iter().map(|t| format!("`{t}` is gone")));
        parts.extend(self.branch.iter().map(|(old, new)| format!("the branch is {new}, the lock's {old}")));
        parts.extend(self.repositories.iter().map(|(old, new)| {
            format!("the repositories are {}, the lock's {}", new.join(", "), old.join(", "))
        }));
        parts.extend(self.images.iter().map(|name| format!("the image {name} is new")));
        parts.extend(self.loader.map(str::to_owned));
        f.write_str(&parts.join(", "))
    }
}
