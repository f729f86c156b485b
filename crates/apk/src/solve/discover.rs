//! Finds all names that a world can reach, and numbers them in the order in which they will be decided.
//!
//! A walk in depth: a name is numbered after all that its providers depend on, so names nearer to the world get
//! higher numbers and are decided first. The walk keeps its own stack: an index can hold a chain of dependencies
//! longer than any thread's stack.
//!
//! A world of a few names reaches most of an index, by way of what waits for two packages (`install_if`), so what is
//! kept of a name here is as small as can be. Most names are those of one package's files (`so:`, `cmd:`), which lead
//! nowhere that the package's other names do not: they are numbered without a frame of their own.

use std::ops::Range;

use super::bits::Bits;
use super::stock::Stock;
use super::universe::{Dep, NameId, PackageId};

/// Added for a name that some package really has: decided before purely virtual ones.
const HAS_PACKAGE: i32 = 1 << 30;

/// Set for names the world does not mention: as the sign bit it puts them after those it does.
const NOT_IN_WORLD: i32 = i32::MIN;

/// The names that a world reaches.
#[derive(Debug)]
pub(super) struct Reached {
    names: Bits,
    packages: Bits,
    /// How far what each package provides has been walked, for whichever of its names: what lies before was entered,
    /// and a package of a thousand names would be walked a thousand times.
    provides_walked: Vec<u32>,
    orders: Vec<i32>,
    last: i32,
    /// Names without a frame, innermost last, each to be numbered when the list that it is on has ended.
    waiting: Vec<NameId>,
}

/// One name under way: which of its lists is being walked, and what is left of it.
struct Frame {
    name: NameId,
    providers: Range<u32>,
    /// The provider whose list comes next.
    next: u32,
    stage: Stage,
    list: List,
    /// Some provider has the name as its own.
    real: bool,
    /// How many names waited to be numbered when it began.
    waiting: usize,
}

/// Which list comes next.
#[derive(Clone, Copy)]
enum Stage {
    /// What a provider depends on.
    Depends,
    /// What the own name of a provider's package triggers.
    Triggers,
    /// What a provider provides.
    Provides,
    /// What a provider's `install_if` names.
    InstallIf,
}

/// What is left of a list of the stock's.
enum List {
    Triggers(Range<u32>),
    Deps(Range<u32>),
    Provides(PackageId),
}

impl Frame {
    fn new<'a>(name: NameId, stock: &impl Stock<'a>, waiting: usize) -> Self {
        let providers = stock.provider_list(name);
        let (next, list) = (providers.start, List::Deps(0..0));
        Self { name, providers, next, stage: Stage::Depends, list, real: false, waiting }
    }

    /// Begins with the first provider again.
    fn again(&mut self, stage: Stage) {
        (self.stage, self.next) = (stage, self.providers.start);
    }
}

impl Reached {
    /// Walks from each name of a world; there are `names` in all.
    pub fn from<'a>(stock: &impl Stock<'a>, names: usize, world: &[(Dep<'_>, u64)]) -> Self {
        let mut reached = Self {
            names: Bits::new(names),
            packages: Bits::new(stock.package_count()),
            provides_walked: vec![0; stock.package_count()],
            orders: vec![0; names],
            last: 0,
            waiting: Vec::new(),
        };
        let mut in_world = Bits::new(names);
        for (dep, _) in world {
            in_world.set(dep.name.0);
        }
        for (dep, _) in world {
            reached.walk(dep.name, stock, &in_world);
        }
        reached
    }

    /// Whether a name was reached.
    pub fn has(&self, name: NameId) -> bool {
        self.names.has(name.0)
    }

    /// Decides which of the waiting names goes first: the highest.
    pub fn order(&self, name: NameId) -> i32 {
        self.orders.get(name.0 as usize).copied().unwrap_or_default()
    }

    fn walk<'a>(&mut self, root: NameId, stock: &impl Stock<'a>, in_world: &Bits) {
        if !self.names.set(root.0) {
            return;
        }
        let mut stack = Vec::new();
        let mut frame = Frame::new(root, stock, 0);
        loop {
            if let Some(name) = self.entered(&mut frame.list, stock) {
                let inner = Frame::new(name, stock, self.waiting.len());
                stack.push(std::mem::replace(&mut frame, inner));
                continue;
            }
            while self.waiting.len() > frame.waiting
                && let Some(name) = self.waiting.pop()
            {
                self.number(name, false, in_world);
            }
            if !self.advance(&mut frame, stock, in_world) {
                let Some(outer) = stack.pop() else { return };
                frame = outer;
            }
        }
    }

