//! Follows what a refused search demanded and chose back to the world.
//!
//! ```text
//! world ─▶ demand ─▶ package ─▶ its demands ─▶ ...
//!                       └─▶ packages that it brings by their install_if
//! ```
//!
//! The search stopped at the first fault, so most names are open. Before the first decision it has taken up the only
//! candidate of every name; with those, and with what has won since, nearly all that the world leads to is found.

use std::collections::{HashMap, HashSet};

use super::super::history::{Call, Exclusion, History, Source};
use super::super::search::Search;
use super::super::state::Summons;
use super::super::supply::Supply as _;
use super::super::terms::{Demand, Offer};
use super::super::universe::Universe;
use super::{Ask, Asker};
use crate::dependency::Dependency;

/// What brought a package.
#[derive(Clone, Copy)]
enum Origin {
    Demand(Source),
    /// Its `install_if`, in which this package has a part.
    InstallIf(u32),
}

/// The demands that took effect, nearest to the world first, and which of them brought each package.
pub(super) struct Trace<'s, 'a> {
    pub search: &'s Search<'s, Universe<'a>, History>,
    pub universe: &'s Universe<'a>,
    pub demands: Vec<Source>,
    /// What put each package out.
    pub exclusions: HashMap<u32, Exclusion>,
    brought_by: HashMap<u32, Origin>,
    /// Packages whose demands are among `demands`.
    taken_up: HashSet<u32>,
    /// Packages known to have made demands.
    demanding: HashSet<u32>,
    /// For a name with several candidates: the names that all of them need.
    needed_by_all: HashMap<u32, Vec<u32>>,
}

impl<'s, 'a> Trace<'s, 'a> {
    pub fn new(search: &'s Search<'s, Universe<'a>, History>) -> Self {
        let History { calls, exclusions } = &search.log;
        let calling = calls.iter().filter_map(|(_, call)| match call {
            Call::Demand(source) => source.package(),
            Call::Candidates { .. } => None,
        });
        let excluding = exclusions.iter().filter_map(|(_, exclusion)| match exclusion {
            Exclusion::Demand(source) => source.package(),
            _ => None,
        });
        let mut needed_by_all: HashMap<u32, Vec<u32>> = HashMap::new();
        for (name, call) in calls {
            if let Call::Candidates { of } = call {
                needed_by_all.entry(*of).or_default().push(*name);
            }
        }
        let mut trace = Self {
            search,
            universe: search.supply,
            demands: (0..).zip(search.world).map(|(number, _)| Source::World(number)).collect(),
            exclusions: exclusions.iter().copied().collect(),
            brought_by: HashMap::new(),
            taken_up: HashSet::new(),
            demanding: calling.chain(excluding).collect(),
            needed_by_all,
        };
        trace.follow_demands();
        trace
    }

    fn follow_demands(&mut self) {
        let mut next = 0;
        while let Some(source) = self.demands.get(next).copied() {
            next += 1;
            let Some(name) = self.demand(source).filter(|demand| !demand.conflict).map(|demand| demand.name)
            else {
                continue;
            };
            for package in self.taken(name) {
                self.bring(package, Origin::Demand(source));
            }
            for needed in self.needed_by_all.remove(&name).unwrap_or_default() {
                if let Some((package, place)) = self.candidate_that_needs(name, needed) {
                    // Its other demands did not take effect.
                    self.brought_by.entry(package).or_insert(Origin::Demand(source));
                    self.demands.push(Source::Package { package, place });
                }
            }
        }
    }

    /// The packages that stand for a name: its winner; or those that were its only candidate.
    fn taken(&self, name: u32) -> Vec<u32> {
        match self.search.closed(name) {
            Some(winner) => winner.iter().map(|offer| offer.package).collect(),
            None => {
                let packages = || self.universe.offers(name).map(|place| self.universe.offering(place));
                let left: Vec<u32> = packages().filter(|package| self.is_in_play(*package)).collect();
                let only = Some(left).filter(|left| left.len() == 1).into_iter().flatten();
                only.chain(packages().filter(|package| self.demanding.contains(package))).collect()
            }
        }
    }

    fn candidate_that_needs(&self, name: u32, needed: u32) -> Option<(u32, u32)> {
        let universe = self.universe;
        let is_it = |place: &u32| {
            let demand = universe.demand(*place);
            demand.name == needed && !demand.conflict
        };
        let packages = || universe.offers(name).map(|place| universe.offering(place));
        let need = |package: u32| Some((package, universe.depends(package).find(is_it)?));
        let in_play = packages().filter(|package| self.is_in_play(*package)).find_map(need);
        in_play.or_else(|| packages().find_map(need))
    }

