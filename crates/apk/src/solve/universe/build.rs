//! Making a universe: one walk over the records numbers all names, a second one over apk's order of names finds who
//! refers to whom.

use std::collections::hash_map::Entry;
use std::ops::Range;

use foldhash::{HashMap, HashMapExt};

use super::{Dep, Lists, NameId, Package, PackageId, Provider, Repository, Universe, UniverseError};
use crate::dependency::Dependency;
use crate::record::{Checksum, Record};

/// Buckets in apk's hash table of names.
pub(crate) const NAME_BUCKETS: u32 = 20_000;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
const IDENTITY_LENGTH: usize = 20;

/// A universe in the making.
#[derive(Default)]
pub(super) struct Builder<'a> {
    pub(super) texts: Vec<&'a str>,
    /// Each name's bucket in apk's hash table.
    pub(super) buckets: Vec<u32>,
    ids: HashMap<&'a str, NameId>,
    pub(super) packages: Vec<Package<'a>>,
    by_identity: HashMap<[u8; IDENTITY_LENGTH], PackageId>,
    pub(super) deps: Vec<Dep<'a>>,
    pub(super) providers: Vec<(NameId, Provider<'a>)>,
    tags: Vec<(&'a str, u64)>,
    untagged: u64,
}

impl<'a> Builder<'a> {
    /// Growing the tables would cost more than filling them.
    pub(super) fn with_room_for(repositories: &[Repository<'a>]) -> Self {
        let records = || repositories.iter().flat_map(|repository| repository.records);
        let packages = records().count();
        let provided = packages + records().map(|record| record.provides.len()).sum::<usize>();
        let asked = records().map(|record| record.depends.len() + record.install_if.len()).sum::<usize>();
        Self {
            texts: Vec::with_capacity(provided),
            buckets: Vec::with_capacity(provided),
            ids: HashMap::with_capacity(provided),
            packages: Vec::with_capacity(packages),
            by_identity: HashMap::with_capacity(packages),
            deps: Vec::with_capacity(provided + asked - packages),
            providers: Vec::with_capacity(provided),
            ..Self::default()
        }
    }

    pub(super) fn add_repository(
        &mut self,
        repository: &Repository<'a>,
        bit: u64,
        arch: &str,
    ) -> Result<(), UniverseError> {
        super::add_tag(&mut self.tags, &mut self.untagged, repository.tag, bit);
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
        let install_if = self.intern_all(&record.install_if)?;
        let mut end = number(self.deps.len())?;
        if !record.install_if.iter().all(Dependency::has_valid_version) {
            // A condition that cannot be read in full is none.
            end = install_if;
        }
        self.add_providers(name, package, record.version.as_str(), provides..install_if)?;
        self.by_identity.insert(identity(&record.checksum), package);
        let installable =
            fits(&record.arch, arch) && record.depends.iter().all(Dependency::has_valid_version);
        let repositories = bit;
        self.packages.push(Package {
            record,
            version: record.version.as_str(),
            priority: record.provider_priority as u16,
            empty: record.installed_size == 0,
            name,
            repositories,
            installable,
            depends,
            provides,
            install_if,
            end,
        });
        Ok(())
    }

    /// Notes that a package has its own name and those that it provides.
    pub(super) fn add_providers(
        &mut self,
        name: NameId,
        package: PackageId,
        version: &'a str,
        provides: Range<u32>,
    ) -> Result<(), UniverseError> {
        self.providers.push((name, Provider { package, version: Some(version) }));
        for dep in self.deps.get(provides.start as usize..provides.end as usize).unwrap_or_default() {
            self.providers.push((dep.name, Provider { package, version: dep.version() }));
        }
        number(self.providers.len()).map(|_| ())
    }

    /// Looks the names up, and tells where their dependencies start.
    fn intern_all(&mut self, dependencies: &'a [Dependency]) -> Result<u32, UniverseError> {
        let start = number(self.deps.len())?;
        for dependency in dependencies {
            let name = self.intern(&dependency.name)?;
            self.deps.push(Dep::new(name, dependency));
        }
        Ok(start)
    }

    fn intern(&mut self, text: &'a str) -> Result<NameId, UniverseError> {
        match self.ids.entry(text) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let id = NameId(number(self.texts.len())?);
                self.texts.push(text);
                self.buckets.push(bucket(text.as_bytes()));
                Ok(*vacant.insert(id))
            }
        }
    }

    pub(super) fn finish(self) -> Universe<'a> {
        let count = self.texts.len();
        let order = hash_order(&self.buckets);
        let links = Links::of(&self);
        let dependents = dependents(&self.packages, &self.deps, count);
        let triggers = links.reverse(&order, |package| package.install_if..package.end);
        Universe {
            providers: Lists::new(count, &self.providers),
            texts: self.texts,
            buckets: self.buckets,
            ids: self.ids,
            packages: self.packages,
            deps: self.deps,
            dependents,
            triggers,
            tags: self.tags,
            untagged: self.untagged,
        }
    }
}

