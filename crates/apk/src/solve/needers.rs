//! Waking up the names whose providers depend on a name.
//!
//! Their order is part of how apk breaks ties: bucket by bucket of its hash table, within one the latest first. Only
//! the few that have to be looked at again are put in that order.

use std::cmp::Reverse;

use super::search::Search;
use super::stock::Stock;
use super::universe::NameId;

impl<'a, U: Stock<'a>> Search<'_, 'a, U> {
    /// Notes that something has changed for all that depends on a name.
    pub(super) fn recheck_needers(&mut self, name: NameId) {
        let universe = self.universe;
        let mut woken = std::mem::take(&mut self.woken);
        for package in universe.dependents(name) {
            for needer in universe.names_of(package) {
                self.recheck_depends.set(needer.0);
                // Most wait for nothing; to ask what is known of each would cost more than all else.
                if self.active.has(needer.0) && self.wakes(needer) {
                    self.name_mut(needer).dirty = true;
                    woken.push(needer);
                }
            }
        }
        woken.sort_unstable_by_key(|name| (universe.bucket(*name), Reverse(name.0)));
        self.dirty.extend(woken.drain(..));
        self.woken = woken;
    }

    /// Whether all names that could need this one are decided.
    pub(super) fn needers_decided(&self, name: NameId) -> bool {
        let universe = self.universe;
        let decided = |needer| !self.reached.has(needer) || self.name(needer).locked();
        universe.dependents(name).all(|package| universe.names_of(package).all(decided))
    }

    /// The names that were reached of which some provider depends on this one.
    pub(super) fn needed_by(&self, name: NameId) -> Vec<NameId> {
        let universe = self.universe;
        let names = universe.dependents(name).flat_map(|package| universe.names_of(package));
        let mut names: Vec<NameId> = names.filter(|name| self.reached.has(*name)).collect();
        names.sort_unstable_by_key(|name| (universe.bucket(*name), Reverse(name.0)));
        names.dedup();
        names
    }
}