    /// The next name of a list that was not entered before, and is from now on.
    fn entered<'a>(&mut self, list: &mut List, stock: &impl Stock<'a>) -> Option<NameId> {
        match list {
            List::Triggers(list) => list.map(|at| stock.trigger(at)).find(|name| self.names.set(name.0)),
            List::Deps(list) => list.map(|at| stock.dep_name(at)).find(|name| self.names.set(name.0)),
            List::Provides(package) => self.entered_of_provides(*package, stock),
        }
    }

    fn entered_of_provides<'a>(&mut self, package: PackageId, stock: &impl Stock<'a>) -> Option<NameId> {
        let list = stock.provide_list(package);
        // Packages come from the stock, which gives none that it has not counted.
        let walked = &mut self.provides_walked[package.0 as usize];
        let mut left = list.start.saturating_add(*walked)..list.end;
        if left.is_empty() {
            return None;
        }
        let waits = !stock.install_if_list(package).is_empty();
        let own = stock.name_of(package);
        let found = left.by_ref().map(|at| stock.dep_name(at)).find(|name| {
            if !self.names.set(name.0) {
                return false;
            }
            let providers = stock.provider_list(*name);
            // All that a frame of it would still find is the rest of this list, and then it would be numbered.
            let leads_nowhere = !waits
                && *name != own
                && providers.len() == 1
                && stock.provider_package(providers.start) == package
                && stock.trigger_list(*name).is_empty();
            if leads_nowhere {
                self.waiting.push(*name);
            }
            !leads_nowhere
        });
        *walked = left.start.saturating_sub(list.start);
        found
    }

    /// Goes to the next list: what each provider depends on; what the name triggers; per provider what its package
    /// triggers and what it provides; then, numbered, what each provider's `install_if` names. Whether there is one.
    fn advance<'a>(&mut self, frame: &mut Frame, stock: &impl Stock<'a>, in_world: &Bits) -> bool {
        loop {
            let provider = (frame.next < frame.providers.end).then(|| stock.provider_package(frame.next));
            frame.list = match (frame.stage, provider) {
                (Stage::Depends, Some(package)) => {
                    frame.next += 1;
                    let new = self.packages.set(package.0);
                    List::Deps(if new { stock.depend_list(package) } else { 0..0 })
                }
                (Stage::Depends, None) => {
                    frame.again(Stage::Triggers);
                    List::Triggers(stock.trigger_list(frame.name))
                }
                (Stage::Triggers, Some(package)) => {
                    frame.stage = Stage::Provides;
                    let own = stock.name_of(package);
                    // What the name itself triggers was entered before.
                    frame.real |= own == frame.name;
                    List::Triggers(if own == frame.name { 0..0 } else { stock.trigger_list(own) })
                }
                (Stage::Provides, Some(package)) => {
                    (frame.next, frame.stage) = (frame.next + 1, Stage::Triggers);
                    List::Provides(package)
                }
                (Stage::Triggers | Stage::Provides, None) => {
                    self.number(frame.name, frame.real, in_world);
                    frame.again(Stage::InstallIf);
                    continue;
                }
                (Stage::InstallIf, Some(package)) => {
                    frame.next += 1;
                    List::Deps(stock.install_if_list(package))
                }
                (Stage::InstallIf, None) => return false,
            };
            // Most lists are empty.
            match &frame.list {
                List::Deps(list) | List::Triggers(list) if list.is_empty() => {}
                _ => return true,
            }
        }
    }

    fn number(&mut self, name: NameId, real: bool, in_world: &Bits) {
        self.last += 1;
        let mut order = self.last;
        if real {
            order |= HAS_PACKAGE;
        }
        if !in_world.has(name.0) {
            order |= NOT_IN_WORLD;
        }
        // Names come from the stock or from the world, and those of both were counted.
        self.orders[name.0 as usize] = order;
    }
}