    /// Notes what brought a package, takes up its demands, and brings what it summons.
    fn bring(&mut self, package: u32, origin: Origin) {
        let mut brought = vec![(package, origin)];
        while let Some((package, origin)) = brought.pop() {
            if !self.taken_up.insert(package) {
                continue;
            }
            self.brought_by.entry(package).or_insert(origin);
            let depends = self.universe.depends(package);
            self.demands.extend(depends.map(|place| Source::Package { package, place }));
            brought.extend(
                self.summoned_by(package).into_iter().map(|other| (other, Origin::InstallIf(package))),
            );
        }
    }

    /// The packages that were summoned because of a package, among others.
    fn summoned_by(&self, package: u32) -> Vec<u32> {
        let universe = self.universe;
        let is_met_by_it = |place| {
            let entry = universe.demand(place);
            let winner = self.search.closed(entry.name).flatten();
            !entry.conflict && winner.is_some_and(|offer| offer.package == package)
        };
        let is_summoned = |other: &u32| {
            let state = self.search.packages.get(*other);
            state.is_some_and(|state| state.summons == Summons::Summoned)
                && universe.install_if(*other).any(is_met_by_it)
        };
        let waiting = universe.names_of(package).flat_map(|name| universe.waiting(name));
        let names = waiting.map(|place| universe.waiting_name(place));
        let packages = names.flat_map(|name| universe.offers(name)).map(|place| universe.offering(place));
        packages.filter(is_summoned).collect()
    }

    pub fn demand(&self, source: Source) -> Option<Demand<'s>> {
        match source {
            Source::World(number) => self.search.world.get(number as usize).map(|wish| wish.demand),
            Source::Package { place, .. } => Some(self.universe.demand(place)),
        }
    }

    /// The demand nearest to the world for a name, of those that are `fit`.
    pub fn demand_for(&self, name: u32, fit: impl Fn(Source, &Demand<'_>) -> bool) -> Option<Source> {
        let is_it = |source: &Source| {
            let demand = self.demand(*source);
            demand.is_some_and(|demand| demand.name == name && !demand.conflict && fit(*source, &demand))
        };
        self.demands.iter().copied().find(is_it)
    }

    pub fn is_in_play(&self, package: u32) -> bool {
        match self.search.packages.get(package) {
            Some(state) => !state.out,
            None => self.universe.is_usable(package),
        }
    }

    pub fn meets(&self, source: Source, demand: &Demand<'_>, offer: &Offer<'_>) -> bool {
        demand.is_met(self.universe, source.package(), Some(offer))
    }

    /// The chain that ends with a demand.
    pub fn chain(&self, source: Source) -> Vec<Ask> {
        let mut chain = source.package().map(|package| self.chain_of(package)).unwrap_or_default();
        chain.extend(self.ask(source));
        chain
    }

    /// The chain that brought a package.
    pub fn chain_of(&self, package: u32) -> Vec<Ask> {
        let mut chain = Vec::new();
        let mut next = Some(package);
        // Each step goes to something brought earlier, so this ends.
        while let Some(package) = next {
            next = match self.brought_by.get(&package) {
                None => None,
                Some(Origin::Demand(source)) => {
                    chain.extend(self.ask(*source));
                    source.package()
                }
                Some(Origin::InstallIf(by)) => {
                    let name = self.universe.name_text(self.universe.own_name(package)).into();
                    let dependency = Dependency { name, conflict: false, tag: None, constraint: None };
                    chain.extend(self.asker(*by).map(|by| Ask { by, dependency, triggers: true }));
                    Some(*by)
                }
            };
        }
        chain.reverse();
        chain
    }

    pub fn ask(&self, source: Source) -> Option<Ask> {
        let (by, dependency) = match source {
            Source::World(number) => (Asker::World, self.search.world.get(number as usize)?.dependency),
            Source::Package { package, place } => (self.asker(package)?, self.universe.dependency(place)?),
        };
        Some(Ask { by, dependency: dependency.clone(), triggers: false })
    }

    fn asker(&self, package: u32) -> Option<Asker> {
        let record = self.universe.record(package)?;
        Some(Asker::Package(record.name.clone(), record.version.clone()))
    }
}
