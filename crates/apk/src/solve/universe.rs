//! All that could be installed: names, packages and who provides what, indexed once for any number of worlds.
//!
//! Everything is an index into an arena, and lists are ranges of one shared array, so that an index of 25,000
//! packages costs a few allocations. The order of every list is part of the contract: apk breaks ties by the
//! order in which its hash table hands out names, so the same order is kept here (see [`bucket`]).

use std::collections::HashMap;
use std::ops::Range;

use crate::dependency::Dependency;
use crate::record::{Checksum, Record};
use crate::version::Version;

/// Repositories, and tags with one bit more, are bits of a word as in apk (which allows fewer).
const MAX_REPOSITORIES: usize = 63;

/// Buckets in apk's hash table of names.
const NAME_BUCKETS: u32 = 20_000;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
const IDENTITY_LENGTH: usize = 20;

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
    pub dependency: &'a Dependency,
}

/// A package that stands for a name, and as which version (`None`: a `provides` that gives none).
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider<'a> {
    pub package: PackageId,
    pub version: Option<&'a Version>,
}

#[derive(Debug)]
struct Package<'a> {
    record: &'a Record,
    name: NameId,
    repositories: u64,
    installable: bool,
    depends: Range<usize>,
    provides: Range<usize>,
    install_if: Range<usize>,
}

