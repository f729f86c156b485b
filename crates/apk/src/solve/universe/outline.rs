//! What there is to choose from, of a catalogue: nothing is made ready of what a world does not reach, which for a
//! large index is most of the work.

use std::ops::Range;
use std::sync::LazyLock;

use super::{Dep, MAX_REPOSITORIES, NameId, PackageId, Provider, UniverseError};
use crate::catalogue::Catalogue;
use crate::dependency::Dependency;
use crate::record::Checksum;
use crate::solve::stock::Stock;
use crate::solve::{Choice, Solution, choose, pinned, sorted};

/// What an outline's dependencies were written like, which only an explanation would ask for.
static NOBODYS: LazyLock<Dependency> =
    LazyLock::new(|| Dependency { name: "".into(), conflict: false, tag: None, constraint: None });

/// What could be installed, without what explanations are made of: it finds what a world needs as
/// [`crate::solve::solve`] does, and where there is nothing to be found that has to be asked why.
#[derive(Debug)]
pub struct Outline<'a> {
    catalogue: &'a Catalogue,
    repositories: usize,
    tags: Vec<(&'a str, u64)>,
    untagged: u64,
}

impl<'a> Outline<'a> {
    /// What a catalogue has; `tags` has the tag of each of its repositories, if it has one.
    ///
    /// # Errors
    /// [`UniverseError`].
    pub fn new(catalogue: &'a Catalogue, tags: &[Option<&'a str>]) -> Result<Self, UniverseError> {
        if tags.len() > MAX_REPOSITORIES {
            return Err(UniverseError::TooManyRepositories(tags.len()));
        }
        let mut outline = Self { catalogue, repositories: tags.len(), tags: Vec::new(), untagged: 0 };
        for (position, tag) in tags.iter().enumerate() {
            super::add_tag(&mut outline.tags, &mut outline.untagged, *tag, 1 << position);
        }
        Ok(outline)
    }

    /// What apk would install, each with as much of its record as a lock says of it; `None` where it would refuse the
    /// world, or where the catalogue cannot be read.
    pub fn solve<'w>(&self, world: &'w [Dependency]) -> Option<Solution<'a>>
    where
        'a: 'w,
    {
        let (world, names) = sorted(self, world);
        let (demands, refused) = pinned(self, &world);
        if !refused.is_empty() {
            return None;
        }
        let order = choose(self, names, &demands).ok()?;
        let choice = |package: PackageId| {
            let repository = self.catalogue.repositories_of(package.0).trailing_zeros() as usize;
            let record = self.catalogue.record(package.0)?;
            (repository < self.repositories).then_some(Choice { record, repository })
        };
        let install = order.into_iter().map(choice).collect::<Option<_>>()?;
        Some(Solution { install })
    }
}

impl<'a, 'w> Stock<'w> for Outline<'a>
where
    'a: 'w,
{
    fn name_count(&self) -> usize {
        self.catalogue.name_count()
    }

    fn package_count(&self) -> usize {
        self.catalogue.len()
    }

    fn find_all(&self, names: &[&str]) -> Vec<Option<NameId>> {
        self.catalogue.find_all(names).into_iter().map(|name| name.map(NameId)).collect()
    }

    fn bucket(&self, name: NameId) -> u32 {
        self.catalogue.bucket(name.0)
    }

    fn provider_list(&self, name: NameId) -> Range<u32> {
        self.catalogue.providers(name.0)
    }

    fn provider(&self, at: u32) -> Provider<'w> {
        let (package, version) = self.catalogue.provider(at);
        Provider { package: PackageId(package), version }
    }

    fn provider_package(&self, at: u32) -> PackageId {
        PackageId(self.catalogue.provider_package(at))
    }

    fn depend_list(&self, package: PackageId) -> Range<u32> {
        self.catalogue.depends(package.0)
    }

    fn provide_list(&self, package: PackageId) -> Range<u32> {
        self.catalogue.provides(package.0)
    }

    fn install_if_list(&self, package: PackageId) -> Range<u32> {
        self.catalogue.install_if(package.0)
    }

    fn dep(&self, at: u32) -> Dep<'w> {
        let mention = self.catalogue.mention(at);
        Dep {
            name: NameId(mention.name),
            conflict: mention.conflict,
            constraint: mention.constraint,
            dependency: &NOBODYS,
        }
    }

    fn dep_name(&self, at: u32) -> NameId {
        NameId(self.catalogue.mentioned_name(at))
    }

    fn dependent_list(&self, name: NameId) -> Range<u32> {
        self.catalogue.dependents(name.0)
    }

    fn dependent(&self, at: u32) -> PackageId {
        PackageId(self.catalogue.dependent(at))
    }

    fn trigger_list(&self, name: NameId) -> Range<u32> {
        self.catalogue.triggers(name.0)
    }

    fn trigger(&self, at: u32) -> NameId {
        NameId(self.catalogue.trigger(at))
    }

    fn name_of(&self, package: PackageId) -> NameId {
        NameId(self.catalogue.name_of(package.0))
    }

    fn version(&self, package: PackageId) -> &'w str {
        self.catalogue.version(package.0)
    }

    fn priority(&self, package: PackageId) -> u16 {
        self.catalogue.priority(package.0)
    }

    fn is_empty(&self, package: PackageId) -> bool {
        self.catalogue.is_empty_package(package.0)
    }

    fn is_installable(&self, package: PackageId) -> bool {
        self.catalogue.is_installable(package.0)
    }

    fn repositories_of(&self, package: PackageId) -> u64 {
        self.catalogue.repositories_of(package.0)
    }

    fn checksum(&self, package: PackageId) -> Option<Checksum> {
        self.catalogue.checksum(package.0)
    }

    fn untagged(&self) -> u64 {
        self.untagged
    }

    fn tags(&self) -> &[(&'w str, u64)] {
        &self.tags
    }
}
