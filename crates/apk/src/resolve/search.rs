//! The search: what is known, and how one step follows another (rule 3.0).
//!
//! ```text
//! turns ─▶ the world's demands take effect ─▶ surveys, as long as any is due ─▶ one decision ─▶ order of installation
//!                                                  ▲                                │
//!                                                  └────────────────────────────────┘
//! ```
//!
//! Nothing is ever tried and taken back: a package that is out stays out, a name that is closed stays closed. So there
//! is an end, and the first decision that cannot stand refuses the world (rule 7.4).

use std::collections::VecDeque;

use super::awaiting::{Awaiting, Group, Precedence};
use super::history::{Fault, Log};
use super::marks::Marks;
use super::state::{NameState, PackageState, Touched};
use super::supply::Supply;
use super::terms::Offer;
use super::turns::Turns;
use super::world::Wish;

/// A search for what a world installs.
#[derive(Debug)]
pub(super) struct Search<'s, S, L> {
    pub supply: &'s S,
    pub world: &'s [Wish<'s>],
    /// The repositories without tag.
    pub untagged: u64,
    pub turns: Turns,
    pub names: Touched<NameState<'s>>,
    pub packages: Touched<PackageState>,
    /// The names that are due for a survey, first come, first served.
    pub due: VecDeque<u32>,
    pub awaiting: Awaiting,
    /// Names that are surveyed when another changes, and where the next one is that waits for the same.
    pub watchers: Vec<(u32, u32)>,
    /// Counts changes and surveys.
    pub clock: u32,
    pub marks: Marks,
    /// Packages in order of installation.
    pub install: Vec<u32>,
    pub log: L,
}

impl<'s, S: Supply, L: Log> Search<'s, S, L> {
    pub fn new(supply: &'s S, world: &'s [Wish<'s>], untagged: u64, log: L) -> Self {
        Self {
            supply,
            world,
            untagged,
            turns: Turns::new(supply, world.iter().map(|wish| wish.demand.name)),
            names: Touched::new(supply.name_count()),
            packages: Touched::new(supply.package_count()),
            due: VecDeque::new(),
            awaiting: Awaiting::default(),
            watchers: Vec::new(),
            clock: 0,
            marks: Marks::new(supply.name_count()),
            install: Vec::new(),
            log,
        }
    }

    /// Searches; the packages are in [`Search::install`] then.
    pub fn run(&mut self) -> Result<(), Fault<'s>> {
        self.make_wishes();
        loop {
            while let Some(name) = self.due.pop_front() {
                self.survey(name);
            }
            match self.next_decision() {
                Some(name) => self.decide(name)?,
                None => break,
            }
        }
        self.put_in_order()
    }

    pub fn name(&mut self, name: u32) -> &mut NameState<'s> {
        self.names.state(name, NameState::default)
    }

    pub fn package(&mut self, package: u32) -> &mut PackageState {
        let (supply, untagged) = (self.supply, self.untagged);
        self.packages.state(package, || {
            let repositories = supply.repositories(package);
            let is_empty = supply.is_empty_package(package);
            PackageState {
                out: !supply.is_usable(package),
                repositories,
                permitted: untagged,
                at_home: is_empty || repositories & untagged != 0,
                is_empty,
                ..PackageState::default()
            }
        })
    }

    /// Open (`None`), or what a name is closed with.
    pub fn closed(&self, name: u32) -> Option<Option<Offer<'s>>> {
        self.names.get(name).and_then(|state| state.closed)
    }

    pub fn is_open(&self, name: u32) -> bool {
        self.closed(name).is_none()
    }

    pub fn is_called_for(&self, name: u32) -> bool {
        self.names.get(name).is_some_and(|state| state.called_for)
    }

    pub fn is_in_play(&mut self, package: u32) -> bool {
        !self.package(package).out
    }

    /// Whether an offer may win its name by default (rule 5.2).
    pub fn may_win(&self, offer: &Offer<'_>) -> bool {
        !offer.is_bare()
            || self.supply.priority(offer.package) != 0
            || self.is_called_for(self.supply.own_name(offer.package))
    }

    /// Makes a name await decision (rule 4.3), if it is open.
    pub fn await_decision(&mut self, name: u32) {
        let state = self.name(name);
        if state.closed.is_none() && !state.awaiting {
            state.awaiting = true;
            let is_startable = state.notes.startable;
            self.awaiting.push(is_startable, self.precedence(name));
        }
    }

    /// Puts a name into its other group.
    pub fn regroup(&mut self, name: u32) {
        let is_startable = self.name(name).notes.startable;
        self.awaiting.push(is_startable, self.precedence(name));
    }

    /// Whether nothing is left to choose for a name: then it is decided before all others.
    pub fn test_forced(&mut self, name: u32) {
        let state = self.name(name);
        let notes = state.notes;
        let is_forced = notes.startable && !notes.contested && notes.is_settled;
        if state.closed.is_none() && state.called_for && is_forced {
            self.awaiting.push_forced(name);
        }
    }

    fn precedence(&self, name: u32) -> Precedence {
        let supply = self.supply;
        let is_own = |place| supply.own_name(supply.offering(place)) == name;
        Precedence {
            in_world: self.names.get(name).is_some_and(|state| state.in_world),
            is_real: supply.offers(name).any(is_own),
            turn: self.turns.of(name),
            name,
        }
    }

    fn next_decision(&mut self) -> Option<u32> {
        loop {
            let (group, name) = self.awaiting.pop()?;
            let state = self.name(name);
            let is_stale = match group {
                Group::Forced => false,
                Group::Startable => !state.notes.startable,
                Group::Other => state.notes.startable,
            };
            if state.closed.is_none() && !is_stale {
                return Some(name);
            }
        }
    }
}
