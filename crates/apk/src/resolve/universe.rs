//! What could be installed, out of the records of indexes: names and packages by numbers, and who offers, needs and
//! waits for what (section 2 of the rules).

use std::cmp::Reverse;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::bucket::bucket;
use super::lists::Lists;
use super::supply::Supply;
use super::tags::Tags;
use super::terms::{Demand, Offer};
use super::{Choice, Identity, Repository, UniverseError, identity};
use crate::dependency::Dependency;
use crate::record::Record;

/// In place of an entry of `provides`: the name is the package's own.
const OWN: u32 = u32::MAX;

/// Everything that could be installed.
#[derive(Debug)]
pub struct Universe<'a> {
    pub(super) tags: Tags<'a>,
    /// In the order in which the indexes mention them first.
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, u32, RandomState>,
    packages: Vec<Package<'a>>,
    /// What the lists of packages mention, each with its name.
    mentions: Vec<(u32, &'a Dependency)>,
    /// Packages, each with the mention by which it provides the name, or [`OWN`].
    offers: Lists<(u32, u32)>,
    dependants: Lists<u32>,
    waiting: Lists<u32>,
}

/// A package, wherever it is.
#[derive(Debug)]
struct Package<'a> {
    record: &'a Record,
    name: u32,
    is_usable: bool,
    repositories: u64,
    /// Where in the mentions its lists begin, and where the last ends.
    depends: u32,
    provides: u32,
    install_if: u32,
    end: u32,
}

impl<'a> Universe<'a> {
    /// Takes the records of repositories, of which the first is preferred, for machines of `arch`.
    ///
    /// # Errors
    /// [`UniverseError`].
    pub fn new(repositories: &[Repository<'a>], arch: &str) -> Result<Self, UniverseError> {
        let tags: Vec<Option<&str>> = repositories.iter().map(|repository| repository.tag).collect();
        let mut builder = Builder { arch, ..Builder::default() };
        // Before anything else: a repository more would have no bit.
        let tags = Tags::new(&tags)?;
        for (position, repository) in repositories.iter().enumerate() {
            for record in repository.records {
                builder.add(record, 1 << position)?;
            }
        }
        builder.finish(tags)
    }

    /// The number of a name, if an index mentions it.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// All names that the indexes mention.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    pub(super) fn name_text(&self, name: u32) -> &'a str {
        self.names.get(name as usize).copied().unwrap_or_default()
    }

    pub(super) fn record(&self, package: u32) -> Option<&'a Record> {
        self.packages.get(package as usize).map(|package| package.record)
    }

    /// As it is written in the index.
    pub(super) fn dependency(&self, place: u32) -> Option<&'a Dependency> {
        self.mentions.get(place as usize).map(|(_, dependency)| *dependency)
    }

    /// A package as the answer has it.
    pub(super) fn choice(&self, package: u32) -> Option<Choice<'a>> {
        let Package { record, repositories, .. } = self.package(package)?;
        Some(Choice { record, repository: repositories.trailing_zeros() as usize })
    }

    fn package(&self, package: u32) -> Option<&Package<'a>> {
        self.packages.get(package as usize)
    }
}

#[derive(Default)]
struct Builder<'a, 'n> {
    arch: &'n str,
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, u32, RandomState>,
    packages: Vec<Package<'a>>,
    known: HashMap<Identity, usize, RandomState>,
    mentions: Vec<(u32, &'a Dependency)>,
}

impl<'a> Builder<'a, '_> {
    fn add(&mut self, record: &'a Record, repository: u64) -> Result<(), UniverseError> {
        let name = self.number(&record.name)?;
        let next = self.packages.len();
        let position = *self.known.entry(identity(&record.checksum)).or_insert(next);
        if let Some(known) = self.packages.get_mut(position) {
            known.repositories |= repository;
            // Nothing else of it counts, but that its names have been met.
            for list in [&record.depends, &record.provides, &record.install_if] {
                self.mention(names_of(list), false)?;
            }
            return Ok(());
        }
        // What is no name ends any of the lists, and apk does not see the rest.
        let depends = self.mention(names_of(&record.depends), true)?;
        let provides = self.mention(names_of(&record.provides), true)?;
        // Of a list that apk does not understand no entry counts.
        let waits = record.install_if.iter().all(is_understood);
        let install_if = self.mention(names_of(&record.install_if), waits)?;
        let fits = matches!(&*record.arch, "" | "noarch") || *record.arch == *self.arch;
        let is_usable = fits && record.unknown_field.is_none() && record.depends.iter().all(is_understood);
        let end = count(&self.mentions)?;
        self.packages.push(Package {
            record,
            name,
            is_usable,
            repositories: repository,
            depends,
            provides,
            install_if,
            end,
        });
        Ok(())
    }

    /// Takes a list, or its names alone, as all names are met and their order counts; where it begins.
    fn mention(&mut self, list: &'a [Dependency], counts: bool) -> Result<u32, UniverseError> {
        let start = count(&self.mentions)?;
        for dependency in list {
            let name = self.number(&dependency.name)?;
            if counts {
                self.mentions.push((name, dependency));
            }
        }
        Ok(start)
    }

    fn number(&mut self, name: &'a str) -> Result<u32, UniverseError> {
        let next = count(&self.names)?;
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        Ok(number)
    }

