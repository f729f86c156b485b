//! The order of installation (section 8 of the rules), and the last look whether all that is installed has what it
//! depends on (rule 7.4).
//!
//! There is no recursion, as in [`super::turns`].

use std::ops::Range;

use super::history::{Fault, Log};
use super::search::Search;
use super::supply::Supply;

/// A package on its way.
struct Taking {
    package: u32,
    /// What it depends on and was not come to yet.
    depends: Range<u32>,
    is_installed: bool,
    /// After it is installed: the waiting names of its own name, then of what it provides here.
    waiting: Range<u32>,
    provides: Range<u32>,
}

impl<'s, S: Supply, L: Log> Search<'s, S, L> {
    /// Fills [`Search::install`].
    pub fn put_in_order(&mut self) -> Result<(), Fault<'s>> {
        let mut taking = Vec::new();
        for wish in self.world {
            taking.extend(self.begin(wish.demand.name));
            while let Some(mut last) = taking.pop() {
                if let Some(next) = self.next_of(&mut last)? {
                    taking.extend([last, next]);
                }
            }
        }
        Ok(())
    }

    /// Takes up the winner of a name, if neither the name nor the package was come to before.
    fn begin(&mut self, name: u32) -> Option<Taking> {
        let supply = self.supply;
        let state = self.name(name);
        if std::mem::replace(&mut state.begun, true) {
            return None;
        }
        let package = state.closed??.package;
        if std::mem::replace(&mut self.package(package).is_taken, true) {
            return None;
        }
        supply.names_of(package).for_each(|name| self.name(name).begun = true);
        Some(Taking {
            package,
            depends: supply.depends(package),
            is_installed: false,
            waiting: supply.waiting(supply.own_name(package)),
            provides: supply.provides(package),
        })
    }

    /// What has to be taken up before a package can go on; `None` when it is done with.
    fn next_of(&mut self, taking: &mut Taking) -> Result<Option<Taking>, Fault<'s>> {
        let supply = self.supply;
        for place in taking.depends.by_ref() {
            let demand = supply.demand(place);
            let winner = self.closed(demand.name).flatten();
            if !demand.is_met(supply, Some(taking.package), winner.as_ref()) {
                return Err(Fault::Unmet { package: taking.package, place });
            }
            if let Some(next) = self.begin(demand.name) {
                return Ok(Some(next));
            }
        }
        if !std::mem::replace(&mut taking.is_installed, true) {
            self.install.push(taking.package);
        }
        loop {
            for place in taking.waiting.by_ref() {
                let name = supply.waiting_name(place);
                if self.comes_now(name)
                    && let Some(next) = self.begin(name)
                {
                    return Ok(Some(next));
                }
            }
            match taking.provides.next() {
                Some(place) => taking.waiting = supply.waiting(supply.name_at(place)),
                None => return Ok(None),
            }
        }
    }

    /// Whether a waiting name is come to as soon as what it waits for is (rule 8.3).
    fn comes_now(&self, name: u32) -> bool {
        let supply = self.supply;
        let Some(state) = self.names.get(name).filter(|state| !state.begun) else { return false };
        let Some(Some(winner)) = state.closed else { return false };
        supply.install_if(winner.package).all(|place| {
            let entry = supply.demand(place);
            let state = self.names.get(entry.name);
            let there = state.and_then(|state| state.closed).flatten();
            (entry.conflict || state.is_some_and(|state| state.begun))
                && entry.is_met(supply, Some(winner.package), there.as_ref())
        })
    }
}
