//! Finds all names that a world can reach, and numbers them in the order in which they will be decided.
//!
//! A walk in depth: a name is numbered after all that its providers depend on, so names nearer to the world get
//! higher numbers and are decided first. The walk keeps its own stack: an index can hold a chain of dependencies
//! longer than any thread's stack.
//!
//! A world of a few names reaches most of an index, by way of what waits for two packages (`install_if`), so what is
//! kept of a name here is as small as can be.

use std::ops::Range;

use super::stock::Stock;
use super::universe::{Dep, NameId, PackageId};

/// Added for a name that some package really has: decided before purely virtual ones.
const HAS_PACKAGE: i32 = 1 << 30;

/// Set for names the world does not mention: as the sign bit it puts them after those it does.
const NOT_IN_WORLD: i32 = i32::MIN;

/// The names that a world reaches.
#[derive(Debug)]
pub(super) struct Reached {
    names: Vec<bool>,
    packages: Vec<bool>,
    /// How far what each package provides has been walked, for whichever of its names: what lies before was entered,
    /// and a package of a thousand names would be walked a thousand times.
    provides_walked: Vec<u32>,
    orders: Vec<i32>,
    last: i32,
}

/// What is left of a list of the stock's.
enum Children {
    Triggers(Range<u32>),
    Deps(Range<u32>),
    Provides(PackageId),
}

/// One name under way: which of its lists is being walked.
struct Frame {
    name: NameId,
    step: usize,
    children: Children,
}

impl Reached {
    /// Walks from each name of a world; there are `names` in all.
    pub fn from<'a>(stock: &impl Stock<'a>, names: usize, world: &[(Dep<'_>, u64)]) -> Self {
        let mut reached = Self {
            names: vec![false; names],
            packages: vec![false; stock.package_count()],
            provides_walked: vec![0; stock.package_count()],
            orders: vec![0; names],
            last: 0,
        };
        let mut in_world = vec![false; names];
        for (dep, _) in world {
            in_world[dep.name.0 as usize] = true;
        }
        for (dep, _) in world {
            reached.walk(dep.name, stock, &in_world);
        }
        reached
    }

    /// Whether a name was reached.
    pub fn has(&self, name: NameId) -> bool {
        self.names.get(name.0 as usize).copied().unwrap_or(false)
    }

    /// Decides which of the waiting names goes first: the highest.
    pub fn order(&self, name: NameId) -> i32 {
        self.orders.get(name.0 as usize).copied().unwrap_or_default()
    }

    fn walk<'a>(&mut self, root: NameId, stock: &impl Stock<'a>, in_world: &[bool]) {
        let mut stack = Vec::new();
        self.enter(root, &mut stack);
        while let Some(frame) = stack.last_mut() {
            let next = match &mut frame.children {
                Children::Triggers(list) => list.next().map(|at| stock.trigger(at)),
                Children::Deps(list) => list.next().map(|at| stock.dep_name(at)),
                Children::Provides(package) => {
                    let walked = &mut self.provides_walked[package.0 as usize];
                    let next = stock.provide_list(*package).nth(*walked as usize);
                    *walked += u32::from(next.is_some());
                    next.map(|at| stock.dep_name(at))
                }
            };
            if let Some(name) = next {
                self.enter(name, &mut stack);
                continue;
            }
            let (name, step) = (frame.name, frame.step);
            frame.step += 1;
            match self.step(name, step, stock, in_world) {
                Some(children) => frame.children = children,
                None => {
                    stack.pop();
                }
            }
        }
    }

    // Ids come from the stock (or, for names, from the world: `names` counts those too), so they are in range.
    fn enter(&mut self, name: NameId, stack: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.names[name.0 as usize], true) {
            stack.push(Frame { name, step: 0, children: Children::Deps(0..0) });
        }
    }

    /// The lists of a name, one a step: what each provider depends on; what the name triggers; per provider what
    /// its package triggers and what it provides; then, numbered, what each provider's `install_if` names.
    fn step<'a>(
        &mut self,
        name: NameId,
        step: usize,
        stock: &impl Stock<'a>,
        in_world: &[bool],
    ) -> Option<Children> {
        let providers = stock.provider_list(name);
        let count = providers.len();
        let package = |at: usize| stock.provider_package(providers.start + at as u32);
        if step < count {
            let package = package(step);
            let seen = std::mem::replace(&mut self.packages[package.0 as usize], true);
            return Some(Children::Deps(if seen { 0..0 } else { stock.depend_list(package) }));
        }
        let step = step - count;
        if step == 0 {
            return Some(Children::Triggers(stock.trigger_list(name)));
        }
        let step = step - 1;
        if step / 2 < count {
            let package = package(step / 2);
            return Some(match step % 2 {
                0 => Children::Triggers(stock.trigger_list(stock.name_of(package))),
                _ => Children::Provides(package),
            });
        }
        let step = step - 2 * count;
        if step == 0 {
            let real = (0..count).any(|at| stock.name_of(package(at)) == name);
            self.number(name, real, in_world);
            return Some(Children::Deps(0..0));
        }
        (step <= count).then(|| Children::Deps(stock.install_if_list(package(step - 1))))
    }

    fn number(&mut self, name: NameId, real: bool, in_world: &[bool]) {
        self.last += 1;
        let mut order = self.last;
        if real {
            order |= HAS_PACKAGE;
        }
        if !in_world[name.0 as usize] {
            order |= NOT_IN_WORLD;
        }
        self.orders[name.0 as usize] = order;
    }
}
