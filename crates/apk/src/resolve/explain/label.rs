//! What names, packages and tags are called in an explanation.

use std::collections::BTreeSet;

use super::super::supply::Supply as _;
use super::super::terms::Offer;
use super::super::universe::Universe;

/// `a-1.0-r0`.
pub(super) fn package(universe: &Universe<'_>, package: u32) -> Box<str> {
    let label = |record: &crate::record::Record| format!("{}-{}", record.name, record.version).into();
    universe.record(package).map(label).unwrap_or_default()
}

/// `a-1.0-r0`, or `name=2 of a-1.0-r0` for what it provides.
pub(super) fn offer(universe: &Universe<'_>, name: u32, offer: &Offer<'_>) -> Box<str> {
    let label = package(universe, offer.package);
    let text = universe.name_text(name);
    match offer.version {
        _ if universe.own_name(offer.package) == name => label,
        Some(version) => format!("{text}={version} of {label}").into(),
        None => format!("{text} without version of {label}").into(),
    }
}

/// The tags of the repositories that hold a package.
pub(super) fn tags(universe: &Universe<'_>, package: u32) -> Vec<Box<str>> {
    let repositories = universe.repositories(package);
    let holds = |tag: &&str| universe.tags.pinned(Some(tag)).is_some_and(|tagged| tagged & repositories != 0);
    universe.tags.names().filter(holds).map(Box::from).collect()
}

/// The packages that have a command of this name.
pub(super) fn command_of(universe: &Universe<'_>, name: &str) -> Vec<Box<str>> {
    let offers = universe.find(&format!("cmd:{name}")).map(|name| universe.offers(name)).unwrap_or_default();
    let own_name = |place| universe.name_text(universe.own_name(universe.offering(place))).into();
    offers.map(own_name).collect::<BTreeSet<_>>().into_iter().collect()
}
