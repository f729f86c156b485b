//! Looking at a name again after something about it or its providers has changed.

use std::cmp::Ordering;

use super::search::{Asker, Search};
use super::stock::Stock;
use super::universe::{Dep, NameId, PackageId, Provider};
use crate::version;

/// What a look at the providers of a name finds.
#[derive(Default)]
struct Findings {
    /// How many are left to choose from.
    options: u32,
    /// How many of them may not be chosen, for where they come from.
    not_allowed: u32,
    /// The first of them; what it shares with all the others is in the merge counts.
    first: Option<PackageId>,
    triggered: bool,
    triggerable: bool,
    auto_selectable: bool,
}

impl<'a, U: Stock<'a>> Search<'_, 'a, U> {
    /// Drops the providers that have become impossible, and demands what all that are left have in common.
    pub(super) fn reconsider(&mut self, name: NameId) {
        let recheck_depends = self.recheck_depends.take(name.0);
        let recheck_install_if = std::mem::take(&mut self.name_mut(name).recheck_install_if);
        let mut found = Findings::default();
        for provider in self.universe.providers(name) {
            self.consider(name, &provider, recheck_depends, recheck_install_if, &mut found);
        }
        let state = self.name_mut(name);
        state.has_options = found.options > 1 || found.not_allowed > 0;
        state.triggered = found.triggered;
        state.untriggerable = !found.triggerable;
        let moved = state.auto_selectable != found.auto_selectable;
        state.auto_selectable = found.auto_selectable;
        if let Some(first) = found.first {
            self.spread(name, first, found.options);
        }
        let needers_decided = self.needers_decided(name);
        self.name_mut(name).needers_decided = needers_decided;
        self.enqueue(name, moved);
    }

    fn consider(
        &mut self,
        name: NameId,
        provider: &Provider<'a>,
        recheck_depends: bool,
        recheck_install_if: bool,
        found: &mut Findings,
    ) {
        let package = provider.package;
        self.package_mut(package).merging = false;
        if recheck_depends && self.package(package).selectable && !self.depends_satisfiable(package) {
            self.disqualify(package);
        }
        if !self.package(package).selectable {
            return;
        }
        if recheck_install_if {
            self.check_install_if(package);
        }
        let state = self.package(package);
        found.triggered |= state.triggered;
        found.triggerable |= !state.untriggerable;
        found.auto_selectable |= state.triggered;
        if self.name(name).requirers == 0 {
            return;
        }
        found.first.get_or_insert(package);
        found.not_allowed += u32::from(!state.tag_ok);
        self.package_mut(package).merging = true;
        self.merge(provider, found.options);
        found.options += 1;
        found.auto_selectable = found.auto_selectable || self.may_be_chosen_by_itself(provider);
    }

    fn depends_satisfiable(&self, package: PackageId) -> bool {
        self.universe.depends(package).all(|dep| self.satisfiable(package, dep))
    }

