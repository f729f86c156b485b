//! What is in the way of a demand, followed down as far as there is something plain to say.

use std::collections::{BTreeSet, HashSet};

use super::super::search::{Asker as By, Failure};
use super::super::stock::Stock as _;
use super::super::universe::{Dep, NameId, PackageId, Provider};
use super::similar::similar;
use super::trace::{Demand, Trace, wants};
use super::{Ask, Asker, Cause, Problem};

/// A longer chain helps nobody, and following it without end would take a stack without end.
const MAX_CHAIN: usize = 32;

impl<'a> Trace<'_, '_, 'a> {
    /// The cause of one failure.
    pub(super) fn cause(&self, failure: &Failure<'a>) -> Cause {
        let mut cause = self.bare_cause(failure);
        if cause.chain.is_empty() {
            // It concerns a package that nothing brings any more; the world is where it began.
            cause.chain = self.first_chain();
        }
        cause
    }

    fn bare_cause(&self, failure: &Failure<'a>) -> Cause {
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

    fn first_chain(&self) -> Vec<Ask> {
        self.demands.first().map(|demand| self.chain(demand)).unwrap_or_default()
    }

    fn no_provider(&self, name: NameId) -> Cause {
        if let Some(demand) = self.demand_for(name) {
            return self.unmet(self.chain(demand), demand.by.package(), demand.dep, &mut HashSet::new());
        }
        let Some((mut chain, package, dep)) = self.lost_demand(name) else {
            let chain = self.first_chain();
            return Cause { chain, problem: Problem::NotFound { package: Box::from("a dependency of it") } };
        };
        chain.push(self.ask(By::Package(package), dep));
        self.unmet(chain, Some(package), dep, &mut HashSet::new())
    }

    /// A demand for a name by a package that was the only candidate once, and was ruled out for it later; with
    /// the chain that wants the package.
    fn lost_demand(&self, name: NameId) -> Option<(Vec<Ask>, PackageId, Dep<'a>)> {
        let universe = self.search.universe;
        self.search.needed_by(name).into_iter().find_map(|needer| {
            let chain = self.chain(self.demand_for(needer)?);
            let packages = universe.providers(needer).iter().map(|provider| provider.package);
            let (package, dep) = packages
                .flat_map(|package| universe.depends(package).iter().map(move |dep| (package, *dep)))
                .find(|(_, dep)| dep.name == name && !dep.dependency.conflict)?;
            Some((chain, package, dep))
        })
    }

    /// The demands that nothing at all can meet, whatever else is chosen: the plainest causes.
    pub(super) fn impossible(&self) -> impl Iterator<Item = Cause> + '_ {
        // One that names a broken version is for the package that makes it to answer for.
        let impossible = |demand: &&Demand<'a>| {
            wants(demand) && demand.dep.dependency.has_valid_version() && self.candidates(demand).is_empty()
        };
        self.demands.iter().filter(impossible).map(|demand| {
            self.unmet(self.chain(demand), demand.by.package(), demand.dep, &mut HashSet::new())
        })
    }

    fn broken(&self, package: PackageId) -> Cause {
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
            return self.not_installable(package, chain);
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
        if let Some((name, rival)) = self.rival(package) {
            return self.same_name(name, rival, package, chain);
        }
        match self.lame_dependency(package, visited) {
            Some((dep, lame)) => {
                let mut chain = chain;
                chain.push(self.ask(By::Package(package), dep));
                self.ruled_out(lame, chain, visited)
            }
            None => Cause { chain, problem: Problem::NotFound { package: label } },
        }
    }

    /// A dependency for which a package was taken that is ruled out itself, because there was no other.
    fn lame_dependency(
        &self,
        package: PackageId,
        visited: &HashSet<PackageId>,
    ) -> Option<(Dep<'a>, PackageId)> {
        self.search.universe.depends(package).iter().find_map(|dep| {
            let chosen = self.search.chosen(dep.name)?.package;
            let lame = !self.search.package(chosen).selectable && !visited.contains(&chosen);
            (lame && !dep.dependency.conflict).then_some((*dep, chosen))
        })
    }

    /// Why a package can be installed nowhere, or not here.
    fn not_installable(&self, package: PackageId, mut chain: Vec<Ask>) -> Cause {
        let record = self.search.universe.record(package);
        match record.depends.iter().find(|dependency| !dependency.has_valid_version()) {
            Some(broken) => {
                let by = Asker::Package(record.name.clone(), record.version.clone());
                chain.push(Ask { by, dependency: broken.clone(), triggers: false });
                Cause { chain, problem: Problem::BadVersion }
            }
            None => {
                let (package, arch) = (self.label(package), record.arch.clone());
                Cause { chain, problem: Problem::WrongArchitecture { package, arch } }
            }
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
        if dep.dependency.conflict {
            return Cause { chain, problem: self.presence(dep) };
        }
        if providers.is_empty() {
            let name = &dep.dependency.name;
            let command_of = self.command_of(name);
            return Cause {
                chain,
                problem: Problem::NoSuchName { similar: similar(universe, name), command_of },
            };
        }
        let meets = |provider: &&Provider<'a>| self.search.meets(asker, dep, Some(provider));
        let fitting: Vec<&Provider<'a>> = providers.iter().filter(meets).collect();
        if fitting.is_empty() {
            let available =
                providers.iter().map(|provider| self.provider_label(dep.name, provider)).collect();
            return Cause { chain, problem: Problem::NoSuchVersion { available } };
        }
        if let Some(problem) = self.choice(&fitting) {
            return Cause { chain, problem };
        }
        let version = |provider: &Provider<'a>| &universe.record(provider.package).version;
        match fitting.iter().max_by(|a, b| version(a).compare(version(b))) {
            Some(provider) if !visited.contains(&provider.package) => {
                self.ruled_out(provider.package, chain, visited)
            }
            _ => Cause { chain, problem: Problem::NotFound { package: dep.dependency.name.clone() } },
        }
    }

    /// The packages that have a command of this name.
    fn command_of(&self, name: &str) -> Vec<Box<str>> {
        let universe = self.search.universe;
        let providers = universe.find(&format!("cmd:{name}")).map(|id| universe.providers(id));
        let names = providers.unwrap_or_default().iter().map(|p| universe.record(p.package).name.clone());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What is there that a conflict says must not be.
    fn presence(&self, conflict: Dep<'a>) -> Problem {
        match self.search.chosen(conflict.name) {
            Some(chosen) => {
                Problem::Excluded { package: self.label(chosen.package), by: self.chain_of(chosen.package) }
            }
            None => Problem::NotFound { package: conflict.dependency.name.clone() },
        }
    }

    /// Whether something is left that stands for a name, but nothing that may be chosen by itself.
    fn choice(&self, fitting: &[&Provider<'a>]) -> Option<Problem> {
        let left: Vec<_> =
            fitting.iter().filter(|provider| self.search.package(provider.package).selectable).collect();
        if left.is_empty() || left.iter().any(|provider| self.search.may_be_chosen_by_itself(provider)) {
            return None;
        }
        let name = |provider: &&&Provider<'a>| self.search.universe.record(provider.package).name.clone();
        let mut providers: Vec<Box<str>> = left.iter().map(name).collect();
        providers.dedup();
        Some(Problem::ChooseOne { providers })
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

    /// A chosen package that stands for a name this one would need for itself.
    fn rival(&self, package: PackageId) -> Option<(NameId, PackageId)> {
        self.search.universe.names_of(package).find_map(|name| {
            let chosen = self.search.chosen(name)?;
            (chosen.package != package).then_some((name, chosen.package))
        })
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
}
