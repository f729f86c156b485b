//! A universe of catalogues: no record is made but of what is chosen, which for a large index is most of the work.

use std::sync::LazyLock;

use super::build::{Builder, fits, number};
use super::{Dep, MAX_REPOSITORIES, NameId, Package, PackageId, Source, Universe, UniverseError};
use crate::catalogue::Catalogue;
use crate::dependency::Dependency;
use crate::solve::{Solution, choose, pinned, solution, sorted};

/// What an outline's dependencies were written like, which only an explanation would ask for.
static NOBODYS: LazyLock<Dependency> =
    LazyLock::new(|| Dependency { name: "".into(), conflict: false, tag: None, constraint: None });

/// What could be installed, without what explanations are made of: it finds what a world needs as
/// [`crate::solve::solve`] does, and where there is nothing to be found that has to be asked why.
#[derive(Debug)]
pub struct Outline<'a>(Universe<'a>);

impl<'a> Outline<'a> {
    /// Indexes catalogues, each with its tag if it has one, for machines of `arch`; see [`Universe::new`].
    ///
    /// # Errors
    /// [`UniverseError`].
    pub fn new(catalogues: &[(&'a Catalogue, Option<&'a str>)], arch: &str) -> Result<Self, UniverseError> {
        if catalogues.len() > MAX_REPOSITORIES {
            return Err(UniverseError::TooManyRepositories(catalogues.len()));
        }
        let mut builder = Builder::default();
        for (position, (catalogue, tag)) in catalogues.iter().enumerate() {
            builder.add_tag(*tag, 1 << position);
            builder.add_catalogue(catalogue, 1 << position, arch)?;
            if position + 1 < catalogues.len() {
                builder.remember_checksums();
            }
        }
        Ok(Self(builder.finish()))
    }

    /// What apk would install; `None` where it would refuse the world.
    pub fn solve<'w>(&self, world: &'w [Dependency]) -> Option<Solution<'a>>
    where
        'a: 'w,
    {
        let (world, names) = sorted(&self.0, world);
        let (demands, refused) = pinned(&self.0, &world);
        if !refused.is_empty() {
            return None;
        }
        choose(&self.0, names, &demands).ok().map(|order| solution(&self.0, order))
    }
}

impl<'a> Builder<'a> {
    fn add_catalogue(&mut self, catalogue: &'a Catalogue, bit: u64, arch: &str) -> Result<(), UniverseError> {
        let ids = self.number_names(catalogue)?;
        self.reserve(catalogue);
        for package in 0..number(catalogue.len())? {
            let checksum = catalogue.package(package).checksum;
            // The very same package of an earlier repository. (Within one, a catalogue has it but once.)
            match self.by_checksum.get(checksum).and_then(|known| self.packages.get_mut(known.0 as usize)) {
                Some(known) => known.repositories |= bit,
                None => self.add_package(catalogue, package, &ids, bit, arch)?,
            }
        }
        self.catalogues.push((catalogue, ids));
        Ok(())
    }

    /// Growing the tables would cost more than filling them.
    fn reserve(&mut self, catalogue: &Catalogue) {
        let (names, packages, mentions) = catalogue.counts();
        self.texts.reserve(names);
        self.buckets.reserve(names);
        self.packages.reserve(packages);
        self.deps.reserve(mentions);
        self.providers.reserve(packages + mentions);
    }

    /// So that a later repository's very same package is known.
    fn remember_checksums(&mut self) {
        let checksum = |package: &Package<'a>| match package.source {
            Source::Catalogue(catalogue, number) => catalogue.package(number).checksum,
            Source::Record(_) => "",
        };
        self.by_checksum = (0..).zip(&self.packages).map(|(id, p)| (checksum(p), PackageId(id))).collect();
    }

    /// What each name is here, by its number in the catalogue.
    fn number_names(&mut self, catalogue: &'a Catalogue) -> Result<Vec<NameId>, UniverseError> {
        let mut ids = Vec::with_capacity(catalogue.counts().0);
        self.catalogues.iter().for_each(|(earlier, _)| earlier.make_table());
        for (text, bucket) in catalogue.names() {
            let known = self
                .catalogues
                .iter()
                .find_map(|(earlier, ids)| ids.get(earlier.find(text)? as usize).copied());
            let id = match known {
                Some(id) => id,
                None => {
                    let id = NameId(number(self.texts.len())?);
                    self.texts.push(text);
                    self.buckets.push(bucket);
                    id
                }
            };
            ids.push(id);
        }
        Ok(ids)
    }

    fn add_package(
        &mut self,
        catalogue: &'a Catalogue,
        number_there: u32,
        ids: &[NameId],
        bit: u64,
        arch: &str,
    ) -> Result<(), UniverseError> {
        let package = PackageId(number(self.packages.len())?);
        let found = catalogue.package(number_there);
        let id = |name: u32| ids.get(name as usize).copied().unwrap_or(NameId(0));
        let mut starts = [0; 4];
        for (start, list) in starts.iter_mut().zip([found.depends, found.provides, found.install_if, &[]]) {
            *start = number(self.deps.len())?;
            self.deps.extend(list.iter().map(|mention| Dep {
                name: id(mention.name),
                conflict: mention.conflict,
                constraint: mention.op.map(|op| (op, catalogue.part(mention.version))),
                dependency: &NOBODYS,
            }));
        }
        let [depends, provides, install_if, end] = starts;
        let name = id(found.name);
        self.add_providers(name, package, found.version, provides..install_if)?;
        self.packages.push(Package {
            source: Source::Catalogue(catalogue, number_there),
            version: found.version,
            priority: found.priority,
            empty: found.empty,
            name,
            repositories: bit,
            installable: fits(found.arch, arch) && found.installable,
            depends,
            provides,
            install_if,
            end: if found.waits { end } else { install_if },
        });
        Ok(())
    }
}
