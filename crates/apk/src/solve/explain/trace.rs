//! Follows the failures of a search back to the world, and down to what is in the way.

use std::collections::{HashMap, HashSet};

use super::super::search::{Asker as By, Failure, Search};
use super::super::universe::{Dep, NameId, PackageId, Provider};
use super::similar::similar;
use super::{Ask, Asker, Cause, Problem};

/// A longer chain helps nobody, and following it without end would take a stack without end.
const MAX_CHAIN: usize = 32;

/// A demand that was made, and by whom.
#[derive(Clone, Copy)]
struct Demand<'a> {
    by: By,
    dep: Dep<'a>,
}

/// All demands, nearest to the world first, and which of them brought each package.
pub(super) struct Trace<'s, 'u, 'a> {
    search: &'s Search<'u, 'a>,
    demands: Vec<Demand<'a>>,
    brought_by: HashMap<PackageId, Demand<'a>>,
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
            if let Some(package) = chosen.map(|provider| provider.package)
                && !trace.brought_by.contains_key(&package)
            {
                trace.brought_by.insert(package, demand);
                let deps = search.universe.depends(package).iter();
                trace.demands.extend(deps.map(|dep| Demand { by: By::Package(package), dep: *dep }));
            }
        }
        trace
    }

    /// The cause of one failure.
    pub fn cause(&self, failure: &Failure<'a>) -> Cause {
        match failure {
            Failure::NoProvider(name) => self.no_provider(*name),
            Failure::Broken(package) => self.broken(*package),
            Failure::SameName(name, earlier, later) => {
                self.same_name(*name, *earlier, *later, self.chain_of(*later))
            }
            Failure::Unmet(package, dep) => {
                let mut chain = self.chain_of(*package);
                chain.push(self.ask(By::Package(*package), *dep));
                self.unmet(chain, Some(*package), *dep, &mut HashSet::new())
            }
        }
    }

    fn no_provider(&self, name: NameId) -> Cause {
        let Some(demand) = self.demands.iter().find(|demand| demand.dep.name == name && wants(demand)) else {
            // Demanded only by a package that lost its place later.
            let chain = self.demands.first().map(|demand| self.chain(demand)).unwrap_or_default();
            return Cause { chain, problem: Problem::NotFound { package: Box::from("a dependency") } };
        };
        let chain = self.chain(demand);
        self.unmet(chain, demand.by.package(), demand.dep, &mut HashSet::new())
    }

    fn broken(&self, package: PackageId) -> Cause {
        // A demand that nothing at all can meet is the plainest cause.
        let impossible = |demand: &&Demand<'a>| {
            wants(demand)
                && self.is_provided_by(package, demand.dep.name)
                && self.candidates(demand).is_empty()
        };
        if let Some(demand) = self.demands.iter().find(impossible) {
            return self.unmet(self.chain(demand), demand.by.package(), demand.dep, &mut HashSet::new());
        }
        self.ruled_out(package, self.chain_of(package), &mut HashSet::new())
    }

    /// Why a package is ruled out, given the chain that wants it.
    fn ruled_out(&self, package: PackageId, chain: Vec<Ask>, visited: &mut HashSet<PackageId>) -> Cause {
        visited.insert(package);
        if chain.len() >= MAX_CHAIN {
            return Cause { chain, problem: Problem::NotFound { package: self.label(package) } };
        }
        let universe = self.search.universe;
        let label = self.label(package);
        if !universe.is_installable(package) {
            let record = universe.record(package);
            if let Some(broken) = record.depends.iter().find(|dependency| !dependency.has_valid_version()) {
                let mut chain = chain;
                let by = Asker::Package(record.name.clone(), record.version.clone());
                chain.push(Ask { by, dependency: broken.clone() });
                return Cause { chain, problem: Problem::BadVersion };
            }
            let arch = record.arch.clone();
            return Cause { chain, problem: Problem::WrongArchitecture { package: label, arch } };
        }
        if !self.search.package(package).tag_ok {
            return Cause {
                chain,
                problem: Problem::OnlyTagged { package: label, tags: self.tags_of(package) },
            };
        }
        let unmet = |dep: &&Dep<'a>| !self.search.satisfiable(package, **dep);
        if let Some(dep) = universe.depends(package).iter().find(unmet) {
            let mut chain = chain;
            chain.push(self.ask(By::Package(package), *dep));
            return self.unmet(chain, Some(package), *dep, visited);
        }
        if let Some(demand) = self.demands.iter().find(|demand| self.excludes(demand, package)) {
            return Cause { chain, problem: Problem::Excluded { package: label, by: self.chain(demand) } };
        }
        match self.rival(package) {
            Some((name, rival)) => self.same_name(name, rival, package, chain),
            None => Cause { chain, problem: Problem::NotFound { package: label } },
        }
    }

    /// Why nothing meets the last demand of a chain.
    fn unmet(
        &self,
        chain: Vec<Ask>,
        asker: Option<PackageId>,
        dep: Dep<'a>,
        visited: &mut HashSet<PackageId>,
    ) -> Cause {
        let universe = self.search.universe;
        let providers = universe.providers(dep.name);
        let chosen = self.search.chosen(dep.name);
        if dep.dependency.conflict {
            let (package, by) = match chosen {
                Some(chosen) => (self.label(chosen.package), self.chain_of(chosen.package)),
                None => (dep.dependency.name.clone(), Vec::new()),
            };
            return Cause { chain, problem: Problem::Excluded { package, by } };
        }
        if providers.is_empty() {
            let similar = similar(universe, &dep.dependency.name);
            return Cause { chain, problem: Problem::NoSuchName { similar } };
        }
        let meets = |provider: &&Provider<'a>| self.search.meets(asker, dep, Some(provider));
        let fitting: Vec<&Provider<'a>> = providers.iter().filter(meets).collect();
        if fitting.is_empty() {
            let available =
                providers.iter().map(|provider| self.provider_label(dep.name, provider)).collect();
            return Cause { chain, problem: Problem::NoSuchVersion { available } };
        }
        let selectable = |provider: &&&Provider<'a>| self.search.package(provider.package).selectable;
        if fitting.iter().filter(selectable).all(|provider| !self.search.may_be_chosen_by_itself(provider))
            && fitting.iter().any(|provider| self.search.package(provider.package).selectable)
        {
            let mut names: Vec<Box<str>> =
                fitting.iter().map(|provider| universe.record(provider.package).name.clone()).collect();
            names.dedup();
            return Cause { chain, problem: Problem::ChooseOne { providers: names } };
        }
        let newest = fitting.iter().max_by(|a, b| {
            let version = |provider: &Provider<'a>| &universe.record(provider.package).version;
            version(a).compare(version(b))
        });
        match newest {
            Some(provider) if !visited.contains(&provider.package) => {
                self.ruled_out(provider.package, chain, visited)
            }
            _ => Cause { chain, problem: Problem::NotFound { package: dep.dependency.name.clone() } },
        }
    }

    fn same_name(&self, name: NameId, rival: PackageId, package: PackageId, chain: Vec<Ask>) -> Cause {
        let name = self.text(name, package).unwrap_or_else(|| self.label(package));
        let problem = Problem::SameName {
            name,
            package: self.label(package),
            other: self.label(rival),
            by: self.chain_of(rival),
        };
        Cause { chain, problem }
    }

    /// The text of a name that a package provides.
    fn text(&self, name: NameId, package: PackageId) -> Option<Box<str>> {
        let universe = self.search.universe;
        if universe.name_of(package) == name {
            return Some(universe.record(package).name.clone());
        }
        let dep = universe.provides(package).iter().find(|dep| dep.name == name)?;
        Some(dep.dependency.name.clone())
    }

    /// A chosen package that stands for a name this one would need for itself.
    fn rival(&self, package: PackageId) -> Option<(NameId, PackageId)> {
        self.names_of(package).find_map(|name| {
            let chosen = self.search.chosen(name)?;
            (chosen.package != package).then_some((name, chosen.package))
        })
    }

    fn names_of(&self, package: PackageId) -> impl Iterator<Item = NameId> + '_ {
        let universe = self.search.universe;
        let provides = universe.provides(package).iter().map(|dep| dep.name);
        std::iter::once(universe.name_of(package)).chain(provides)
    }

    fn is_provided_by(&self, package: PackageId, name: NameId) -> bool {
        self.names_of(package).any(|own| own == name)
    }

    /// The providers of a demand's name that meet it, ruled out or not.
    fn candidates(&self, demand: &Demand<'a>) -> Vec<&Provider<'a>> {
        let providers = self.search.universe.providers(demand.dep.name).iter();
        let meets = |p: &&Provider<'a>| self.search.meets(demand.by.package(), demand.dep, Some(p));
        providers.filter(meets).collect()
    }

    fn excludes(&self, demand: &Demand<'a>, package: PackageId) -> bool {
        let providers = self.search.universe.providers(demand.dep.name).iter();
        providers
            .filter(|provider| provider.package == package)
            .any(|provider| !self.search.meets(demand.by.package(), demand.dep, Some(provider)))
    }

    fn tags_of(&self, package: PackageId) -> Vec<Box<str>> {
        let universe = self.search.universe;
        let repositories = universe.repositories_of(package);
        let holding = universe.tags().iter().filter(|(_, tagged)| tagged & repositories != 0);
        holding.map(|(tag, _)| Box::from(*tag)).collect()
    }

    fn label(&self, package: PackageId) -> Box<str> {
        let record = self.search.universe.record(package);
        format!("{}-{}", record.name, record.version).into()
    }

    /// `a-1.0-r0`, or `name=2 of a-1.0-r0` for what it provides.
    fn provider_label(&self, name: NameId, provider: &Provider<'a>) -> Box<str> {
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

    fn ask(&self, by: By, dep: Dep<'a>) -> Ask {
        let by = match by {
            By::World(_) => Asker::World,
            By::Package(package) => {
                let record = self.search.universe.record(package);
                Asker::Package(record.name.clone(), record.version.clone())
            }
        };
        Ask { by, dependency: dep.dependency.clone() }
    }

    /// The chain that ends with a demand.
    fn chain(&self, demand: &Demand<'a>) -> Vec<Ask> {
        let mut chain = vec![self.ask(demand.by, demand.dep)];
        let mut by = demand.by;
        // Each step goes to a demand made earlier, so this ends.
        while let By::Package(package) = by {
            let Some(earlier) = self.brought_by.get(&package) else { break };
            chain.push(self.ask(earlier.by, earlier.dep));
            by = earlier.by;
        }
        chain.reverse();
        chain
    }

    /// The chain that brought a package; for one brought by its `install_if`, that of what triggered it.
    fn chain_of(&self, package: PackageId) -> Vec<Ask> {
        if let Some(demand) = self.brought_by.get(&package) {
            return self.chain(demand);
        }
        let triggers = self.search.universe.install_if(package).iter();
        let brought = |dep: &Dep<'a>| self.brought_by.get(&self.search.chosen(dep.name)?.package);
        match triggers.filter(|dep| !dep.dependency.conflict).find_map(brought) {
            Some(demand) => self.chain(demand),
            None => self.demands.first().map(|demand| self.chain(demand)).unwrap_or_default(),
        }
    }
}

fn wants(demand: &Demand<'_>) -> bool {
    !demand.dep.dependency.conflict
}
