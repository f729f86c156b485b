//! Demands that take effect, packages that go out, names that become due for a survey (rules 3.2 to 3.4 and 6.3).

use super::history::{Call, Exclusion, Log, Source};
use super::search::Search;
use super::supply::Supply;
use super::terms::Demand;

/// Where packages that meet a demand may come from, besides.
#[derive(Clone, Copy)]
enum Permission {
    /// The world pins them to these repositories: these are their home from now on.
    Home(u64),
    /// They follow a package: their home stays what it is.
    Inherited(u64),
}

impl<'s, S: Supply, L: Log> Search<'s, S, L> {
    /// Lets all demands of the world take effect.
    pub fn make_wishes(&mut self) {
        for wish in self.world {
            self.name(wish.demand.name).in_world = true;
        }
        for (number, wish) in (0..).zip(self.world) {
            self.take_effect(wish.demand, Source::World(number), Permission::Home(wish.repositories));
        }
    }

    /// Lets the dependency at a place take effect.
    pub fn take_effect_of(&mut self, package: u32, place: u32) {
        let permitted = self.package(package).permitted;
        let source = Source::Package { package, place };
        self.take_effect(self.supply.demand(place), source, Permission::Inherited(permitted));
    }

    fn take_effect(&mut self, demand: Demand<'s>, from: Source, permission: Permission) {
        let supply = self.supply;
        if !demand.conflict {
            self.call_for(demand.name, Call::Demand(from));
        }
        for place in supply.offers(demand.name) {
            let offer = supply.offer(place);
            if demand.is_met(supply, from.package(), Some(&offer)) {
                self.permit(offer.package, permission);
            } else {
                self.put_out(offer.package, Exclusion::Demand(from));
            }
        }
    }

    fn permit(&mut self, package: u32, permission: Permission) {
        let state = self.package(package);
        match permission {
            Permission::Home(repositories) => {
                state.permitted |= repositories;
                state.at_home = state.repositories & repositories != 0;
            }
            Permission::Inherited(repositories) => state.permitted |= repositories,
        }
    }

    /// Permits more repositories to a package.
    pub fn inherit(&mut self, package: u32, repositories: u64) {
        self.permit(package, Permission::Inherited(repositories));
    }

    /// Notes that a name is called for; whether it was not before.
    pub fn call_for(&mut self, name: u32, by: Call) -> bool {
        let state = self.name(name);
        if std::mem::replace(&mut state.called_for, true) {
            return false;
        }
        let is_open = state.closed.is_none();
        self.log.called_for(name, by);
        if is_open {
            self.await_decision(name);
            self.test_forced(name);
            self.watch(name);
        }
        self.make_waiting_due(name);
        self.make_due(name);
        true
    }

    /// From now on a name is surveyed when something changes that a package offering it depends on.
    fn watch(&mut self, name: u32) {
        let supply = self.supply;
        for place in supply.offers(name) {
            for place in supply.depends(supply.offering(place)) {
                let next = self.watchers.len() as u32 + 1;
                let needed = self.name(supply.name_at(place));
                let earlier = std::mem::replace(&mut needed.watchers, next);
                self.watchers.push((name, earlier));
            }
        }
    }

    /// Puts a package out, for good (rule 3.2).
    pub fn put_out(&mut self, package: u32, by: Exclusion) {
        if !std::mem::replace(&mut self.package(package).out, true) {
            self.log.out(package, by);
            self.disturb(package);
        }
    }

    /// Makes due what may depend on a package that goes out, or wait for it.
    pub fn disturb(&mut self, package: u32) {
        let supply = self.supply;
        supply.names_of(package).for_each(|name| self.change(name));
        supply.names_of(package).for_each(|name| self.make_waiting_due(name));
    }

    /// Makes due the names that are called for and depend on this one: it was closed, or has an offer less.
    pub fn change(&mut self, name: u32) {
        let now = self.tick();
        let state = self.name(name);
        state.changed = now;
        let mut next = state.watchers;
        while let Some((watcher, after)) = next.checked_sub(1).and_then(|at| self.watchers.get(at as usize)) {
            let watcher = *watcher;
            next = *after;
            self.make_due(watcher);
        }
    }

    pub fn tick(&mut self) -> u32 {
        self.clock += 1;
        self.clock
    }

    /// Makes the waiting names of a name due, called for or not; their `install_if` will be looked at.
    pub fn make_waiting_due(&mut self, name: u32) {
        let supply = self.supply;
        for place in supply.waiting(name) {
            let waiting = supply.waiting_name(place);
            if self.turns.takes_part(waiting) && !self.name(waiting).notes.never_summoned {
                self.name(waiting).looks_at_install_if = true;
                self.make_due(waiting);
            }
        }
    }

    fn make_due(&mut self, name: u32) {
        let state = self.name(name);
        if state.closed.is_none() && !state.due {
            state.due = true;
            self.due.push_back(name);
        }
    }
}
