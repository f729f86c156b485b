//! The stack: an image as an ordered list of layers, made by a fold from the bottom up.
//!
//! ```text
//! configuration ▸ (pre-install ▸ package ▸ post-install)* ▸ triggers ▸ database ▸ root/ ▸ programs ▸ setup.sh ▸ init ▸ health ▸ containers ▸ secrets/ ▸ state ▸ monitor ▸ finish
//! ```
//!
//! A script's layer depends on all below it. What it made is remembered under what it could see: the script,
//! the layers below, its arguments and environment, and the architecture. A script that runs again and makes
//! the same layer makes nothing new of what is above.

mod accounts;
mod attributes;
mod capture;
mod configuration;
pub mod conflict;
pub mod containers;
pub mod database;
mod directories;
mod extraction;
mod finish;
mod fold;
pub mod health;
mod kmod;
mod modes;
pub mod monitor;
mod package_layer;
mod passwords;
mod protect;
mod readers;
pub mod root_mount;
mod scripts;
pub mod secrets;
mod setup;
pub mod state;
mod triggers;

use std::io;
use std::sync::Arc;

use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::{Layer, ReadLayerError};
use hoopy_store::layer::{EntryPath, Kind};
use hoopy_store::tree::Tree;
use hoopy_store::{Store, StoreError};

pub use fold::{Inputs, add_release_file, fold};
pub use package_layer::expected;
pub use scripts::Runner;
pub use setup::{HIDDEN, UNREAD};

/// Where a layer comes from. It stands beside the layer, not in it: equal bytes are one layer.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Keys, repositories, world: what `apk` in the image reads.
    Configuration,
    /// A package.
    Package(Arc<Package>),
    /// What a script of a package changed: `busybox-1.37.0-r30.post-install`.
    Script(String),
    /// The installed database.
    Database,
    /// `root/`.
    Files,
    /// `programs` of `hoopy.toml`.
    Programs,
    /// What `setup.sh` changed.
    Setup,
    /// The first program of a machine that boots.
    Init,
    /// The services of a machine with the layout `ab`.
    Health,
    /// The services of declared containers.
    Containers,
    /// `secrets/`, encrypted, and what opens them on the machine; or what they replace, where they are opened at build.
    Secrets,
    /// The machine's page.
    Monitor,
    /// The service that puts what outlives a boot in its place.
    State,
    /// What every image gets at the end.
    Finish,
    /// The image's name, inside it.
    Release,
}

impl Origin {
    /// What a table calls it.
    pub fn label(&self) -> String {
        match self {
            Self::Configuration => "apk configuration".to_owned(),
            Self::Package(p) => format!("{}-{}", p.record.name, p.record.version),
            Self::Script(name) => name.clone(),
            Self::Database => "installed database".to_owned(),
            Self::Files => "root/".to_owned(),
            Self::Programs => "programs".to_owned(),
            Self::Setup => "setup.sh".to_owned(),
            Self::Init => "hoopy-init".to_owned(),
            Self::Health => "hoopy-health".to_owned(),
            Self::Containers => "containers".to_owned(),
            Self::Secrets => "secrets/".to_owned(),
            Self::Monitor => "hoopy-serve".to_owned(),
            Self::State => "state".to_owned(),
            Self::Finish => "finish".to_owned(),
            Self::Release => "hoopy-release".to_owned(),
        }
    }
}

/// The layers of an image, bottom first, each with its origin, and the tree they make.
#[derive(Debug, Default)]
pub struct Stack {
    /// The tree.
    pub tree: Tree,
    /// Origins, one a layer.
    pub origins: Vec<Origin>,
    /// Secrets that go into the image in the clear, still encrypted.
    pub sealed: Option<Box<secrets::Sealed>>,
}

