//! Surveys: what follows for a name from what happened since it was surveyed last (rules 3.4 to 3.8).

use super::history::{Call, Exclusion, Log};
use super::search::Search;
use super::state::{Notes, Summons};
use super::supply::Supply;
use super::terms::{Demand, Offer};

impl<'s, S: Supply, L: Log> Search<'s, S, L> {
    /// Surveys a name that was due.
    pub fn survey(&mut self, name: u32) {
        let now = self.tick();
        let state = self.name(name);
        state.due = false;
        if state.closed.is_some() {
            return;
        }
        let before = std::mem::replace(&mut state.surveyed, now);
        let looks_at_install_if = std::mem::take(&mut state.looks_at_install_if);
        let tests_dependencies = self.has_changed(name, before);
        for place in self.supply.offers(name) {
            let package = self.supply.offering(place);
            if tests_dependencies && self.is_in_play(package) {
                self.test_dependencies(package);
            }
            if looks_at_install_if && self.is_in_play(package) {
                self.look_at_install_if(package, name);
            }
        }
        let offers = self.offers_in_play(name);
        // Before the inferences: what they call for counts in the next survey only.
        let notes = self.notes_on(name, &offers);
        if self.is_called_for(name) {
            self.infer_demands(name, &offers);
            self.infer_offers(name, &offers);
        }
        self.leave_notes(name, notes);
    }

    /// Whether something that a package offering this name depends on has changed since.
    fn has_changed(&self, name: u32, since: u32) -> bool {
        let supply = self.supply;
        let changed =
            |place| self.names.get(supply.name_at(place)).is_some_and(|state| state.changed > since);
        supply.offers(name).any(|place| supply.depends(supply.offering(place)).any(changed))
    }

    /// Puts a package out if a dependency of it cannot be met (rule 3.5).
    fn test_dependencies(&mut self, package: u32) {
        for place in self.supply.depends(package) {
            if !self.can_be_met(&self.supply.demand(place), package) {
                return self.put_out(package, Exclusion::Unmeetable { place });
            }
        }
    }

    fn can_be_met(&mut self, demand: &Demand<'_>, package: u32) -> bool {
        let supply = self.supply;
        match self.closed(demand.name) {
            Some(winner) => demand.is_met(supply, Some(package), winner.as_ref()),
            None if demand.conflict && !self.is_called_for(demand.name) => true,
            None => supply.offers(demand.name).any(|place| {
                let offer = supply.offer(place);
                self.is_in_play(offer.package) && demand.is_met(supply, Some(package), Some(&offer))
            }),
        }
    }

