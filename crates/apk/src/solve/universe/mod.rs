//! All that could be installed: names, packages and who provides what, indexed once for any number of worlds.
//!
//! Everything is an index into an arena, and lists are ranges of one shared array, so that an index of 25,000
//! packages costs a few allocations. The order of every list is part of the contract: apk breaks ties by the
//! order in which its hash table hands out names, so the same order is kept here (see `build`).

mod build;
mod outline;

pub(crate) use build::{NAME_BUCKETS, bucket};
pub use outline::Outline;

use std::ops::Range;

use foldhash::HashMap;

use crate::dependency::Dependency;
use crate::record::{Checksum, Record};
use crate::solve::stock::Stock;
use crate::version::Op;
use build::Builder;

/// Repositories, and tags with one bit more, are bits of a word as in apk (which allows fewer).
pub(crate) const MAX_REPOSITORIES: usize = 63;

/// The records of one repository's index; its place in the list is its priority, the first being preferred.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// In the order of the index.
    pub records: &'a [Record],
    /// `edge` for a line `@edge https://...`: used only for what is pinned to it.
    pub tag: Option<&'a str>,
}

/// Why no universe can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UniverseError {
    /// More repositories than can be told apart.
    #[error("{0} repositories, expected at most {MAX_REPOSITORIES}")]
    TooManyRepositories(usize),
    /// More names, packages or dependencies than can be numbered.
    #[error("the indexes hold more than 2^32 names or dependencies")]
    TooLarge,
}

/// Something to be installed or provided, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NameId(pub u32);

/// A package, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PackageId(pub u32);

/// A dependency with its name looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dep<'a> {
    pub name: NameId,
    pub conflict: bool,
    pub constraint: Option<(Op, &'a str)>,
    /// As it was written, for explanations; in an [`Outline`], which gives none, it stands for nothing.
    pub dependency: &'a Dependency,
}

impl<'a> Dep<'a> {
    pub fn new(name: NameId, dependency: &'a Dependency) -> Self {
        let constraint = dependency.constraint.as_ref().map(|(op, version)| (*op, version.as_str()));
        Self { name, conflict: dependency.conflict, constraint, dependency }
    }

    /// The version that a `provides` gives.
    pub fn version(&self) -> Option<&'a str> {
        self.constraint.map(|(_, version)| version)
    }
}

/// A package that stands for a name, and as which version (`None`: a `provides` that gives none).
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider<'a> {
    pub package: PackageId,
    pub version: Option<&'a str>,
}

#[derive(Debug)]
struct Package<'a> {
    record: &'a Record,
    version: &'a str,
    priority: u16,
    /// It installs nothing.
    empty: bool,
    name: NameId,
    repositories: u64,
    installable: bool,
    /// Where its dependencies start in the shared array: first `depends`, then `provides`, then `install_if`.
    depends: u32,
    provides: u32,
    install_if: u32,
    end: u32,
}

