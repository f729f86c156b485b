//! Indexes in the form that resolution starts from, which the store keeps: an index that has not changed is neither
//! inflated nor read again.
//!
//! This is the fast way to a lock that has nothing to explain: whatever is not as it should be (a damaged index, a
//! world that nothing fits) is left to the way by records, which says what it is. A signature is checked each time,
//! with the keys of that time; only what was read of the signed bytes is kept, under their digest and the form's
//! version, and checked against its own digest when it is read.

use hoopy_apk::Dependency;
use hoopy_apk::catalogue::{self, Catalogue};
use hoopy_apk::index;
use hoopy_apk::signature::{KeyRing, Verified};
use hoopy_apk::solve::{Choice, Outline};

use super::file::{LockedRepository, Role};
use super::indexes::Fetched;
use super::make::with_roles;
use crate::arch::Arch;
use crate::config::Repository;
use crate::digest::{ContentId, RecipeId};
use crate::parallel;
use crate::store::{Store, StoreError};

/// A repository with its verified index.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    /// Where it is.
    pub repository: &'a Repository,
    /// What the lock says of it.
    pub locked: LockedRepository,
    catalogue: Catalogue,
}

impl<'a> Listed<'a> {
    /// Verifies every index that was fetched, in order; `None` where one is not as it should be.
    pub fn all(
        fetched: &[Fetched<'a>],
        keys: &KeyRing,
        store: &Store,
    ) -> Result<Option<Vec<Self>>, StoreError> {
        let listed = parallel::map(fetched, |Fetched { repository, bytes, .. }| {
            let Ok(verified) = index::verify(bytes, keys) else { return Ok(None) };
            let index = store.put_blob(bytes)?;
            let Some(catalogue) = catalogue(verified, index, store)? else { return Ok(None) };
            let description = catalogue.description().to_owned();
            let locked = LockedRepository { name: repository.name.clone(), description, index };
            Ok(Some(Self { repository, locked, catalogue }))
        })?;
        Ok(listed.into_iter().collect())
    }
}

/// The catalogue of an index whose digest is `index`: the store's, or a new one.
fn catalogue(
    verified: Verified<&[u8]>,
    index: ContentId,
    store: &Store,
) -> Result<Option<Catalogue>, StoreError> {
    let recipe = RecipeId::of_fields("hoopy catalogue of an index", &[index.as_bytes(), &catalogue::FORMAT]);
    let kept = store.recall(recipe).and_then(|id| Catalogue::from_bytes(store.read_blob(id)?).ok());
    if kept.is_some() {
        return Ok(kept);
    }
    let Ok(read) = index::catalogue(verified) else { return Ok(None) };
    store.remember(recipe, &store.put_blob(&read.to_bytes())?)?;
    Ok(Some(read))
}

/// What the world needs, and the package that brings the EFI stub; `None` where something is not to be had.
pub(super) fn choose<'l>(
    listed: &'l [Listed<'_>],
    world: &[Dependency],
    stub: &[Dependency],
    arch: Arch,
) -> Option<Vec<(Role, Choice<'l>)>> {
    let catalogues: Vec<_> = listed.iter().map(|l| (&l.catalogue, l.repository.tag.as_deref())).collect();
    let outline = Outline::new(&catalogues, arch.as_str()).ok()?;
    Some(with_roles(outline.solve(world)?, outline.solve(stub)?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use hoopy_apk::index::Index;
    use hoopy_apk::signature::SigningKey;
    use hoopy_apk::{Record, Version};

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
        let read = |keys: &KeyRing| catalogue(index::verify(&bytes, keys).ok()?, id, &store).unwrap();
        let others = || {
            let blobs = std::fs::read_dir(dir.path().join("blob")).unwrap().map(|blob| blob.unwrap().path());
            blobs.filter(|path| *path != store.blob_path(id)).collect::<Vec<_>>()
        };

        let first = read(&keys).unwrap();
        assert_eq!((first.len(), first.description()), (1, "of a test"));
        let kept = others();
        assert_eq!(kept.len(), 1);
        assert!(read(&KeyRing::default()).is_none());
        let form = std::fs::read(&kept[0]).unwrap();
        std::fs::write(&kept[0], [b"x", &form[1..]].concat()).unwrap();
        assert_eq!(read(&keys).unwrap().description(), "of a test");
        assert_eq!(std::fs::read(&kept[0]).unwrap(), form);
        assert_eq!(others(), kept);
    }
}
