//! The search: which package stands for each name.
//!
//! There is no backtracking. Demands are spread as far as they follow of themselves (what all candidates of a
//! demanded name depend on is demanded; a candidate that fails a demand is out, and so is one that depends on
//! what no candidate can give); then one name is decided by preference, and so on until no name waits. Where
//! that leads nowhere the world is refused even if some other choice would have worked: apk does the same
//! (apk-tools `src/solver.c`), and its answer is what must come out here.
//!
//! ```text
//! world ─▶ demand ─▶ dirty names ─▶ reconsider ─▶ demand, disqualify ─▶ more dirty names
//!                                        └─▶ waiting names ─▶ select ─▶ lock, demand its dependencies
//! ```

use std::collections::VecDeque;

use super::bits::Bits;
use super::discover::Reached;
use super::matching::is_met;
use super::queue::Queues;
use super::state::{NameState, PackageState, Queue, UNPINNED};
use super::stock::Stock;
use super::touched::Touched;
use super::universe::{Dep, NameId, PackageId, Provider, Universe};

/// What went wrong; the search goes on after it, so that an explanation has all there is to know.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure<'a> {
    /// A demanded name has no provider that may be chosen.
    NoProvider(NameId),
    /// Only a package that is ruled out, or not allowed, was left.
    Broken(PackageId),
    /// Two chosen packages provide one name, at least one of them with a version.
    SameName(NameId, PackageId, PackageId),
    /// A chosen package's dependency is not met by what was chosen.
    Unmet(PackageId, Dep<'a>),
}

/// The state of one search.
pub(super) struct Search<'u, 'a, U = Universe<'a>> {
    pub(super) universe: &'u U,
    pub(super) names: Touched<NameState<'a>>,
    untouched: NameState<'a>,
    packages: Touched<PackageState>,
    pub(super) reached: Reached,
    /// Of a name: some provider's dependency may have become unsatisfiable.
    pub(super) recheck_depends: Bits,
    /// All names that are demanded or may be triggered, and some that were: only these are ever woken.
    pub(super) active: Bits,
    pub(super) dirty: VecDeque<NameId>,
    /// Room for names on their way to `dirty`.
    pub(super) woken: Vec<NameId>,
    queues: Queues,
    pub(super) failures: Vec<Failure<'a>>,
}

/// Who makes a demand: the world, with the tag it pins to as a bit, or a package.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    World(u64),
    Package(PackageId),
}

impl Asker {
    pub(super) fn package(self) -> Option<PackageId> {
        match self {
            Self::World(_) => None,
            Self::Package(package) => Some(package),
        }
    }
}

