//! Indexes in the form that resolution starts from, which the store keeps: indexes that have not changed are neither
//! inflated nor read again.
//!
//! This is the fast way to a lock that has nothing to explain: whatever is not as it should be (a damaged index, a
//! world that nothing fits) is left to the way by records, which says what it is. Signatures are checked each time,
//! with the keys of that time; only what was read of the signed bytes is kept, under their digests and the form's
//! version. What is kept is digested before it is used, or has a seal that says that it was since this boot.

use hoopy_apk::catalogue::{self, Catalogue};
use hoopy_apk::resolve::{Choice, Outline};
use hoopy_apk::signature::{KeyRing, Verified};
use hoopy_apk::{Dependency, index};
use hoopy_base::arch::Arch;
use hoopy_base::digest::{ContentId, RecipeId};
use hoopy_base::jobs::Jobs;
use hoopy_store::{Store, StoreError};

use super::indexes::FetchedIndex;
use super::tools::{Tool, of_root};
use crate::config::Repository;
use crate::context::Context;
use hoopy_lock::{LockedRepository, Role};

/// The repositories of a system with what their verified indexes hold.
#[derive(Debug)]
pub(super) struct IndexCatalogue<'a> {
    /// Where they are.
    pub repositories: Vec<&'a Repository>,
    /// What the lock says of them.
    pub locked: Vec<LockedRepository>,
    catalogue: Catalogue,
    /// Under which the store is to keep it, where it does not yet.
    unkept: Option<RecipeId>,
}

impl<'a> IndexCatalogue<'a> {
    /// Verifies every index that was fetched, in order; `None` where one is not as it should be.
    pub fn all(
        fetched: &[FetchedIndex<'a>],
        arch: Arch,
        keys: &KeyRing,
        context: Context<'_>,
    ) -> Result<Option<Self>, StoreError> {
        let store = context.store;
        let verified = context.jobs.map(fetched, |FetchedIndex { bytes, .. }| {
            let Ok(verified) = index::verify(bytes, keys) else { return Ok(None) };
            Ok(Some((verified, store.put_blob(bytes)?)))
        })?;
        let Some(verified) = verified.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let ids: Vec<ContentId> = verified.iter().map(|(_, id)| *id).collect();
        let indexes: Vec<_> = verified.into_iter().map(|(verified, _)| verified).collect();
        let Some((catalogue, unkept)) = catalogue(&indexes, &ids, arch, context.jobs, store)? else {
            return Ok(None);
        };
        let repositories: Vec<&Repository> = fetched.iter().map(|f| f.repository).collect();
        let named = repositories.iter().zip(&ids).zip(catalogue.descriptions()).zip(catalogue.newest());
        let locked = named.map(|(((repository, index), description), newest)| LockedRepository {
            name: repository.name.clone(),
            tag: repository.tag.clone(),
            description: description.clone(),
            index: *index,
            newest: Some(newest).filter(|&time| time > 0),
        });
        let locked: Vec<LockedRepository> = locked.collect();
        let whole = locked.len() == fetched.len();
        Ok(whole.then_some(Self { repositories, locked, catalogue, unkept }))
    }

    /// Writes down what was read, if it was not yet: nobody has to wait for it but who wants to end.
    pub fn keep(&self, store: &Store) -> Result<(), StoreError> {
        self.unkept.map_or(Ok(()), |recipe| keep(&self.catalogue, recipe, store))
    }
}

/// The catalogue of the indexes that have these digests: the store's, or a new one and what it is to be kept under.
fn catalogue(
    indexes: &[Verified<&[u8]>],
    ids: &[ContentId],
    arch: Arch,
    jobs: &Jobs,
    store: &Store,
) -> Result<Option<(Catalogue, Option<RecipeId>)>, StoreError> {
    let recipe = recipe(ids, arch);
    let kept = store.recall(recipe).and_then(|id| Catalogue::open(store.open_blob(id).ok()??).ok());
    if let Some(kept) = kept {
        return Ok(Some((kept, None)));
    }
    let read = |index: &Verified<&[u8]>| Ok(index::catalogue(index.clone(), arch.as_str()).ok());
    let read: Vec<_> = jobs.map::<_, _, StoreError>(indexes, read)?;
    let made = read.into_iter().collect::<Option<_>>().and_then(|read| Catalogue::of(read).ok());
    Ok(made.map(|made| (made, Some(recipe))))
}

fn keep(made: &Catalogue, recipe: RecipeId, store: &Store) -> Result<(), StoreError> {
    match made.to_bytes() {
        Ok(form) => store.remember(recipe, &store.put_blob(&form)?),
        Err(_) => Ok(()),
    }
}

fn recipe(ids: &[ContentId], arch: Arch) -> RecipeId {
    let of = [&catalogue::FORMAT[..], arch.as_str().as_bytes()];
    let fields: Vec<&[u8]> = of.into_iter().chain(ids.iter().map(|id| id.as_bytes().as_slice())).collect();
    RecipeId::of_fields("hoopy catalogue of indexes", &fields)
}

/// What the world needs, and the packages of which hoopy itself takes a file; `None` where something is not to be had.
pub(super) fn choose<'l>(
    listed: &'l IndexCatalogue<'_>,
    world: &[Dependency],
    tools: &[Tool],
) -> Option<Vec<(Role, Choice<'l>)>> {
    let tags: Vec<Option<&str>> = listed.repositories.iter().map(|r| r.tag.as_deref()).collect();
    let outline = Outline::new(&listed.catalogue, &tags).ok()?;
    let mut chosen = of_root(outline.solve(world)?);
    for tool in tools {
        chosen.extend(tool.of(outline.solve(&tool.wanted)?));
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use hoopy_apk::index::Index;
    use hoopy_apk::signature::SigningKey;
    use hoopy_apk::{Record, Version};

    use super::*;

    #[test]
    fn what_is_kept_of_an_index_is_used_again_while_it_is_whole_and_its_key_is_trusted() {
        let key = SigningKey::generate("test.rsa.pub", 1024).unwrap();
        let mut keys = KeyRing::default();
        keys.add(key.name(), key.public_pem().unwrap().as_bytes()).unwrap();
        let record = Record { name: "a".into(), version: Version::new("1-r0"), ..Record::empty() };
        let index = Index { description: "of a test".to_owned(), records: vec![record] };
        let bytes = hoopy_apk::index::write(&index, &key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let id = store.put_blob(&bytes).unwrap();
        let read = |keys: &KeyRing| {
            let verified = index::verify(&bytes, keys).ok()?;
            let (catalogue, unkept) =
                catalogue(&[verified], &[id], Arch::X86_64, &Jobs::new(1), &store).unwrap()?;
            if let Some(recipe) = unkept {
                keep(&catalogue, recipe, &store).unwrap();
            }
            Some(catalogue)
        };
        let others = || {
            let blobs = std::fs::read_dir(dir.path().join("blob")).unwrap().map(|blob| blob.unwrap().path());
            blobs.filter(|path| *path != store.blob_path(id)).collect::<Vec<_>>()
        };

        let first = read(&keys).unwrap();
        assert_eq!((first.len(), first.descriptions()), (1, &["of a test".to_owned()][..]));
        let kept = others();
        assert_eq!(kept.len(), 1);
        assert!(read(&KeyRing::default()).is_none());
        let form = std::fs::read(&kept[0]).unwrap();
        std::fs::write(&kept[0], [b"x", &form[1..]].concat()).unwrap();
        assert_eq!(read(&keys).unwrap().descriptions(), ["of a test"]);
        assert_eq!(std::fs::read(&kept[0]).unwrap(), form);
        assert_eq!(others(), kept);
    }
}
