//! Why a world is refused, and what led to it: what an explanation is made of.
//!
//! A search keeps no history unless it has failed before and is run again for the sake of one.

use super::terms::Offer;

/// Why the world is refused (rule 7.4).
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault<'s> {
    /// A name is called for, and no offer of it may win.
    Nothing { name: u32 },
    /// What wins a name is out.
    Out { name: u32, offer: Offer<'s> },
    /// What wins a name is in no repository of a tag that is permitted to it.
    NotCleared { name: u32, offer: Offer<'s> },
    /// A name would have to be closed a second time, and not both offers are bare.
    Taken { name: u32, earlier: Option<Offer<'s>>, later: Option<Offer<'s>> },
    /// A dependency of a package, by its place, is not met by what was chosen.
    Unmet { package: u32, place: u32 },
}

/// Who makes a demand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The world: which of the wishes.
    World(u32),
    /// A package, by the dependency at a place.
    Package { package: u32, place: u32 },
}

impl Source {
    pub fn package(self) -> Option<u32> {
        match self {
            Self::World(_) => None,
            Self::Package { package, .. } => Some(package),
        }
    }
}

/// What calls for a name (rule 3.1).
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// A positive demand that took effect.
    Demand(Source),
    /// Every candidate of this name needs it (rule 3.6).
    Candidates { of: u32 },
}

/// What puts a package out (rule 3.2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Exclusion {
    /// A demand that an offer of it does not meet.
    Demand(Source),
    /// A dependency of its own, by its place, that cannot be met.
    Unmeetable { place: u32 },
    /// A name that it offers was closed with another offer, or empty.
    Closed { name: u32 },
    /// It offers `other` without `name`, and every candidate of `name` offers both.
    MustOffer { name: u32, other: u32 },
}

/// Takes note of what happens in a search.
pub(super) trait Log {
    fn called_for(&mut self, _name: u32, _by: Call) {}
    fn out(&mut self, _package: u32, _by: Exclusion) {}
}

/// Takes no note.
impl Log for () {}

/// What happened, in order. A name and a package are in it once at most.
#[derive(Debug, Default)]
pub(super) struct History {
    pub calls: Vec<(u32, Call)>,
    pub exclusions: Vec<(u32, Exclusion)>,
}

impl Log for History {
    fn called_for(&mut self, name: u32, by: Call) {
        self.calls.push((name, by));
    }

    fn out(&mut self, package: u32, by: Exclusion) {
        self.exclusions.push((package, by));
    }
}