impl<'u, 'a, U: Stock<'a>> Search<'u, 'a, U> {
    /// Decides all that the world reaches. The demands are in apk's order and pinned to tags given as bits.
    pub(super) fn run(universe: &'u U, names: usize, world: &[(Dep<'a>, u64)]) -> Self {
        let mut search = Self {
            universe,
            names: Touched::new(names),
            untouched: NameState::default(),
            packages: Touched::new(universe.package_count()),
            reached: Reached::from(universe, names, world),
            recheck_depends: Bits::new(names),
            active: Bits::new(names),
            dirty: VecDeque::new(),
            woken: Vec::new(),
            queues: Queues::default(),
            failures: Vec::new(),
        };
        for (dep, pinning) in world {
            search.demand(Asker::World(*pinning), *dep);
        }
        search.decide();
        search
    }

    fn decide(&mut self) {
        loop {
            while let Some(name) = self.dirty.pop_front() {
                self.name_mut(name).dirty = false;
                if !self.name(name).locked() {
                    self.reconsider(name);
                }
            }
            let Some(name) = self.queues.pop() else { return };
            if !self.name(name).locked() {
                self.select(name);
            }
        }
    }

    // Ids come from the universe (or, for names, from the world: `names` counts those too), so they are in range.
    pub(super) fn name(&self, name: NameId) -> &NameState<'a> {
        self.names.get(name.0).unwrap_or(&self.untouched)
    }

    pub(super) fn name_mut(&mut self, name: NameId) -> &mut NameState<'a> {
        self.names.get_mut(name.0, NameState::default)
    }

    pub(super) fn package(&self, package: PackageId) -> PackageState {
        let known = self.packages.get(package.0).copied();
        known.unwrap_or_else(|| PackageState::new(self.universe, package))
    }

    pub(super) fn package_mut(&mut self, package: PackageId) -> &mut PackageState {
        self.packages.get_mut(package.0, || PackageState::new(self.universe, package))
    }

    /// What stands for a name, if anything does.
    pub(super) fn chosen(&self, name: NameId) -> Option<Provider<'a>> {
        self.name(name).chosen.flatten()
    }

    /// Whether a dependency is met by a provider.
    pub(super) fn meets(
        &self,
        asker: Option<PackageId>,
        dep: Dep<'a>,
        provider: Option<&Provider<'a>>,
    ) -> bool {
        is_met(self.universe, asker, dep, provider)
    }

    pub(super) fn fail(&mut self, package: PackageId, failure: Failure<'a>) {
        let state = self.package_mut(package);
        if !state.failed {
            state.failed = true;
            self.failures.push(failure);
        }
    }

    // Waking names up.

    pub(super) fn mark_dirty(&mut self, name: NameId) {
        if self.wakes(name) {
            self.name_mut(name).dirty = true;
            self.dirty.push_back(name);
        }
    }

    /// Whether a name has to be looked at again, now that something has changed for it.
    pub(super) fn wakes(&self, name: NameId) -> bool {
        let state = self.name(name);
        !state.dirty && !state.locked() && (state.requirers > 0 || state.recheck_install_if)
    }

    /// Puts a name where it has to wait, if it has to; `moved` says that its queue may have to change.
    pub(super) fn enqueue(&mut self, name: NameId, moved: bool) {
        let state = self.name_mut(name);
        if state.locked() || state.queue == Queue::Settled {
            return;
        }
        let wanted = state.requirers > 0 || state.triggered || state.absence_awaited;
        let settled =
            state.needers_decided && state.requirers > 0 && state.auto_selectable && !state.has_options;
        let waits = state.queue != Queue::None;
        if (waits && !settled && !moved) || (!waits && !wanted) {
            return;
        }
        let before = state.queue;
        state.queue = match (settled, state.auto_selectable) {
            (true, _) => Queue::Settled,
            (false, true) => Queue::Selectable,
            (false, false) => Queue::Unresolved,
        };
        let (now, order) = (state.queue, self.reached.order(name));
        self.queues.remove(before, order, name);
        self.queues.insert(now, order, name);
    }

    fn recheck_triggered(&mut self, name: NameId) {
        for triggered in self.universe.triggers(name) {
            if self.reached.has(triggered) && !self.name_mut(triggered).untriggerable {
                self.name_mut(triggered).recheck_install_if = true;
                self.active.set(triggered.0);
                self.mark_dirty(triggered);
            }
        }
    }

    fn recheck_triggered_by(&mut self, package: PackageId) {
        for name in self.universe.names_of(package) {
            self.recheck_triggered(name);
        }
    }

    // Demands and what follows of them.

    /// Rules a package out, and wakes all that may have counted on it.
    pub(super) fn disqualify(&mut self, package: PackageId) {
        self.package_mut(package).selectable = false;
        for name in self.universe.names_of(package) {
            self.recheck_needers(name);
        }
        self.recheck_triggered_by(package);
    }

    /// Notes that a name is demanded for the first time.
    pub(super) fn first_demanded(&mut self, name: NameId) {
        self.active.set(name.0);
        self.enqueue(name, false);
        self.recheck_triggered(name);
        self.mark_dirty(name);
    }

    /// Applies a dependency: the providers that fail it are out, the others may come from where the asker may.
    pub(super) fn demand(&mut self, asker: Asker, dep: Dep<'a>) {
        if !dep.conflict {
            let state = self.name_mut(dep.name);
            state.requirers += 1;
            if state.requirers == 1 {
                self.first_demanded(dep.name);
            }
        }
        for provider in self.universe.providers(dep.name) {
            if self.meets(asker.package(), dep, Some(&provider)) {
                self.inherit(provider.package, asker);
                continue;
            }
            let state = self.package_mut(provider.package);
            state.conflicts += 1;
            if state.selectable {
                self.disqualify(provider.package);
            }
        }
    }

    /// Lets a package come from where the one that asks for it may.
    pub(super) fn inherit(&mut self, package: PackageId, asker: Asker) {
        let pinning = match asker {
            Asker::World(pinning) => pinning,
            Asker::Package(from) => self.package(from).pinning,
        };
        let repositories = self.universe.repositories_of(package);
        let allowed = self.pinned_repositories(self.package(package).pinning | pinning);
        let preferred = self.pinned_repositories(pinning);
        let state = self.package_mut(package);
        state.pinning |= pinning;
        if matches!(asker, Asker::World(_)) {
            state.tag_preferred = repositories & preferred != 0;
        }
        state.tag_ok |= repositories & allowed != 0;
    }

    fn pinned_repositories(&self, pinning: u64) -> u64 {
        let untagged = if pinning & UNPINNED != 0 { self.universe.untagged() } else { 0 };
        let tags = self.universe.tags().iter().enumerate();
        tags.filter(|(tag, _)| pinning & tag_bit(*tag) != 0)
            .fold(untagged, |repositories, (_, (_, tagged))| repositories | tagged)
    }

    // Deciding.

    fn select(&mut self, name: NameId) {
        let Some(provider) = self.preferred(name) else {
            self.lock(name, None);
            if self.name(name).requirers > 0 {
                self.failures.push(Failure::NoProvider(name));
            }
            return;
        };
        let (universe, package) = (self.universe, provider.package);
        let state = self.package(package);
        if !state.selectable || !state.tag_ok {
            self.fail(package, Failure::Broken(package));
        }
        let version = Some(universe.version(package));
        self.lock(universe.name_of(package), Some(Provider { package, version }));
        for dep in universe.provides(package) {
            self.lock(dep.name, Some(Provider { package, version: dep.version() }));
        }
        for dep in universe.depends(package) {
            self.demand(Asker::Package(package), dep);
        }
    }

    /// Settles what stands for a name, and rules out all else that would.
    fn lock(&mut self, name: NameId, provider: Option<Provider<'a>>) {
        if let Some(earlier) = self.name(name).chosen {
            self.lock_again(name, earlier, provider);
            return;
        }
        let state = self.name_mut(name);
        state.chosen = Some(provider);
        let (queue, undemanded) = (state.queue, state.requirers == 0);
        let order = self.reached.order(name);
        self.queues.remove(queue, order, name);

        let chosen = provider.map(|provider| provider.package);
        if let Some(package) = chosen.filter(|package| undemanded && self.package(*package).triggered) {
            for dep in self.universe.install_if(package) {
                if !self.name(dep.name).locked() {
                    self.demand(Asker::Package(package), dep);
                }
            }
        }
        let unversioned = provider.is_none_or(|provider| provider.version.is_none());
        for other in self.universe.providers(name) {
            let compatible = unversioned && other.version.is_none();
            if Some(other.package) != chosen && !compatible {
                self.disqualify(other.package);
            }
        }
        self.recheck_needers(name);
        match chosen {
            Some(package) => self.recheck_triggered_by(package),
            None => self.recheck_triggered(name),
        }
    }

    /// Any number of packages may provide a name without a version; otherwise there can be but one.
    fn lock_again(&mut self, name: NameId, earlier: Option<Provider<'a>>, later: Option<Provider<'a>>) {
        let version = |provider: Option<Provider<'a>>| provider.and_then(|provider| provider.version);
        if version(earlier).is_none() && version(later).is_none() {
            return;
        }
        let packages = [later, earlier].map(|provider| provider.map(|provider| provider.package));
        if let [Some(later), Some(earlier)] = packages {
            self.fail(later, Failure::SameName(name, earlier, later));
            self.fail(earlier, Failure::SameName(name, earlier, later));
        } else if let Some(later) = packages[0] {
            self.fail(later, Failure::Broken(later));
        }
    }
}

/// The bit of a tag in a set of pinnings, by its place among the universe's tags.
pub(super) fn tag_bit(tag: usize) -> u64 {
    UNPINNED << (tag + 1)
}