    fn finish(self, tags: Tags<'a>) -> Result<Universe<'a>, UniverseError> {
        let Self { names, numbers, packages, mentions, .. } = self;
        let (mut offers, mut dependants, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        let name_at = |place: u32| mentions.get(place as usize).map(|(name, _)| *name).unwrap_or_default();
        for (number, package) in (0..).zip(&packages) {
            let provides = package.provides..package.install_if;
            offers.push((package.name, (number, OWN)));
            offers.extend(provides.clone().map(|place| (name_at(place), (number, place))));
            dependants.extend((package.depends..package.provides).map(|place| (name_at(place), number)));
            for awaited in (package.install_if..package.end).map(name_at) {
                waiting.push((awaited, package.name));
                waiting.extend(provides.clone().map(|place| (awaited, name_at(place))));
            }
        }
        let buckets: Vec<u32> = names.iter().map(|name| bucket(name.as_bytes())).collect();
        // Of one bucket, what was met later comes first.
        let place_in_table = |name: u32| (buckets.get(name as usize), Reverse(name));
        waiting.sort_unstable_by_key(|(awaited, name)| (*awaited, place_in_table(*name)));
        waiting.dedup();
        let count = names.len();
        Ok(Universe {
            tags,
            names,
            numbers,
            packages,
            mentions,
            offers: Lists::of_pairs(count, offers)?,
            dependants: Lists::of_pairs(count, dependants)?,
            waiting: Lists::of_pairs(count, waiting)?,
        })
    }
}

/// The entries before the first that is no name: only a world can pin.
fn names_of(list: &[Dependency]) -> &[Dependency] {
    let end = list.iter().position(|entry| entry.tag.is_some()).unwrap_or(list.len());
    list.get(..end).unwrap_or_default()
}

/// Whether apk makes sense of a dependency of a package.
fn is_understood(dependency: &Dependency) -> bool {
    dependency.tag.is_none() && dependency.has_valid_version()
}

fn count<T>(items: &[T]) -> Result<u32, UniverseError> {
    // The last number stands for none.
    u32::try_from(items.len()).ok().filter(|count| *count != OWN).ok_or(UniverseError::TooLarge)
}

impl Supply for Universe<'_> {
    fn name_count(&self) -> usize {
        self.names.len()
    }

    fn package_count(&self) -> usize {
        self.packages.len()
    }

    fn own_name(&self, package: u32) -> u32 {
        self.package(package).map(|package| package.name).unwrap_or_default()
    }

    fn version(&self, package: u32) -> &str {
        self.package(package).map(|package| package.record.version.as_str()).unwrap_or_default()
    }

    fn priority(&self, package: u32) -> u16 {
        self.package(package).map(|package| package.record.provider_priority as u16).unwrap_or_default()
    }

    fn is_usable(&self, package: u32) -> bool {
        self.package(package).is_some_and(|package| package.is_usable)
    }

    fn is_empty_package(&self, package: u32) -> bool {
        self.package(package).is_some_and(|package| package.record.installed_size == 0)
    }

    fn repositories(&self, package: u32) -> u64 {
        self.package(package).map(|package| package.repositories).unwrap_or_default()
    }

    fn has_checksum(&self, package: u32, checksum: &str) -> bool {
        match (self.record(package), checksum.parse()) {
            (Some(record), Ok(asked)) => identity(&record.checksum) == identity(&asked),
            _ => false,
        }
    }

    fn depends(&self, package: u32) -> Range<u32> {
        self.package(package).map(|package| package.depends..package.provides).unwrap_or_default()
    }

    fn provides(&self, package: u32) -> Range<u32> {
        self.package(package).map(|package| package.provides..package.install_if).unwrap_or_default()
    }

    fn install_if(&self, package: u32) -> Range<u32> {
        self.package(package).map(|package| package.install_if..package.end).unwrap_or_default()
    }

    fn demand(&self, place: u32) -> Demand<'_> {
        match self.mentions.get(place as usize) {
            Some((name, dependency)) => Demand::of(*name, dependency),
            // No such place is ever given.
            None => Demand { name: 0, conflict: true, constraint: None },
        }
    }

    fn name_at(&self, place: u32) -> u32 {
        self.mentions.get(place as usize).map(|(name, _)| *name).unwrap_or_default()
    }

    fn version_at(&self, place: u32) -> Option<&str> {
        let (_, provided) = self.mentions.get(place as usize)?;
        provided.constraint.as_ref().map(|(_, version)| version.as_str())
    }

    fn offers(&self, name: u32) -> Range<u32> {
        self.offers.places(name)
    }

    fn offer(&self, place: u32) -> Offer<'_> {
        let (package, mention) = self.offers.item(place).unwrap_or_default();
        let version = if mention == OWN { Some(self.version(package)) } else { self.version_at(mention) };
        Offer { package, version }
    }

    fn offering(&self, place: u32) -> u32 {
        self.offers.item(place).unwrap_or_default().0
    }

    fn dependants(&self, name: u32) -> Range<u32> {
        self.dependants.places(name)
    }

    fn dependant(&self, place: u32) -> u32 {
        self.dependants.item(place).unwrap_or_default()
    }

    fn waiting(&self, name: u32) -> Range<u32> {
        self.waiting.places(name)
    }

    fn waiting_name(&self, place: u32) -> u32 {
        self.waiting.item(place).unwrap_or_default()
    }
}
