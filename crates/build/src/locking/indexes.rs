//! The indexes of a system's repositories: fetched once, and verified before anything in them is read.

use hoopy_apk::index::{self, Index};
use hoopy_apk::signature::KeyRing;
use hoopy_base::arch::Arch;
use hoopy_base::jobs;

use super::error::MakeError;
use crate::config::{Repository, System};
use crate::context::Context;
use crate::fetch::{Client, DOWNLOADS, FetchError};
use hoopy_lock::LockedRepository;

/// Alpine's largest index (community) is 2.5 MB; this is room for it to grow twentyfold.
pub const MAX_INDEX: u64 = 50 << 20;

/// A repository with its index as it came, not verified.
#[derive(Debug)]
pub(super) struct FetchedIndex<'a> {
    /// Where it is.
    pub repository: &'a Repository,
    /// The address or file of the index.
    place: String,
    /// The index.
    pub bytes: Vec<u8>,
}

/// A repository with its verified index.
#[derive(Debug)]
pub struct RepositoryIndex<'a> {
    /// Where it is.
    pub repository: &'a Repository,
    /// What it has.
    pub index: Index,
    /// What the lock says of it.
    pub locked: LockedRepository,
}

impl<'a> FetchedIndex<'a> {
    /// The index of every repository of `system`, in order.
    pub fn all(system: &'a System, arch: Arch, client: &Client) -> Result<Vec<Self>, FetchError> {
        let repositories: Vec<&Repository> = system.repositories.iter().collect();
        jobs::map_on(DOWNLOADS, &repositories, |&repository| {
            let (place, bytes) = match repository.own_index() {
                Some(index) => (index.to_owned(), client.read(index, MAX_INDEX)?),
                None => fetch(&repository.location, arch, client)?,
            };
            Ok(Self { repository, place, bytes })
        })
    }
}

/// Fetches and verifies the index of every repository of `system`, in order; indexes go to the store.
///
/// # Errors
/// [`MakeError`]; a repository other than the first two of Alpine's that is not there is an error as well.
pub fn indexes<'a>(
    system: &'a System,
    arch: Arch,
    keys: &KeyRing,
    context: Context<'_>,
) -> Result<Vec<RepositoryIndex<'a>>, MakeError> {
    verified(&FetchedIndex::all(system, arch, context.client)?, keys, context)
}

/// Verifies what was fetched, and keeps it in the store.
pub(super) fn verified<'a>(
    fetched: &[FetchedIndex<'a>],
    keys: &KeyRing,
    context: Context<'_>,
) -> Result<Vec<RepositoryIndex<'a>>, MakeError> {
    context.jobs.map(fetched, |FetchedIndex { repository, place, bytes }| {
        let index =
            index::read(bytes, keys).map_err(|source| MakeError::Index { place: place.clone(), source })?;
        let locked = LockedRepository {
            name: repository.name.clone(),
            tag: repository.tag.clone(),
            description: index.description.clone(),
            index: context.store.put_blob(bytes)?,
            newest: index.records.iter().map(|record| record.build_time).max().filter(|&time| time > 0),
        };
        Ok(RepositoryIndex { repository, index, locked })
    })
}

/// The index of the repository at `location`, and where it was: the one for apk 3 is asked for where there is none for
/// apk 2, as a repository that has both has the same packages in both.
pub(super) fn fetch(location: &str, arch: Arch, client: &Client) -> Result<(String, Vec<u8>), FetchError> {
    let [two, three] = index::FILE_NAMES.map(|name| format!("{location}/{arch}/{name}"));
    match client.read(&two, MAX_INDEX) {
        Err(missing @ FetchError::Missing { .. }) => match client.read(&three, MAX_INDEX) {
            Ok(bytes) => Ok((three, bytes)),
            Err(FetchError::Missing { .. }) => Err(missing),
            Err(error) => Err(error),
        },
        other => other.map(|bytes| (two, bytes)),
    }
}

/// Where the index of `repository` is. It is asked for and not read: this says whether the mirror answers and has it.
///
/// # Errors
/// [`FetchError`] when it is not there, or nothing answers.
pub fn locate(repository: &Repository, arch: Arch, client: &Client) -> Result<String, FetchError> {
    let open = |place: String| client.open(&place, 0).map(|_| place);
    if let Some(index) = repository.own_index() {
        return open(index.to_owned());
    }
    let [two, three] = index::FILE_NAMES.map(|name| format!("{}/{arch}/{name}", repository.location));
    match open(two) {
        Err(missing @ FetchError::Missing { .. }) => match open(three) {
            Err(FetchError::Missing { .. }) => Err(missing),
            other => other,
        },
        other => other,
    }
}