/// Lists of `T`, one per name, in one array.
#[derive(Debug)]
pub(super) struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Sorts pairs into lists, keeping the order of the pairs within each.
    pub fn new(names: usize, pairs: &[(NameId, T)]) -> Self {
        let mut starts = vec![0_u32; names + 2];
        for (name, _) in pairs {
            starts[name.0 as usize + 2] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut items: Vec<T> = pairs.iter().map(|(_, item)| *item).collect();
        for (name, item) in pairs {
            let place = &mut starts[name.0 as usize + 1];
            items[*place as usize] = *item;
            *place += 1;
        }
        Self { starts, items }
    }

    /// A name that is in no index (a world may ask for one) has an empty list.
    pub fn of(&self, name: NameId) -> &[T] {
        let Range { start, end } = self.range(name);
        self.items.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Where its list is.
    pub fn range(&self, name: NameId) -> Range<u32> {
        let start = self.starts.get(name.0 as usize);
        let end = self.starts.get(name.0 as usize + 1);
        start.zip(end).map_or(0..0, |(start, end)| *start..*end)
    }
}

/// All that could be installed.
#[derive(Debug)]
pub struct Universe<'a> {
    texts: Vec<&'a str>,
    buckets: Vec<u32>,
    ids: HashMap<&'a str, NameId>,
    packages: Vec<Package<'a>>,
    deps: Vec<Dep<'a>>,
    providers: Lists<Provider<'a>>,
    dependents: Lists<PackageId>,
    triggers: Lists<NameId>,
    tags: Vec<(&'a str, u64)>,
    untagged: u64,
}

impl<'a> Universe<'a> {
    /// Indexes repositories for machines of `arch`. A record of another architecture takes part, so that an
    /// explanation can name it, but is never chosen; `noarch` and an empty one fit everywhere.
    pub fn new(repositories: &[Repository<'a>], arch: &str) -> Result<Self, UniverseError> {
        if repositories.len() > MAX_REPOSITORIES {
            return Err(UniverseError::TooManyRepositories(repositories.len()));
        }
        let mut builder = Builder::with_room_for(repositories);
        for (position, repository) in repositories.iter().enumerate() {
            builder.add_repository(repository, 1 << position, arch)?;
        }
        Ok(builder.finish())
    }

    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.texts.iter().copied()
    }

    pub(super) fn record(&self, package: PackageId) -> &'a Record {
        self.package(package).record
    }

    pub(super) fn name_of(&self, package: PackageId) -> NameId {
        self.package(package).name
    }

    /// The repositories that hold a package, the first being bit 0.
    pub(super) fn repositories_of(&self, package: PackageId) -> u64 {
        self.package(package).repositories
    }

    /// Whether the architecture fits and apk understands what it depends on.
    pub(super) fn is_installable(&self, package: PackageId) -> bool {
        self.package(package).installable
    }

    pub(super) fn depends(&self, package: PackageId) -> &[Dep<'a>] {
        let package = self.package(package);
        self.slice(package.depends, package.provides)
    }

    pub(super) fn provides(&self, package: PackageId) -> &[Dep<'a>] {
        let package = self.package(package);
        self.slice(package.provides, package.install_if)
    }

    fn slice(&self, start: u32, end: u32) -> &[Dep<'a>] {
        self.deps.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The packages of that name and those that provide it, in the order of the indexes.
    pub(super) fn providers(&self, name: NameId) -> &[Provider<'a>] {
        self.providers.of(name)
    }

    /// Names of which some provider has this one in its `install_if`.
    pub(super) fn triggers(&self, name: NameId) -> &[NameId] {
        self.triggers.of(name)
    }

    /// The tags in order of first appearance, each with its repositories.
    pub(super) fn tags(&self) -> &[(&'a str, u64)] {
        &self.tags
    }

    // A `PackageId` is made only by the builder, for a package it has pushed.
    fn package(&self, package: PackageId) -> &Package<'a> {
        &self.packages[package.0 as usize]
    }
}

/// Notes the tag of a repository.
fn add_tag<'a>(tags: &mut Vec<(&'a str, u64)>, untagged: &mut u64, tag: Option<&'a str>, bit: u64) {
    match tag {
        None => *untagged |= bit,
        Some(tag) => match tags.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, repositories)) => *repositories |= bit,
            None => tags.push((tag, bit)),
        },
    }
}

impl<'a> Stock<'a> for Universe<'a> {
    fn name_count(&self) -> usize {
        self.texts.len()
    }

    fn package_count(&self) -> usize {
        self.packages.len()
    }

    fn find_all(&self, names: &[&str]) -> Vec<Option<NameId>> {
        names.iter().map(|name| self.find(name)).collect()
    }

    fn bucket(&self, name: NameId) -> u32 {
        self.buckets.get(name.0 as usize).copied().unwrap_or_default()
    }

    fn provider_list(&self, name: NameId) -> Range<u32> {
        self.providers.range(name)
    }

    fn provider(&self, at: u32) -> Provider<'a> {
        self.providers.items[at as usize]
    }

    fn provider_package(&self, at: u32) -> PackageId {
        self.providers.items[at as usize].package
    }

    fn depend_list(&self, package: PackageId) -> Range<u32> {
        let package = self.package(package);
        package.depends..package.provides
    }

    fn provide_list(&self, package: PackageId) -> Range<u32> {
        let package = self.package(package);
        package.provides..package.install_if
    }

    fn install_if_list(&self, package: PackageId) -> Range<u32> {
        let package = self.package(package);
        package.install_if..package.end
    }

    fn dep(&self, at: u32) -> Dep<'a> {
        self.deps[at as usize]
    }

    fn dep_name(&self, at: u32) -> NameId {
        self.deps[at as usize].name
    }

    fn dependent_list(&self, name: NameId) -> Range<u32> {
        self.dependents.range(name)
    }

    fn dependent(&self, at: u32) -> PackageId {
        self.dependents.items[at as usize]
    }

    fn trigger_list(&self, name: NameId) -> Range<u32> {
        self.triggers.range(name)
    }

    fn trigger(&self, at: u32) -> NameId {
        self.triggers.items[at as usize]
    }

    fn name_of(&self, package: PackageId) -> NameId {
        self.package(package).name
    }

    fn version(&self, package: PackageId) -> &'a str {
        self.package(package).version
    }

    fn priority(&self, package: PackageId) -> u16 {
        self.package(package).priority
    }

    fn is_empty(&self, package: PackageId) -> bool {
        self.package(package).empty
    }

    fn is_installable(&self, package: PackageId) -> bool {
        self.package(package).installable
    }

    fn repositories_of(&self, package: PackageId) -> u64 {
        self.package(package).repositories
    }

    fn checksum(&self, package: PackageId) -> Option<Checksum> {
        Some(self.record(package).checksum)
    }

    fn untagged(&self) -> u64 {
        self.untagged
    }

    fn tags(&self) -> &[(&'a str, u64)] {
        &self.tags
    }
}
