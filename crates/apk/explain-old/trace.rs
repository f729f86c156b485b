//! Follows what a search demanded and chose back to the world.

use std::collections::HashMap;

use super::super::search::{Asker as By, Search};
use super::super::stock::Stock as _;
use super::super::universe::{Dep, NameId, PackageId, Provider};
use super::{Ask, Asker};
use crate::dependency::Dependency;

/// A demand that was made, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Demand<'a> {
    pub by: By,
    pub dep: Dep<'a>,
}

/// What brought a package.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Demand(Demand<'a>),
    /// Its `install_if`, in which this package has a part.
    Trigger(PackageId),
}

/// All demands, nearest to the world first, and which of them brought each package.
pub(super) struct Trace<'s, 'u, 'a> {
    pub(super) search: &'s Search<'u, 'a>,
    pub(super) demands: Vec<Demand<'a>>,
    brought_by: HashMap<PackageId, Origin<'a>>,
}

impl<'s, 'u, 'a> Trace<'s, 'u, 'a> {
    pub fn new(search: &'s Search<'u, 'a>, world: &[(Dep<'a>, u64)]) -> Self {
        let demand = |(dep, pinning): &(Dep<'a>, u64)| Demand { by: By::World(*pinning), dep: *dep };
        let mut trace =
            Self { search, demands: world.iter().map(demand).collect(), brought_by: HashMap::new() };
        let mut next = 0;
        while let Some(demand) = trace.demands.get(next).copied() {
            next += 1;
            let chosen = search.chosen(demand.dep.name).filter(|_| !demand.dep.dependency.conflict);
            if let Some(chosen) = chosen {
                trace.bring(chosen.package, Origin::Demand(demand));
            }
        }
        trace
    }

    /// Notes what brought a package, takes up its demands, and brings what it triggers.
    fn bring(&mut self, package: PackageId, origin: Origin<'a>) {
        let universe = self.search.universe;
        let mut brought = vec![(package, origin)];
        while let Some((package, origin)) = brought.pop() {
            if self.brought_by.contains_key(&package) {
                continue;
            }
            self.brought_by.insert(package, origin);
            let deps = universe.depends(package).iter();
            self.demands.extend(deps.map(|dep| Demand { by: By::Package(package), dep: *dep }));
            let triggers = universe.names_of(package).flat_map(|name| universe.triggers(name));
            let chosen = triggers.filter_map(|name| self.search.chosen(*name));
            let triggered = chosen.filter(|chosen| self.search.package(chosen.package).triggered);
            brought.extend(triggered.map(|chosen| (chosen.package, Origin::Trigger(package))));
        }
    }

    pub(super) fn demand_for(&self, name: NameId) -> Option<&Demand<'a>> {
        self.demands.iter().find(|demand| demand.dep.name == name && wants(demand))
    }

    /// The text of a name that a package provides.
    pub(super) fn text(&self, name: NameId, package: PackageId) -> Option<Box<str>> {
        let universe = self.search.universe;
        if universe.name_of(package) == name {
            return Some(universe.record(package).name.clone());
        }
        let dep = universe.provides(package).iter().find(|dep| dep.name == name)?;
        Some(dep.dependency.name.clone())
    }

    pub(super) fn tags_of(&self, package: PackageId) -> Vec<Box<str>> {
        let universe = self.search.universe;
        let repositories = universe.repositories_of(package);
        let holding = universe.tags().iter().filter(|(_, tagged)| tagged & repositories != 0);
        holding.map(|(tag, _)| Box::from(*tag)).collect()
    }

    pub(super) fn label(&self, package: PackageId) -> Box<str> {
        let record = self.search.universe.record(package);
        format!("{}-{}", record.name, record.version).into()
    }

    /// `a-1.0-r0`, or `name=2 of a-1.0-r0` for what it provides.
    pub(super) fn provider_label(&self, name: NameId, provider: &Provider<'a>) -> Box<str> {
        let label = self.label(provider.package);
        if self.search.universe.name_of(provider.package) == name {
            return label;
        }
        match (self.text(name, provider.package), provider.version) {
            (Some(text), Some(version)) => format!("{text}={version} of {label}").into(),
            (Some(text), None) => format!("{text} without version of {label}").into(),
            (None, _) => label,
        }
    }

    pub(super) fn ask(&self, by: By, dep: Dep<'a>) -> Ask {
        Ask { by: self.asker(by), dependency: dep.dependency.clone(), triggers: false }
    }

    fn asker(&self, by: By) -> Asker {
        match by {
            By::World(_) => Asker::World,
            By::Package(package) => {
                let record = self.search.universe.record(package);
                Asker::Package(record.name.clone(), record.version.clone())
            }
        }
    }

    /// The chain that ends with a demand.
    pub(super) fn chain(&self, demand: &Demand<'a>) -> Vec<Ask> {
        let mut chain = match demand.by {
            By::World(_) => Vec::new(),
            By::Package(package) => self.chain_of(package),
        };
        chain.push(self.ask(demand.by, demand.dep));
        chain
    }

    /// The chain that brought a package.
    pub(super) fn chain_of(&self, package: PackageId) -> Vec<Ask> {
        let mut chain = Vec::new();
        let mut next = Some(package);
        // Each step goes to something brought earlier, so this ends.
        while let Some(package) = next {
            next = match self.brought_by.get(&package) {
                None => None,
                Some(Origin::Demand(demand)) => {
                    chain.push(self.ask(demand.by, demand.dep));
                    demand.by.package()
                }
                Some(Origin::Trigger(by)) => {
                    let name = self.search.universe.record(package).name.clone();
                    let dependency = Dependency { name, conflict: false, tag: None, constraint: None };
                    chain.push(Ask { by: self.asker(By::Package(*by)), dependency, triggers: true });
                    Some(*by)
                }
            };
        }
        chain.reverse();
        chain
    }
}

/// Whether a demand is for something, not against it.
pub(super) fn wants(demand: &Demand<'_>) -> bool {
    !demand.dep.dependency.conflict
}
