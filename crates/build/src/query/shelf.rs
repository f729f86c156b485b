//! Verified indexes: those of today, or the ones that a lock was made of.

use std::fs;

use hoopy_apk::Record;
use hoopy_apk::signature::KeyRing;
use hoopy_base::digest::ContentId;
use hoopy_base::report::Event;
use hoopy_lock::{Lock, LockedRepository};
use hoopy_store::Store;

use super::QueryError;
use crate::config::{Repository, System};
use crate::context::Context;
use crate::fetch::{self, FetchError};
use crate::locking as lock;
use crate::locking::{MakeError, RepositoryIndex};
use crate::target::Target;

/// What a repository has.
#[derive(Debug)]
pub struct Shelf {
    /// What the lock calls it: `main`, `community`, an address.
    pub repository: String,
    /// The tag of packages that may come from it.
    pub tag: Option<String>,
    /// The packages.
    pub records: Vec<Record>,
}

impl Shelf {
    /// The repository with its tag, as it stands in `hoopy.toml`.
    pub fn label(&self) -> String {
        match &self.tag {
            None => self.repository.clone(),
            Some(tag) => format!("@{tag} {}", self.repository),
        }
    }
}

impl From<RepositoryIndex<'_>> for Shelf {
    fn from(mirrored: RepositoryIndex<'_>) -> Self {
        let Repository { name, tag, .. } = mirrored.repository;
        Self { repository: name.clone(), tag: tag.clone(), records: mirrored.index.records }
    }
}

/// The shelves of the repositories that `target` names, as they are today. Where the mirror cannot be reached, those
/// that its lock was made of, with a warning, if the store has them.
///
/// # Errors
/// [`QueryError`] when neither can be had.
pub fn shelves(target: &Target, context: Context<'_>) -> Result<Vec<Shelf>, QueryError> {
    let target = &lock::with_branch(target.clone(), context)?;
    let (system, arch, lock) = (&target.system, target.arch, target.lock.content.as_ref());
    let (keys, _) = fetch::keyring(arch, system.keys.as_deref())?;
    let error = match lock::indexes(system, arch, &keys, context) {
        Ok(mirrored) => return Ok(mirrored.into_iter().map(Shelf::from).collect()),
        Err(error) => error,
    };
    let unreachable =
        matches!(error, MakeError::Fetch(FetchError::Unreachable { .. } | FetchError::Stalled { .. }));
    let Some(kept) = lock.filter(|_| unreachable).and_then(|lock| kept(system, lock, &keys, context.store))
    else {
        return Err(error.into());
    };
    context.observer.event(Event::Warning(&format!("{error}; what follows is of when the lock was made")));
    Ok(kept)
}

/// The shelves that `lock` was made of, where the store has all of them.
pub(super) fn kept(system: &System, lock: &Lock, keys: &KeyRing, store: &Store) -> Option<Vec<Shelf>> {
    let of = |locked: &LockedRepository| {
        let tag = system.repositories.iter().find(|r| r.name == locked.name).and_then(|r| r.tag.clone());
        Some(Shelf { repository: locked.name.clone(), tag, records: stored(locked.index, keys, store)? })
    };
    lock.repositories.iter().map(of).collect()
}

/// The records of an index in the store. Its digest is what the lock says; its signature is checked all the same,
/// for a lock is a text that anybody may have sent a change to.
fn stored(id: ContentId, keys: &KeyRing, store: &Store) -> Option<Vec<Record>> {
    if fs::metadata(store.blob_path(id)).ok()?.len() > lock::MAX_INDEX {
        return None;
    }
    Some(hoopy_apk::index::read(&store.read_blob(id)?, keys).ok()?.records)
}