/// For each name, the packages that depend on it.
fn dependents(packages: &[Package<'_>], deps: &[Dep<'_>], names: usize) -> Lists<PackageId> {
    let mut pairs = Vec::with_capacity(deps.len());
    for (id, package) in (0..).zip(packages) {
        let depends = deps.get(package.depends as usize..package.provides as usize).unwrap_or_default();
        pairs.extend(depends.iter().map(|dep| (dep.name, PackageId(id))));
    }
    Lists::new(names, &pairs)
}

/// Who provides and who mentions what, as bare numbers: walked in the order of a hash table, which is as good as at
/// random, so it has to be small enough to stay near the processor.
struct Links<'b, 'a> {
    packages: &'b [Package<'a>],
    mentioned: Vec<NameId>,
    providers: Lists<PackageId>,
}

impl<'b, 'a> Links<'b, 'a> {
    fn of(builder: &'b Builder<'a>) -> Self {
        let providers = builder.providers.iter().map(|(name, provider)| (*name, provider.package));
        Self {
            packages: &builder.packages,
            mentioned: builder.deps.iter().map(|dep| dep.name).collect(),
            providers: Lists::new(builder.texts.len(), &providers.collect::<Vec<_>>()),
        }
    }

    /// For each name, the names whose providers refer to it, in the given order.
    fn reverse(&self, order: &[NameId], range: impl Fn(&Package<'a>) -> Range<u32>) -> Lists<NameId> {
        let ranges: Vec<Range<u32>> = self.packages.iter().map(range).collect();
        let mut pairs = Vec::with_capacity(self.mentioned.len());
        let mut last_seen_by = vec![NameId(u32::MAX); order.len()];
        for name in order {
            for provider in self.providers.of(*name) {
                let Range { start, end } = &ranges[provider.0 as usize];
                for mentioned in self.mentioned.get(*start as usize..*end as usize).unwrap_or_default() {
                    let last = &mut last_seen_by[mentioned.0 as usize];
                    if *last != *name {
                        *last = *name;
                        pairs.push((*mentioned, *name));
                    }
                }
            }
        }
        Lists::new(order.len(), &pairs)
    }
}

/// Whether a package for `own` can be installed on machines of `arch`.
pub(super) fn fits(own: &str, arch: &str) -> bool {
    own.is_empty() || own == "noarch" || own == arch
}

/// The names as apk walks its hash table: bucket by bucket, within one the latest first. (A bucket's number
/// stands where a name's would, to sort with the same lists.)
fn hash_order(buckets: &[u32]) -> Vec<NameId> {
    let names = (0..buckets.len() as u32)
        .rev()
        .zip(buckets.iter().rev())
        .map(|(id, bucket)| (NameId(*bucket), NameId(id)));
    let pairs: Vec<(NameId, NameId)> = names.collect();
    Lists::new(NAME_BUCKETS as usize, &pairs).items
}

/// The bucket of a name: MurmurHash3 (x86, 32 bits; public domain, Austin Appleby) with apk's seed.
pub(crate) fn bucket(text: &[u8]) -> u32 {
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

pub(super) fn number(count: usize) -> Result<u32, UniverseError> {
    u32::try_from(count).map_err(|_| UniverseError::TooLarge)
}