    /// Whether something that meets a dependency is still left.
    pub(super) fn satisfiable(&self, asker: PackageId, dep: Dep<'a>) -> bool {
        let state = self.name(dep.name);
        if let Some(chosen) = &state.chosen {
            return self.meets(Some(asker), dep, chosen.as_ref());
        }
        if state.requirers == 0 && self.meets(Some(asker), dep, None) {
            return true;
        }
        let can = |provider: Provider<'a>| {
            self.package(provider.package).selectable && self.meets(Some(asker), dep, Some(&provider))
        };
        self.universe.providers(dep.name).any(can)
    }

    /// Finds out whether a package's `install_if` is true, false for good, or still open.
    fn check_install_if(&mut self, package: PackageId) {
        let state = self.package(package);
        if !state.triggered && !state.untriggerable {
            match self.install_if_holds(package) {
                Some(true) => self.package_mut(package).triggered = true,
                Some(false) => self.package_mut(package).untriggerable = true,
                None => {}
            }
        }
        if self.package(package).triggered {
            for dep in self.universe.install_if(package) {
                match self.chosen(dep.name) {
                    Some(chosen) => self.inherit(package, Asker::Package(chosen.package)),
                    None => self.inherit(package, Asker::World(0)),
                }
            }
        }
    }

    fn install_if_holds(&mut self, package: PackageId) -> Option<bool> {
        for dep in self.universe.install_if(package) {
            let Some(chosen) = self.name(dep.name).chosen else {
                if dep.conflict {
                    self.name_mut(dep.name).absence_awaited = true;
                    self.enqueue(dep.name, false);
                }
                return None;
            };
            if !self.meets(Some(package), dep, chosen.as_ref()) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Counts, for each name the first candidate depends on or provides, in how many candidates running it is.
    fn merge(&mut self, provider: &Provider<'a>, options: u32) {
        let (universe, package) = (self.universe, provider.package);
        for dep in universe.depends(package) {
            let count = &mut self.name_mut(dep.name).merged_depends;
            if !dep.conflict && *count == options {
                *count = options + 1;
            }
        }
        let own = (universe.name_of(package), provider.version.is_none());
        let provides = universe.provides(package).map(|dep| (dep.name, dep.constraint.is_none()));
        for (name, unversioned) in std::iter::once(own).chain(provides) {
            let state = self.name_mut(name);
            if state.merged_provides == options {
                state.merged_provides = options + 1;
                state.merged_virtual |= unversioned;
            }
        }
    }

    /// Demands what all candidates depend on, and excludes those of a name they all provide that are none of them.
    fn spread(&mut self, name: NameId, first: PackageId, options: u32) {
        let universe = self.universe;
        for provider in universe.providers(name) {
            let state = self.package_mut(provider.package);
            state.used = state.merging;
        }
        for dep in universe.depends(first) {
            let merged = std::mem::take(&mut self.name_mut(dep.name).merged_depends);
            if merged != options {
                continue;
            }
            if options == 1 {
                self.demand(Asker::Package(first), dep);
            } else if self.name(dep.name).requirers == 0 {
                self.name_mut(dep.name).requirers = 1;
                self.first_demanded(dep.name);
                for provider in universe.providers(dep.name) {
                    self.inherit(provider.package, Asker::Package(first));
                }
            }
        }
        for common in universe.names_of(first) {
            let merged = std::mem::take(&mut self.name_mut(common).merged_provides);
            if merged == options && common != name {
                self.exclude_others(common, name);
            }
        }
        for common in universe.names_of(first) {
            self.name_mut(common).merged_virtual = false;
        }
    }

    /// All candidates of `name` provide `common` too: what provides `common` but not `name` is out, unless it
    /// can be there beside them because no version is given.
    fn exclude_others(&mut self, common: NameId, name: NameId) {
        let universe = self.universe;
        let skip_virtual = self.name(common).merged_virtual;
        for provider in universe.providers(common) {
            let package = provider.package;
            let spared = universe.name_of(package) == name
                || !self.package(package).selectable
                || (skip_virtual && provider.version.is_none())
                || universe.provided_names(package).any(|provided| provided == name)
                || (skip_virtual && universe.provides(package).any(|dep| dep.constraint.is_none()));
            if !spared {
                self.disqualify(package);
            }
        }
    }

    /// The provider to choose for a name, if there is one that may be; it may still be one that is ruled out.
    pub(super) fn preferred(&self, name: NameId) -> Option<Provider<'a>> {
        let state = self.name(name);
        if state.requirers == 0 && !state.triggered {
            return None;
        }
        let mut best: Option<Provider<'a>> = None;
        for provider in self.universe.providers(name) {
            let package = self.package(provider.package);
            let unwanted =
                state.requirers == 0 && !(package.triggered && package.tag_ok && package.selectable);
            if unwanted || !self.may_be_chosen_by_itself(&provider) {
                continue;
            }
            if best.is_none_or(|best| self.preference(&provider, &best).is_gt()) {
                best = Some(provider);
            }
        }
        best
    }

    /// A `provides` without version must be asked for by name, unless its package declares a priority.
    pub(super) fn may_be_chosen_by_itself(&self, provider: &Provider<'a>) -> bool {
        provider.version.is_some()
            || self.universe.priority(provider.package) != 0
            || self.name(self.universe.name_of(provider.package)).requirers > 0
    }

    /// Compares two providers of one name; the greater is preferred.
    fn preference(&self, a: &Provider<'a>, b: &Provider<'a>) -> Ordering {
        let universe = self.universe;
        let (left, right) = (self.package(a.package), self.package(b.package));
        // No version is older than any.
        let by_version = || match (a.version, b.version) {
            (Some(a), Some(b)) => version::order(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let by_own_version = || match universe.name_of(a.package) == universe.name_of(b.package) {
            true => version::order(universe.version(a.package), universe.version(b.package)),
            false => Ordering::Equal,
        };
        let by_repository = || {
            let first = |provider: &Provider<'a>| universe.repositories_of(provider.package).trailing_zeros();
            first(b).cmp(&first(a))
        };
        left.selectable
            .cmp(&right.selectable)
            .then_with(|| left.used.cmp(&right.used))
            .then_with(|| right.conflicts.cmp(&left.conflicts))
            .then_with(|| left.tag_ok.cmp(&right.tag_ok))
            .then_with(|| left.tag_preferred.cmp(&right.tag_preferred))
            .then_with(by_version)
            .then_with(by_own_version)
            .then_with(|| universe.priority(a.package).cmp(&universe.priority(b.package)))
            .then_with(by_repository)
    }
}
