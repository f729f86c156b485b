//! Packages that come by their `install_if` (rules 4.5, 4.6 and 6.3).

use super::history::Log;
use super::search::Search;
use super::state::Summons;
use super::supply::Supply;

impl<S: Supply, L: Log> Search<'_, S, L> {
    /// Looks, in a survey of `name`, whether a package that offers it is summoned.
    pub fn look_at_install_if(&mut self, package: u32, name: u32) {
        if self.supply.install_if(package).is_empty() {
            return;
        }
        if self.package(package).summons == Summons::Undecided {
            let summons = self.summons(package);
            self.package(package).summons = summons;
        }
        if self.package(package).summons == Summons::Summoned {
            self.inherit_of_summoners(package);
            self.await_decision(name);
        }
    }

    /// Goes through the entries up to the first that decides it, or that cannot be decided yet.
    fn summons(&mut self, package: u32) -> Summons {
        let supply = self.supply;
        for place in supply.install_if(package) {
            let entry = supply.demand(place);
            match self.closed(entry.name) {
                None => {
                    if entry.conflict {
                        // Otherwise it might never be decided, and the package wait for ever.
                        self.await_decision(entry.name);
                    }
                    return Summons::Undecided;
                }
                Some(winner) if entry.is_met(supply, Some(package), winner.as_ref()) => {}
                Some(_) => return Summons::Hopeless,
            }
        }
        Summons::Summoned
    }

    /// A summoned package may come from wherever the packages may that summoned it.
    fn inherit_of_summoners(&mut self, package: u32) {
        for place in self.supply.install_if(package) {
            match self.closed(self.supply.name_at(place)) {
                Some(Some(winner)) => {
                    let permitted = self.package(winner.package).permitted;
                    self.inherit(package, permitted);
                }
                Some(None) => self.package(package).at_home = false,
                None => {}
            }
        }
    }
}
