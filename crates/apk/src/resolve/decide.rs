//! Decisions: which offer wins a name, and what follows (sections 5 and 7 of the rules).

use std::cmp::Ordering;

use super::history::{Exclusion, Fault, Log};
use super::search::Search;
use super::state::Summons;
use super::supply::Supply;
use super::terms::Offer;
use crate::version;

impl<'s, S: Supply, L: Log> Search<'s, S, L> {
    /// Decides a name (rule 5.1).
    pub fn decide(&mut self, name: u32) -> Result<(), Fault<'s>> {
        let is_called_for = self.is_called_for(name);
        let Some(offer) = self.best(name, is_called_for) else {
            self.close(name, None)?;
            return if is_called_for { Err(Fault::Nothing { name }) } else { Ok(()) };
        };
        let state = self.package(offer.package);
        if state.out {
            return Err(Fault::Out { name, offer });
        }
        if !state.is_cleared() {
            return Err(Fault::NotCleared { name, offer });
        }
        self.win(offer.package)
    }

    fn best(&mut self, name: u32, is_called_for: bool) -> Option<Offer<'s>> {
        let supply = self.supply;
        if !is_called_for && !self.name(name).notes.summoned {
            return None;
        }
        let mut best: Option<Offer<'s>> = None;
        for place in supply.offers(name) {
            let offer = supply.offer(place);
            if !self.may_win(&offer) || (!is_called_for && !self.comes_by_itself(offer.package)) {
                continue;
            }
            // Of equals the first is best.
            if best.as_ref().is_none_or(|best| self.compare(&offer, best).is_gt()) {
                best = Some(offer);
            }
        }
        best
    }

    fn comes_by_itself(&mut self, package: u32) -> bool {
        let state = self.package(package);
        !state.out && state.summons == Summons::Summoned && state.is_cleared()
    }

    /// Which of two offers of one name is better (rule 5.3).
    fn compare(&mut self, a: &Offer<'_>, b: &Offer<'_>) -> Ordering {
        let supply = self.supply;
        let mut standing = |offer: &Offer<'_>| {
            let state = self.package(offer.package);
            (!state.out, state.candidate, state.is_cleared(), state.at_home)
        };
        let by_version = |a: Option<&str>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => version::order(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let by_package = || match supply.own_name(a.package) == supply.own_name(b.package) {
            true => version::order(supply.version(a.package), supply.version(b.package)),
            false => Ordering::Equal,
        };
        let first_repository = |offer: &Offer<'_>| supply.repositories(offer.package).trailing_zeros();
        standing(a)
            .cmp(&standing(b))
            .then_with(|| by_version(a.version, b.version))
            .then_with(by_package)
            .then_with(|| supply.priority(a.package).cmp(&supply.priority(b.package)))
            .then_with(|| first_repository(b).cmp(&first_repository(a)))
    }

    /// Closes all that a package offers with it; then what it depends on takes effect (rules 7.1 and 7.2).
    fn win(&mut self, package: u32) -> Result<(), Fault<'s>> {
        let supply = self.supply;
        for (name, offer) in supply.offers_of(package) {
            self.close(name, Some(offer))?;
        }
        for place in supply.depends(package) {
            self.take_effect_of(package, place);
        }
        Ok(())
    }

    /// Closes a name with an offer, or empty.
    fn close(&mut self, name: u32, with: Option<Offer<'s>>) -> Result<(), Fault<'s>> {
        let supply = self.supply;
        let is_bare = |offer: &Option<Offer<'_>>| offer.is_none_or(|offer| offer.is_bare());
        let state = self.name(name);
        match (state.closed, with) {
            (None, _) => state.closed = Some(with),
            // They get along; the first stays the winner.
            (Some(earlier), with) if is_bare(&earlier) && is_bare(&with) => return Ok(()),
            (Some(earlier), later) => return Err(Fault::Taken { name, earlier, later }),
        }
        for place in supply.offers(name) {
            let rival = supply.offer(place);
            let is_winner = with.is_some_and(|offer| offer.package == rival.package);
            let gets_along = is_winner || (rival.is_bare() && is_bare(&with));
            if !gets_along {
                if self.is_in_play(rival.package) {
                    self.put_out(rival.package, Exclusion::Closed { name });
                } else {
                    // That it lost is news even of a package that was out.
                    self.disturb(rival.package);
                }
            }
        }
        self.change(name);
        match with {
            // With the first of a winner's names, the waiting names of all are due, and stay so.
            Some(offer) if name == supply.own_name(offer.package) => {
                supply.names_of(offer.package).for_each(|name| self.make_waiting_due(name));
            }
            Some(_) => {}
            None => self.make_waiting_due(name),
        }
        Ok(())
    }
}
