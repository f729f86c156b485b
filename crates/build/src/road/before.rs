//! The image of an earlier build, and whether it will do again.

use std::fs::File;

use hoopy_store::{Seal, Store};
use serde::{Deserialize, Serialize};

use super::is_newest;
use crate::built::Built;
use crate::config::System;

/// An image that was built.
#[derive(Debug, Serialize, Deserialize)]
pub struct Before {
    /// What images of its directory are called.
    name: String,
    built: Built,
    seal: Seal,
}

impl Before {
    /// The image that was just written; `None` where it is gone already.
    pub fn of(name: &str, built: &Built, store: &Store) -> Option<Self> {
        let seal = File::open(&built.path).and_then(|file| store.seal(&file)).ok()?;
        Some(Self { name: name.to_owned(), built: built.clone(), seal })
    }

    /// What was built, where it is the newest still and nobody wrote to it since.
    pub fn untouched(self, system: &System, store: &Store) -> Option<Built> {
        let file = File::open(&self.built.path).ok()?;
        let good = is_newest(system, &self.name, &self.built.path) && store.is_sealed(&file, &self.seal);
        good.then_some(Built { unchanged: true, ..self.built })
    }

    /// What was built, where it is the newest still and whole. Only an image has a checksum that tells; the rest is
    /// known by its size.
    pub fn still_good(self, system: &System, store: &Store) -> Option<Built> {
        let mut file = File::open(&self.built.path).ok()?;
        let size = file.metadata().ok()?.len() == self.built.size;
        let image = self.built.path.extension().is_some_and(|ending| ending == "efi");
        let whole = |file: &mut File| store.is_sealed(file, &self.seal) || !image || is_whole(file);
        let good = size && is_newest(system, &self.name, &self.built.path) && whole(&mut file);
        good.then_some(Built { unchanged: true, ..self.built })
    }
}

fn is_whole(file: &mut File) -> bool {
    hoopy_uki::is_whole(file).unwrap_or(false)
}
