//! What there is to choose from, by numbers: the same search reads it from records and from a catalogue.
//!
//! Lists are ranges of places; what is at a place is read only when a search comes to it. A supply made from a damaged
//! file may say anything, but every number that it gives is one of a name, package or place that it has.

use std::ops::Range;

use super::terms::{Demand, Offer};

/// Names, packages, and who offers, needs and waits for what.
pub(super) trait Supply {
    fn name_count(&self) -> usize;
    fn package_count(&self) -> usize;

    /// The name of the package itself.
    fn own_name(&self, package: u32) -> u32;
    fn version(&self, package: u32) -> &str;
    /// `provider_priority`, in 16 bits (rule 2.4).
    fn priority(&self, package: u32) -> u16;
    /// Whether a package can be installed at all (rule 2.3).
    fn is_usable(&self, package: u32) -> bool;
    /// Whether its installed size is 0.
    fn is_empty_package(&self, package: u32) -> bool;
    /// The repositories that hold a package, as bits.
    fn repositories(&self, package: u32) -> u64;
    /// Whether a checksum as text is that of a package.
    fn has_checksum(&self, package: u32, checksum: &str) -> bool;

    /// Places of dependencies.
    fn depends(&self, package: u32) -> Range<u32>;
    /// Places of what is provided.
    fn provides(&self, package: u32) -> Range<u32>;
    /// Places of `install_if`; none if any of it is malformed (rule 2.3).
    fn install_if(&self, package: u32) -> Range<u32>;
    /// The demand at a place of dependencies or of `install_if`.
    fn demand(&self, place: u32) -> Demand<'_>;
    /// The name at a place of any of these lists.
    fn name_at(&self, place: u32) -> u32;
    /// The version of what is provided at a place.
    fn version_at(&self, place: u32) -> Option<&str>;

    /// Places of the offers of a name, in offer order (rule 2.2).
    fn offers(&self, name: u32) -> Range<u32>;
    fn offer(&self, place: u32) -> Offer<'_>;
    /// [`Supply::offer`]'s package alone.
    fn offering(&self, place: u32) -> u32;

    /// Places of the packages that depend on a name.
    fn dependants(&self, name: u32) -> Range<u32>;
    fn dependant(&self, place: u32) -> u32;

    /// Places of the waiting names of a name, in bucket order (rules 2.5 and 2.6).
    fn waiting(&self, name: u32) -> Range<u32>;
    fn waiting_name(&self, place: u32) -> u32;

    /// The names that a package offers: its own, then each that it provides.
    #[inline]
    fn names_of(&self, package: u32) -> impl Iterator<Item = u32> {
        std::iter::once(self.own_name(package)).chain(self.provides(package).map(|place| self.name_at(place)))
    }

    /// The same with the offers.
    #[inline]
    fn offers_of(&self, package: u32) -> impl Iterator<Item = (u32, Offer<'_>)> {
        let own = Offer { package, version: Some(self.version(package)) };
        let provided = self
            .provides(package)
            .map(move |place| (self.name_at(place), Offer { package, version: self.version_at(place) }));
        std::iter::once((self.own_name(package), own)).chain(provided)
    }
}
