//! What is in the way of a demand, followed down as far as there is something plain to say.

use std::collections::HashSet;

use super::super::history::{Exclusion, Fault, Source};
use super::super::supply::Supply as _;
use super::super::terms::{Demand, Offer};
use super::trace::Trace;
use super::{Ask, Cause, Problem, label, no_such_name};

/// Where the way down goes on, or what is at its end.
enum Step {
    /// A demand is not met.
    Unmet(Source),
    /// A package cannot be there.
    Out(u32),
    /// The version that a demand names is none.
    Broken(Source),
    End(Problem),
}

impl Trace<'_, '_> {
    /// The demands that nothing at all can meet, whatever else is chosen: the plainest causes.
    pub fn impossible(&self) -> impl Iterator<Item = Cause> + '_ {
        let is_impossible = |source: &Source| {
            let ask = self.ask(*source);
            let demand = self.demand(*source).filter(|demand| !demand.conflict);
            // One that names a broken version is for the package that makes it to answer for.
            ask.is_some_and(|ask| ask.dependency.has_valid_version())
                && demand.is_some_and(|demand| self.fitting(*source, &demand).is_empty())
        };
        let impossible = self.demands.iter().copied().filter(is_impossible);
        impossible.map(|source| self.follow(self.chain(source), Step::Unmet(source)))
    }

    /// The cause of a fault.
    pub fn cause(&self, fault: &Fault<'_>) -> Cause {
        let mut cause = match *fault {
            Fault::Nothing { name } => match self.demand_for(name, |_, _| true) {
                Some(source) => self.follow(self.chain(source), Step::Unmet(source)),
                None => {
                    let package = self.universe.name_text(name).into();
                    Cause { chain: Vec::new(), problem: Problem::NotFound { package } }
                }
            },
            Fault::Out { name, offer } | Fault::NotCleared { name, offer } => self.bad_winner(name, &offer),
            Fault::Taken { name, earlier, later } => self.taken_twice(name, earlier, later),
            Fault::Unmet { package, place } => {
                let source = Source::Package { package, place };
                self.follow(self.chain(source), Step::Unmet(source))
            }
        };
        if cause.chain.is_empty() {
            // It concerns a package that nothing is known to bring; the world is where it began.
            cause.chain = self.demands.first().map(|source| self.chain(*source)).unwrap_or_default();
        }
        cause
    }

    /// Why what would win a name cannot.
    fn bad_winner(&self, name: u32, offer: &Offer<'_>) -> Cause {
        let wants_it = self.demand_for(name, |source, demand| self.meets(source, demand, offer));
        match (wants_it, self.demand_for(name, |_, _| true)) {
            (Some(source), _) => self.follow(self.chain(source), Step::Out(offer.package)),
            (None, Some(source)) => self.follow(self.chain(source), Step::Unmet(source)),
            (None, None) => self.follow(self.chain_of(offer.package), Step::Out(offer.package)),
        }
    }

    fn taken_twice(&self, name: u32, earlier: Option<Offer<'_>>, later: Option<Offer<'_>>) -> Cause {
        let Some(later) = later.or(earlier) else {
            let package = self.universe.name_text(name).into();
            return Cause { chain: Vec::new(), problem: Problem::NotFound { package } };
        };
        let problem = match earlier {
            Some(earlier) => self.same_name(name, earlier.package, later.package),
            // Something was chosen on the understanding that the name is not there.
            None => Problem::NotFound { package: label::package(self.universe, later.package) },
        };
        Cause { chain: self.chain_of(later.package), problem }
    }

    /// Goes down from step to step. A package is passed once, so this ends.
    fn follow(&self, mut chain: Vec<Ask>, mut step: Step) -> Cause {
        let mut passed = HashSet::new();
        loop {
            step = match step {
                Step::Unmet(source) => self.unmet(source),
                Step::Out(package) if !passed.insert(package) => Step::End(self.does_not_fit(package)),
                Step::Out(package) => {
                    let next = self.out(package);
                    if let Step::Unmet(source) | Step::Broken(source) = next {
                        chain.extend(self.ask(source));
                    }
                    next
                }
                Step::Broken(_) => Step::End(Problem::BadVersion),
                Step::End(problem) => return Cause { chain, problem },
            };
        }
    }

    /// Why a demand is not met.
    fn unmet(&self, source: Source) -> Step {
        let Some(demand) = self.demand(source) else { return Step::End(Problem::BadVersion) };
        if demand.conflict {
            return Step::End(self.presence(&demand));
        }
        let universe = self.universe;
        let offers = || universe.offers(demand.name).map(|place| universe.offer(place));
        if offers().next().is_none() {
            return Step::End(no_such_name(universe, universe.name_text(demand.name)));
        }
        let fitting = self.fitting(source, &demand);
        if let Some(problem) = self.choice(&fitting) {
            return Step::End(problem);
        }
        let version = |offer: &Offer<'_>| universe.record(offer.package).map(|record| &record.version);
        let newest = fitting.iter().max_by(|a, b| match (version(a), version(b)) {
            (Some(a), Some(b)) => a.compare(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        match newest {
            Some(offer) => Step::Out(offer.package),
            None => {
                let available = offers().map(|offer| label::offer(universe, demand.name, &offer)).collect();
                Step::End(Problem::NoSuchVersion { available })
            }
        }
    }

    /// The offers that meet a demand, whatever else is against them.
    fn fitting(&self, source: Source, demand: &Demand<'_>) -> Vec<Offer<'_>> {
        let offers = self.universe.offers(demand.name).map(|place| self.universe.offer(place));
        offers.filter(|offer| self.meets(source, demand, offer)).collect()
    }

    /// What is there that a conflict says must not be.
    fn presence(&self, conflict: &Demand<'_>) -> Problem {
        let name = conflict.name;
        let offers = || self.universe.offers(name).map(|place| self.universe.offering(place));
        let winner = self.search.closed(name).flatten().map(|offer| offer.package);
        let there = winner.or_else(|| offers().find(|package| self.is_in_play(*package)));
        match (there.or_else(|| offers().next()), self.demand_for(name, |_, _| true)) {
            (Some(package), Some(source)) => {
                let package = label::package(self.universe, package);
                Problem::Excluded { package, by: self.chain(source) }
            }
            (Some(package), None) => Problem::Excluded {
                by: self.chain_of(package),
                package: label::package(self.universe, package),
            },
            (None, _) => Problem::NotFound { package: self.universe.name_text(name).into() },
        }
    }

    /// Whether something is left that stands for a name, but nothing that may win by default.
    fn choice(&self, fitting: &[Offer<'_>]) -> Option<Problem> {
        let left: Vec<_> = fitting.iter().filter(|offer| self.is_in_play(offer.package)).collect();
        if left.is_empty() || left.iter().any(|offer| self.search.may_win(offer)) {
            return None;
        }
        let name = |offer: &&Offer<'_>| self.universe.name_text(self.universe.own_name(offer.package)).into();
        let mut providers: Vec<Box<str>> = left.iter().map(name).collect();
        providers.dedup();
        Some(Problem::ChooseOne { providers })
    }

    /// Why a package cannot be there.
    fn out(&self, package: u32) -> Step {
        if !self.universe.is_usable(package) {
            return self.unusable(package);
        }
        match self.exclusions.get(&package) {
            Some(Exclusion::Demand(source)) => Step::End(self.excluded(package, *source)),
            Some(Exclusion::Unmeetable { place }) => Step::Unmet(Source::Package { package, place: *place }),
            Some(Exclusion::Closed { name }) => Step::End(match self.search.closed(*name).flatten() {
                Some(winner) => self.same_name(*name, winner.package, package),
                None => self.does_not_fit(package),
            }),
            Some(Exclusion::MustOffer { name, other }) => Step::End(match self.candidate(*name) {
                Some(candidate) => self.same_name(*other, candidate, package),
                None => self.does_not_fit(package),
            }),
            None => self.in_play(package),
        }
    }

    fn excluded(&self, package: u32, source: Source) -> Problem {
        let label = label::package(self.universe, package);
        let demand = self.demand(source).filter(|demand| !demand.conflict);
        let offers_otherwise = |demand: &Demand<'_>| {
            let mut fitting = self.fitting(source, demand).into_iter();
            fitting.any(|offer| offer.package == package)
        };
        match demand.filter(offers_otherwise) {
            Some(demand) => {
                Problem::ProvidedTwice { name: self.universe.name_text(demand.name).into(), package: label }
            }
            None => Problem::Excluded { package: label, by: self.chain(source) },
        }
    }

    /// Why a package that is in play cannot be there.
    fn in_play(&self, package: u32) -> Step {
        let state = self.search.packages.get(package);
        if state.is_some_and(|state| !state.is_cleared()) {
            let tags = label::tags(self.universe, package);
            return Step::End(Problem::OnlyTagged { package: label::package(self.universe, package), tags });
        }
        let unmet = self.universe.depends(package).find(|place| !self.can_be_met(package, *place));
        match unmet {
            Some(place) => Step::Unmet(Source::Package { package, place }),
            None => Step::End(self.does_not_fit(package)),
        }
    }

    /// Whether a dependency is met by what was chosen, or can be by what is left.
    fn can_be_met(&self, package: u32, place: u32) -> bool {
        let demand = self.universe.demand(place);
        match self.search.closed(demand.name) {
            Some(winner) => demand.is_met(self.universe, Some(package), winner.as_ref()),
            None => {
                let fitting = self.fitting(Source::Package { package, place }, &demand);
                demand.conflict || fitting.iter().any(|offer| self.is_in_play(offer.package))
            }
        }
    }

    /// The package that stands for a name, or may, or might have.
    fn candidate(&self, name: u32) -> Option<u32> {
        let winner = self.search.closed(name).flatten().map(|offer| offer.package);
        let mut offers = self.universe.offers(name).map(|place| self.universe.offering(place));
        let was_candidate =
            |package: &u32| self.search.packages.get(*package).is_some_and(|state| state.candidate);
        let in_play = || offers.clone().find(|package| self.is_in_play(*package));
        winner.or_else(in_play).or_else(|| offers.find(was_candidate))
    }

    /// Why a package can be installed nowhere, or not here (rule 2.3).
    fn unusable(&self, package: u32) -> Step {
        let Some(record) = self.universe.record(package) else {
            return Step::End(self.does_not_fit(package));
        };
        let mut places = self.universe.depends(package);
        let is_broken =
            |place: &u32| self.universe.dependency(*place).is_some_and(|d| !d.has_valid_version());
        if let Some(place) = places.find(is_broken) {
            return Step::Broken(Source::Package { package, place });
        }
        let label = label::package(self.universe, package);
        if let Some(field) = record.unknown_field {
            return Step::End(Problem::UnknownField { package: label, field });
        }
        Step::End(match record.depends.iter().find(|dependency| dependency.tag.is_some()) {
            Some(pinned) => Problem::MisplacedTag { package: label, dependency: pinned.clone() },
            None => Problem::WrongArchitecture { package: label, arch: record.arch.clone() },
        })
    }

    fn same_name(&self, name: u32, rival: u32, package: u32) -> Problem {
        let name = self.universe.name_text(name).into();
        let package_label = label::package(self.universe, package);
        if rival == package {
            return Problem::ProvidedTwice { name, package: package_label };
        }
        Problem::SameName {
            name,
            package: package_label,
            other: label::package(self.universe, rival),
            by: self.chain_of(rival),
        }
    }

    fn does_not_fit(&self, package: u32) -> Problem {
        Problem::NotFound { package: label::package(self.universe, package) }
    }
}