    /// The offers of packages that are in play: the candidates of a name that is called for.
    fn offers_in_play(&mut self, name: u32) -> Vec<Offer<'s>> {
        let supply = self.supply;
        let offers = supply.offers(name).map(|place| supply.offer(place));
        offers.filter(|offer| self.is_in_play(offer.package)).collect()
    }

    /// What every candidate of a name needs, is needed (rule 3.6).
    fn infer_demands(&mut self, name: u32, candidates: &[Offer<'s>]) {
        let supply = self.supply;
        for candidate in candidates {
            self.package(candidate.package).candidate = true;
        }
        match candidates {
            [] => {}
            [only] => self.take_effect_before_winning(only.package),
            [first, ..] => {
                let wanted = |place: &u32| !supply.demand(*place).conflict;
                let needed = |candidate: &Offer<'_>| {
                    supply.depends(candidate.package).filter(wanted).map(|place| supply.name_at(place))
                };
                for needed in self.marks.common(candidates.iter().map(needed)) {
                    if self.call_for(needed, Call::Candidates { of: name }) {
                        let permitted = self.package(first.package).permitted;
                        for place in supply.offers(needed) {
                            self.inherit(supply.offering(place), permitted);
                        }
                    }
                }
            }
        }
    }

    /// Lets what the only candidate needs take effect. Of several demands for one name only the first does so already,
    /// even if it is negative; other negative ones wait until the package has won.
    fn take_effect_before_winning(&mut self, package: u32) {
        let supply = self.supply;
        let depends = supply.depends(package);
        let name_at = |place| supply.name_at(place);
        let wanted = |place: &u32| !supply.demand(*place).conflict;
        let mut needed = self.marks.common(std::iter::once(depends.clone().filter(wanted).map(name_at)));
        needed.sort_unstable();
        let mut names = self.marks.common(std::iter::once(depends.clone().map(name_at)));
        // Both are in the order of the list.
        names.reverse();
        for place in depends {
            if names.last() == Some(&name_at(place)) {
                names.pop();
                if needed.binary_search(&name_at(place)).is_ok() {
                    self.take_effect_of(package, place);
                }
            }
        }
    }

    /// What offers another name of all candidates, but not this one, cannot be chosen beside any of them (rule 3.7).
    fn infer_offers(&mut self, name: u32, candidates: &[Offer<'s>]) {
        let supply = self.supply;
        let names = candidates.iter().map(|candidate| supply.names_of(candidate.package));
        for other in self.marks.common(names) {
            if other == name {
                continue;
            }
            let mut is_lenient = None;
            for place in supply.offers(other) {
                let package = supply.offering(place);
                if supply.names_of(package).any(|offered| offered == name) {
                    continue;
                }
                let is_lenient = *is_lenient.get_or_insert_with(|| {
                    candidates.iter().any(|candidate| self.offers_bare(candidate, other))
                });
                let has_bare = || supply.provides(package).any(|place| supply.version_at(place).is_none());
                if !(is_lenient && has_bare()) {
                    self.put_out(package, Exclusion::MustOffer { name, other });
                }
            }
        }
    }

    /// Whether a candidate offers another name bare: the first entry counts. Its own name counts as it offers the name
    /// that it is a candidate of.
    fn offers_bare(&self, candidate: &Offer<'_>, other: u32) -> bool {
        let supply = self.supply;
        if other == supply.own_name(candidate.package) {
            return candidate.is_bare();
        }
        let first = supply.offers_of(candidate.package).find(|(name, _)| *name == other);
        first.is_some_and(|(_, offer)| offer.is_bare())
    }

    /// How things stand with a name (rule 3.8), but for its dependants. A name that is not called for has no candidates:
    /// only a package that was summoned counts for it.
    fn notes_on(&mut self, name: u32, offers: &[Offer<'s>]) -> Notes {
        let is_called_for = self.is_called_for(name);
        let mut notes = Notes { never_summoned: true, ..Notes::default() };
        notes.contested = is_called_for && offers.len() > 1;
        for offer in offers {
            let waits = !self.supply.install_if(offer.package).is_empty();
            let state = self.package(offer.package);
            notes.never_summoned &= !waits || state.summons == Summons::Hopeless;
            notes.summoned |= state.summons == Summons::Summoned;
            if is_called_for {
                notes.contested |= !state.is_cleared();
                notes.startable |= self.may_win(offer);
            }
        }
        notes.startable |= notes.summoned;
        notes
    }

    fn leave_notes(&mut self, name: u32, mut notes: Notes) {
        notes.is_settled = notes.startable && !notes.contested && self.is_settled(name);
        let state = self.name(name);
        let is_regrouped = state.awaiting && state.notes.startable != notes.startable;
        state.notes = notes;
        if is_regrouped {
            self.regroup(name);
        }
        self.test_forced(name);
    }

    /// Whether every name is closed under which something is offered that depends on this one. What is closed stays so,
    /// and is not looked at again.
    fn is_settled(&mut self, name: u32) -> bool {
        let supply = self.supply;
        let places = supply.dependants(name);
        let known = self.name(name).settled;
        let is_open = |name| self.turns.takes_part(name) && self.is_open(name);
        let unsettled = (places.start.saturating_add(known)..places.end)
            .find(|place| supply.names_of(supply.dependant(*place)).any(is_open));
        self.name(name).settled = unsettled.unwrap_or(places.end).saturating_sub(places.start);
        unsettled.is_none()
    }
}