/// Lists of `T`, one per name, in one array.
#[derive(Debug)]
struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Sorts pairs into lists, keeping the order of the pairs within each.
    fn new(names: usize, pairs: &[(NameId, T)]) -> Self {
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
    fn of(&self, name: NameId) -> &[T] {
        let start = self.starts.get(name.0 as usize);
        let end = self.starts.get(name.0 as usize + 1);
        match (start, end) {
            (Some(start), Some(end)) => self.items.get(*start as usize..*end as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// All that could be installed.
#[derive(Debug)]
pub struct Universe<'a> {
    texts: Vec<&'a str>,
    ids: HashMap<&'a str, NameId>,
    packages: Vec<Package<'a>>,
    deps: Vec<Dep<'a>>,
    providers: Lists<Provider<'a>>,
    needed_by: Lists<NameId>,
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
        let mut builder = Builder::default();
        for (position, repository) in repositories.iter().enumerate() {
            builder.add_repository(repository, 1 << position, arch)?;
        }
        Ok(builder.finish())
    }

    /// How many names are known.
    pub(super) fn name_count(&self) -> usize {
        self.texts.len()
    }

    /// How many packages are known.
    pub(super) fn package_count(&self) -> usize {
        self.packages.len()
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
        self.deps.get(self.package(package).depends.clone()).unwrap_or_default()
    }

    pub(super) fn provides(&self, package: PackageId) -> &[Dep<'a>] {
        self.deps.get(self.package(package).provides.clone()).unwrap_or_default()
    }

    pub(super) fn install_if(&self, package: PackageId) -> &[Dep<'a>] {
        self.deps.get(self.package(package).install_if.clone()).unwrap_or_default()
    }

    /// The packages of that name and those that provide it, in the order of the indexes.
    pub(super) fn providers(&self, name: NameId) -> &[Provider<'a>] {
        self.providers.of(name)
    }

    /// Names of which some provider depends on this one.
    pub(super) fn needed_by(&self, name: NameId) -> &[NameId] {
        self.needed_by.of(name)
    }

    /// Names of which some provider has this one in its `install_if`.
    pub(super) fn triggers(&self, name: NameId) -> &[NameId] {
        self.triggers.of(name)
    }

    /// The repositories without tag.
    pub(super) fn untagged(&self) -> u64 {
        self.untagged
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

#[derive(Default)]
struct Builder<'a> {
    texts: Vec<&'a str>,
    ids: HashMap<&'a str, NameId>,
    packages: Vec<Package<'a>>,
    by_identity: HashMap<[u8; IDENTITY_LENGTH], PackageId>,
    deps: Vec<Dep<'a>>,
    providers: Vec<(NameId, Provider<'a>)>,
    tags: Vec<(&'a str, u64)>,
    untagged: u64,
}

impl<'a> Builder<'a> {
    fn add_repository(
        &mut self,
        repository: &Repository<'a>,
        bit: u64,
        arch: &str,
    ) -> Result<(), UniverseError> {
        match repository.tag {
            None => self.untagged |= bit,
            Some(tag) => match self.tags.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, repositories)) => *repositories |= bit,
                None => self.tags.push((tag, bit)),
            },
        }
        self.ids.reserve(repository.records.len());
        for record in repository.records {
            match self.by_identity.get(&identity(&record.checksum)) {
                // The very same package in a second repository: one package, found in both.
                Some(known) => self.packages[known.0 as usize].repositories |= bit,
                None => self.add_record(record, bit, arch)?,
            }
        }
        Ok(())
    }

    fn add_record(&mut self, record: &'a Record, bit: u64, arch: &str) -> Result<(), UniverseError> {
        let package = PackageId(number(self.packages.len())?);
        let name = self.intern(&record.name)?;
        let depends = self.intern_all(&record.depends)?;
        let provides = self.intern_all(&record.provides)?;
        let mut install_if = self.intern_all(&record.install_if)?;
        if !record.install_if.iter().all(Dependency::has_valid_version) {
            // A condition that cannot be read in full is none.
            install_if.end = install_if.start;
        }
        self.providers.push((name, Provider { package, version: Some(&record.version) }));
        for dep in self.deps.get(provides.clone()).unwrap_or_default() {
            let version = dep.dependency.constraint.as_ref().map(|(_, version)| version);
            self.providers.push((dep.name, Provider { package, version }));
        }
        number(self.providers.len())?;
        self.by_identity.insert(identity(&record.checksum), package);
        let fits = record.arch.is_empty() || &*record.arch == "noarch" || &*record.arch == arch;
        let installable = fits && record.depends.iter().all(Dependency::has_valid_version);
        let repositories = bit;
        self.packages.push(Package {
            record,
            name,
            repositories,
            installable,
            depends,
            provides,
            install_if,
        });
        Ok(())
    }

    fn intern_all(&mut self, dependencies: &'a [Dependency]) -> Result<Range<usize>, UniverseError> {
        let start = self.deps.len();
        for dependency in dependencies {
            let name = self.intern(&dependency.name)?;
            self.deps.push(Dep { name, dependency });
        }
        Ok(start..self.deps.len())
    }

    fn intern(&mut self, text: &'a str) -> Result<NameId, UniverseError> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        let id = NameId(number(self.texts.len())?);
        self.texts.push(text);
        self.ids.insert(text, id);
        Ok(id)
    }

    fn finish(self) -> Universe<'a> {
        let count = self.texts.len();
        let none = || Lists::new(count, &[]);
        let mut universe = Universe {
            providers: Lists::new(count, &self.providers),
            texts: self.texts,
            ids: self.ids,
            packages: self.packages,
            deps: self.deps,
            needed_by: none(),
            triggers: none(),
            tags: self.tags,
            untagged: self.untagged,
        };
        universe.needed_by = reverse(&universe, |package| universe.depends(package));
        universe.triggers = reverse(&universe, |package| universe.install_if(package));
        universe
    }
}

/// For each name, the names whose providers refer to it, in the order of apk's hash table.
fn reverse<'u, 'a: 'u>(
    universe: &'u Universe<'a>,
    refers: impl Fn(PackageId) -> &'u [Dep<'a>],
) -> Lists<NameId> {
    let count = universe.name_count();
    let mut pairs = Vec::with_capacity(universe.deps.len());
    let mut last_seen_by = vec![None; count];
    for name in hash_order(&universe.texts) {
        for provider in universe.providers(name) {
            for dep in refers(provider.package) {
                let last = &mut last_seen_by[dep.name.0 as usize];
                if *last != Some(name) {
                    *last = Some(name);
                    pairs.push((dep.name, name));
                }
            }
        }
    }
    Lists::new(count, &pairs)
}

/// The names as apk walks its hash table: bucket by bucket, within one the latest first.
fn hash_order(texts: &[&str]) -> Vec<NameId> {
    let mut keyed: Vec<(u32, u32)> =
        (0_u32..).zip(texts).map(|(id, text)| (bucket(text.as_bytes()), u32::MAX - id)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, id)| NameId(u32::MAX - id)).collect()
}

/// The bucket of a name: MurmurHash3 (x86, 32 bits; public domain, Austin Appleby) with apk's seed.
fn bucket(text: &[u8]) -> u32 {
    const SEED: u32 = 5381;
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = SEED;
    let mut words = text.chunks_exact(4);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        hash = (hash ^ scramble(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = words.remainder().iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    hash ^= scramble(tail);
    // apk's blobs count their length in a machine word; only its low half takes part.
    hash ^= text.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) % NAME_BUCKETS
}

fn identity(checksum: &Checksum) -> [u8; IDENTITY_LENGTH] {
    match checksum {
        Checksum::Sha1(digest) => *digest,
        Checksum::Sha256(digest) => std::array::from_fn(|i| digest[i]),
    }
}

fn number(count: usize) -> Result<u32, UniverseError> {
    u32::try_from(count).map_err(|_| UniverseError::TooLarge)
}
