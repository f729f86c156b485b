//! What could be installed, out of a catalogue: nothing is prepared of what a world does not reach, which of a large
//! index is most of the work.

use std::ops::Range;

use super::search::Search;
use super::supply::Supply;
use super::tags::Tags;
use super::terms::{Demand, Offer};
use super::world::wishes;
use super::{Choice, Solution, UniverseError};
use crate::catalogue::Catalogue;
use crate::dependency::Dependency;

/// Everything that could be installed, as a catalogue has it. It answers as [`super::Universe`] does, but explains
/// nothing.
#[derive(Debug)]
pub struct Outline<'a> {
    catalogue: &'a Catalogue,
    tags: Tags<'a>,
}

impl<'a> Outline<'a> {
    /// Takes the tags of the catalogue's repositories.
    ///
    /// # Errors
    /// [`UniverseError`].
    pub fn new(catalogue: &'a Catalogue, tags: &[Option<&'a str>]) -> Result<Self, UniverseError> {
        Ok(Self { catalogue, tags: Tags::new(tags)? })
    }

    /// What a world installs; `None` where it is refused, or the catalogue cannot be read.
    pub fn solve(&self, world: &[Dependency]) -> Option<Solution<'a>> {
        let wishes = wishes(world, &self.tags, |names| self.catalogue.find_all(names)).ok()?;
        let mut search = Search::new(self.catalogue, &wishes, self.tags.untagged, ());
        search.run().ok()?;
        let choice = |package: &u32| {
            let repository = self.catalogue.repositories_of(*package).trailing_zeros() as usize;
            Some(Choice { record: self.catalogue.record(*package)?, repository })
        };
        Some(Solution { install: search.install.iter().map(choice).collect::<Option<_>>()? })
    }
}

impl Supply for Catalogue {
    fn name_count(&self) -> usize {
        self.name_count()
    }

    fn package_count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn own_name(&self, package: u32) -> u32 {
        self.name_of(package)
    }

    #[inline]
    fn version(&self, package: u32) -> &str {
        self.version(package)
    }

    fn priority(&self, package: u32) -> u16 {
        self.priority(package)
    }

    fn is_usable(&self, package: u32) -> bool {
        self.is_installable(package)
    }

    fn is_empty_package(&self, package: u32) -> bool {
        self.is_empty_package(package)
    }

    fn repositories(&self, package: u32) -> u64 {
        self.repositories_of(package)
    }

    fn has_checksum(&self, package: u32, checksum: &str) -> bool {
        match (self.checksum(package), checksum.parse()) {
            (Some(own), Ok(asked)) => super::identity(&own) == super::identity(&asked),
            _ => false,
        }
    }

    #[inline]
    fn depends(&self, package: u32) -> Range<u32> {
        self.depends(package)
    }

    #[inline]
    fn provides(&self, package: u32) -> Range<u32> {
        self.provides(package)
    }

    #[inline]
    fn install_if(&self, package: u32) -> Range<u32> {
        self.install_if(package)
    }

    #[inline]
    fn demand(&self, place: u32) -> Demand<'_> {
        let mention = self.mention(place);
        Demand { name: mention.name, conflict: mention.conflict, constraint: mention.constraint }
    }

    #[inline]
    fn name_at(&self, place: u32) -> u32 {
        self.mentioned_name(place)
    }

    #[inline]
    fn version_at(&self, place: u32) -> Option<&str> {
        self.mention(place).constraint.map(|(_, version)| version)
    }

    #[inline]
    fn offers(&self, name: u32) -> Range<u32> {
        self.providers(name)
    }

    #[inline]
    fn offer(&self, place: u32) -> Offer<'_> {
        let (package, version) = self.provider(place);
        Offer { package, version }
    }

    #[inline]
    fn offering(&self, place: u32) -> u32 {
        self.provider_package(place)
    }

    #[inline]
    fn dependants(&self, name: u32) -> Range<u32> {
        self.dependents(name)
    }

    #[inline]
    fn dependant(&self, place: u32) -> u32 {
        self.dependent(place)
    }

    #[inline]
    fn waiting(&self, name: u32) -> Range<u32> {
        self.triggers(name)
    }

    #[inline]
    fn waiting_name(&self, place: u32) -> u32 {
        self.trigger(place)
    }
}
