//! Turns: which names take part, and a number for each that puts what needs a name before that name (rules 4.1 and
//! 4.2).
//!
//! In a real index nearly every name is reached from nearly every world, by way of `install_if`; so this is most of
//! the work, and each name and package is looked at as seldom as can be. There is no recursion, as a chain of
//! dependencies may be longer than any stack.

use std::ops::Range;

use super::supply::Supply;

/// Reached, and without a number yet.
const REACHED: u32 = u32::MAX;

/// The turn of each name.
#[derive(Debug)]
pub(super) struct Turns(Vec<u32>);

impl Turns {
    /// Walks from the names of the world, in its order.
    pub fn new<S: Supply>(supply: &S, world: impl Iterator<Item = u32>) -> Self {
        let mut walk = Walk {
            supply,
            turns: vec![0; supply.name_count()],
            last: 0,
            needs: vec![false; supply.package_count()],
            known: vec![0; supply.package_count()],
            steps: Vec::with_capacity(1024),
        };
        for name in world {
            walk.walk_from(name);
        }
        Self(walk.turns)
    }

    /// The turn of a name; 0 if it takes no part.
    #[inline]
    pub fn of(&self, name: u32) -> u32 {
        self.0.get(name as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub fn takes_part(&self, name: u32) -> bool {
        self.of(name) != 0
    }
}

/// A name on its way, at one of the letters of rule 4.2. `offers` are those that are still to be gone through after the
/// one at hand, and `places` what is left of that one.
enum Step {
    /// a. What the packages depend on. Afterwards the name goes on with b.
    Depends { name: u32, offers: Range<u32>, places: Range<u32> },
    /// b. The waiting names of the name itself.
    Waiting { name: u32, places: Range<u32> },
    /// c. The waiting names of the package's own name, at `places`; then what it provides.
    Others { name: u32, offers: Range<u32>, package: u32, places: Range<u32> },
    /// e. The `install_if` of the packages.
    InstallIf { offers: Range<u32>, places: Range<u32> },
}

/// Each of the methods below gives the first name that it comes to and that is new, having put what is left to do
/// after that name among the steps.
struct Walk<'s, S> {
    supply: &'s S,
    turns: Vec<u32>,
    last: u32,
    /// Whether the dependencies of a package were gone through.
    needs: Vec<bool>,
    /// Of each package, what of letter c is known to be reached: 1 is the waiting names of its own name, and each 1 more
    /// an entry of its provides. The names that it provides each come to all of this again, and some packages provide
    /// hundreds.
    known: Vec<u32>,
    steps: Vec<Step>,
}

impl<S: Supply> Walk<'_, S> {
    fn walk_from(&mut self, name: u32) {
        let mut new = Some(name).filter(|name| self.is_new(*name));
        loop {
            new = match new {
                Some(name) => self.reach(name),
                None => match self.steps.pop() {
                    Some(step) => self.go_on(step),
                    None => return,
                },
            };
        }
    }

    fn reach(&mut self, name: u32) -> Option<u32> {
        *self.turns.get_mut(name as usize)? = REACHED;
        self.depends(name, self.supply.offers(name), 0..0)
    }

    fn go_on(&mut self, step: Step) -> Option<u32> {
        match step {
            Step::Depends { name, offers, places } => self.depends(name, offers, places),
            Step::Waiting { name, places } => self.waiting(name, places),
            Step::Others { name, offers, package, places } => {
                self.others(name, offers, Some(package), places)
            }
            Step::InstallIf { offers, places } => self.install_if(offers, places),
        }
    }

    fn depends(&mut self, name: u32, mut offers: Range<u32>, mut places: Range<u32>) -> Option<u32> {
        loop {
            if let Some(new) = self.new_of(&mut places) {
                self.steps.push(Step::Depends { name, offers, places });
                return Some(new);
            }
            let Some(place) = offers.next() else { return self.waiting(name, self.supply.waiting(name)) };
            let package = self.supply.offering(place);
            if let Some(needs @ false) = self.needs.get_mut(package as usize) {
                *needs = true;
                places = self.supply.depends(package);
            }
        }
    }

    fn waiting(&mut self, name: u32, mut places: Range<u32>) -> Option<u32> {
        match self.new_waiting(&mut places) {
            Some(new) => {
                self.steps.push(Step::Waiting { name, places });
                Some(new)
            }
            None => self.others(name, self.supply.offers(name), None, 0..0),
        }
    }

    fn others(
        &mut self,
        name: u32,
        mut offers: Range<u32>,
        mut current: Option<u32>,
        mut places: Range<u32>,
    ) -> Option<u32> {
        loop {
            if let Some(package) = current {
                let new = self.new_waiting(&mut places).or_else(|| self.new_provided(package));
                if new.is_some() {
                    self.steps.push(Step::Others { name, offers, package, places });
                    return new;
                }
            }
            let Some(place) = offers.next() else { break };
            let package = self.supply.offering(place);
            current = Some(package);
            if self.known.get(package as usize) == Some(&0) {
                places = self.supply.waiting(self.supply.own_name(package));
            }
        }
        self.last += 1;
        *self.turns.get_mut(name as usize)? = self.last;
        self.install_if(self.supply.offers(name), 0..0)
    }

    /// The first new name that a package provides. The waiting names of its own name have been reached.
    fn new_provided(&mut self, package: u32) -> Option<u32> {
        let all = self.supply.provides(package);
        let known = self.known.get_mut(package as usize)?;
        let mut places = all.start.saturating_add(known.saturating_sub(1))..all.end;
        let name_at = |place| self.supply.name_at(place);
        let new = places.by_ref().map(name_at).find(|name| self.turns.get(*name as usize) == Some(&0));
        *known = places.start.saturating_sub(all.start).saturating_add(1);
        new
    }

    fn install_if(&mut self, mut offers: Range<u32>, mut places: Range<u32>) -> Option<u32> {
        loop {
            if let Some(new) = self.new_of(&mut places) {
                self.steps.push(Step::InstallIf { offers, places });
                return Some(new);
            }
            places = self.supply.install_if(self.supply.offering(offers.next()?));
        }
    }

    #[inline]
    fn new_of(&self, places: &mut Range<u32>) -> Option<u32> {
        places.map(|place| self.supply.name_at(place)).find(|name| self.is_new(*name))
    }

    #[inline]
    fn new_waiting(&self, places: &mut Range<u32>) -> Option<u32> {
        places.map(|place| self.supply.waiting_name(place)).find(|name| self.is_new(*name))
    }

    #[inline]
    fn is_new(&self, name: u32) -> bool {
        self.turns.get(name as usize) == Some(&0)
    }
}