/// A stack could not be built.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// A package is not what a package is.
    #[error(transparent)]
    Package(#[from] hoopy_store::layer::package::ImportError),
    /// A script failed, or could not be run.
    #[error(transparent)]
    Sandbox(#[from] hoopy_sandbox::SandboxError),
    /// A layer could not be unpacked for a script.
    #[error("{origin}: {source}")]
    Unpack {
        /// Whose layer it is: most often a package's.
        origin: String,
        /// Why not.
        source: hoopy_sandbox::SandboxError,
    },
    /// `root/` or a program could not be read.
    #[error(transparent)]
    Files(#[from] hoopy_store::layer::files::FilesError),
    /// A package has a path that the stack below makes impossible.
    #[error("{origin}: {source}")]
    Lost {
        /// Whose path it is.
        origin: String,
        /// The path.
        source: hoopy_store::tree::settle::LostPath,
    },
    /// Secrets cannot be part of the image.
    #[error(transparent)]
    Secrets(#[from] secrets::SecretLayerError),
    /// A declared container cannot become a service.
    #[error(transparent)]
    Container(#[from] containers::ContainerError),
    /// What `state` lists cannot be kept.
    #[error(transparent)]
    State(#[from] state::StateLayerError),
    /// A package cannot be laid over those below it.
    #[error(transparent)]
    Conflict(#[from] conflict::Conflict),
    /// A file, link or program takes the place of a directory, and all that is in it would be gone.
    #[error("{origin}: /{path} is not a directory and would replace one: /{lost} of {whose} would be lost")]
    Covers {
        /// Whose file it is.
        origin: String,
        /// The file.
        path: EntryPath,
        /// The first path that would be lost.
        lost: EntryPath,
        /// Whose that is.
        whose: String,
    },
    /// A directory takes the place of a file, which would be gone.
    #[error("{origin}: /{path} is a directory and would replace a file: /{path} of {whose} would be lost")]
    CoversFile {
        /// Whose directory it is.
        origin: String,
        /// The directory.
        path: EntryPath,
        /// Whose the file is.
        whose: String,
    },
    /// `[modes]` names a path that is nowhere.
    #[error("hoopy.toml: `modes` names {0:?}, and neither root/ nor a package has that")]
    NoSuchMode(EntryPath),
    /// Nothing could run the services of the layout `ab`.
    #[error(
        "layout = \"ab\" needs OpenRC, whose services decide whether a boot was good, and no package brings \
         /sbin/openrc-run: add `openrc` or `alpine-base` to `packages`"
    )]
    NoOpenrc,
    /// Nothing could run the machine's page.
    #[error("[monitor] needs OpenRC, whose service shows the page, and no package brings /sbin/openrc-run")]
    NoOpenrcForMonitor,
    /// A temporary file failed.
    #[error("a layer could not be written: {0}")]
    Io(#[from] io::Error),
    /// A path that hoopy itself writes is not one; cannot happen short of a bug.
    #[error(transparent)]
    Path(#[from] hoopy_store::layer::BadPath),
}

/// What runs the services, which OpenRC brings.
const OPENRC: &str = "sbin/openrc-run";

impl Stack {
    /// Whether there is something that runs services.
    pub fn has_openrc(&self) -> bool {
        EntryPath::new(OPENRC).is_ok_and(|path| self.tree.follow(&path).is_some())
    }

    /// Lays a layer on top. One that changes nothing is left out, unless it is a package: a metapackage has no
    /// files and is installed all the same.
    pub fn push(&mut self, layer: Layer, origin: Origin) {
        if layer.entries.is_empty() && !matches!(origin, Origin::Package(_)) {
            return;
        }
        self.tree.push(layer);
        self.origins.push(origin);
    }

    /// The layers with their origins, bottom first.
    pub fn iter(&self) -> impl Iterator<Item = (&Layer, &Origin)> {
        self.tree.layers().iter().zip(&self.origins)
    }

    /// The packages among the layers.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.origins.iter().filter_map(|o| if let Origin::Package(p) = o { Some(p) } else { None })
    }

    /// The package whose `path` it is, as packages name it, that is at `place` in the tree; whatever scripts have made of
    /// it since.
    pub fn package_with(&self, path: &EntryPath, place: &EntryPath) -> Option<&Arc<Package>> {
        let at = self.tree.at(place)?;
        self.origins.iter().take(at.layer + 1).rev().find_map(|origin| match origin {
            Origin::Package(package) if package.layer.entry(path).is_some() => Some(package),
            _ => None,
        })
    }

    /// The content of the file at `path`, links followed; `None` where there is none.
    ///
    /// # Errors
    /// [`ReadLayerError`].
    pub fn read(&self, path: &EntryPath, store: &Store) -> Result<Option<Vec<u8>>, ReadLayerError> {
        let Some(entry) = self.tree.follow(path) else { return Ok(None) };
        let wanted = match &entry.kind {
            Kind::File { .. } => entry.path.clone(),
            Kind::Hardlink(first) => first.clone(),
            _ => return Ok(None),
        };
        let Some(at) = self.tree.at(&entry.path) else { return Ok(None) };
        self.tree.layers()[at.layer].read_file(store, &wanted)
    }
}
