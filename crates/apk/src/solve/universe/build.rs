//! Making a universe: one walk over the records numbers all names, a second one over apk's order of names finds who
//! refers to whom.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt};

use super::{Dep, Lists, NameId, Package, PackageId, Provider, Repository, Universe, UniverseError};
use crate::dependency::Dependency;
use crate::record::{Checksum, Record};

/// Buckets in apk's hash table of names.
const NAME_BUCKETS: u32 = 20_000;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
const IDENTITY_LENGTH: usize = 20;

/// A universe in the making.
pub(super) struct Builder<'a> {
    texts: Vec<&'a str>,
    /// Each name's bucket in apk's hash table.
    buckets: Vec<u32>,
    ids: HashMap<&'a str, NameId>,
    packages: Vec<Package<'a>>,
    by_identity: HashMap<[u8; IDENTITY_LENGTH], PackageId>,
    deps: Vec<Dep<'a>>,
    providers: Vec<(NameId, Provider<'a>)>,
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
            tags: Vec::new(),
            untagged: 0,
        }
    }

    pub(super) fn add_repository(
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
        self.providers.push((name, Provider { package, version: Some(&record.version) }));
        for dep in self.deps.get(provides as usize..install_if as usize).unwrap_or_default() {
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
            end,
        });
        Ok(())
    }

    /// Looks the names up, and tells where their dependencies start.
    fn intern_all(&mut self, dependencies: &'a [Dependency]) -> Result<u32, UniverseError> {
        let start = number(self.deps.len())?;
        for dependency in dependencies {
            let name = self.intern(&dependency.name)?;
            self.deps.push(Dep { name, dependency });
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
        universe.needed_by = reverse(&universe, &order, |package| universe.depends(package));
        universe.triggers = reverse(&universe, &order, |package| universe.install_if(package));
        universe
    }
}

/// For each name, the names whose providers refer to it, in the given order.
fn reverse<'u, 'a: 'u>(
    universe: &'u Universe<'a>,
    order: &[NameId],
    refers: impl Fn(PackageId) -> &'u [Dep<'a>],
) -> Lists<NameId> {
    let count = universe.name_count();
    let mut pairs = Vec::new();
    let mut last_seen_by = vec![None; count];
    for name in order {
        for provider in universe.providers(*name) {
            for dep in refers(provider.package) {
                let last = &mut last_seen_by[dep.name.0 as usize];
                if *last != Some(*name) {
                    *last = Some(*name);
                    pairs.push((dep.name, *name));
                }
            }
        }
    }
    Lists::new(count, &pairs)
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
