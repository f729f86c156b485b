//! The order in which apk installs what was chosen: dependencies first, in the order of the world and of each
//! package's own list; a package with `install_if` right after the last of what it waits for.
//!
//! A cycle is broken where the walk meets itself. The walk keeps its own stack, as dependencies can be deeper
//! than a thread's.

use super::search::{Failure, Search};
use super::stock::Stock;
use super::universe::{Dep, NameId, PackageId};

/// One package under way, and how far its lists have been walked.
struct Frame {
    package: PackageId,
    depends: usize,
    triggers: usize,
    recorded: bool,
}

/// What the walk has done.
pub(super) struct Order<'s, 'u, 'a, U> {
    search: &'s mut Search<'u, 'a, U>,
    /// Names whose choice has been taken up.
    processed: Vec<bool>,
    taken: Vec<bool>,
    stack: Vec<Frame>,
    order: Vec<PackageId>,
}

/// Puts the choices of a search in order, noting dependencies that turn out not to be met.
pub(super) fn order<'a, U: Stock<'a>>(
    search: &mut Search<'_, 'a, U>,
    names: usize,
    world: &[(Dep<'a>, u64)],
) -> Vec<PackageId> {
    let packages = search.universe.package_count();
    let mut order = Order {
        search,
        processed: vec![false; names],
        taken: vec![false; packages],
        stack: Vec::new(),
        order: Vec::new(),
    };
    for (dep, _) in world {
        order.visit(dep.name);
        order.walk();
    }
    order.order
}

impl<'a, U: Stock<'a>> Order<'_, '_, 'a, U> {
    fn walk(&mut self) {
        while let Some(frame) = self.stack.last_mut() {
            let package = frame.package;
            if let Some(dep) = self.search.universe.depends(package).nth(frame.depends) {
                frame.depends += 1;
                self.visit_dependency(package, dep);
            } else if !frame.recorded {
                frame.recorded = true;
                self.order.push(package);
            } else if let Some(name) = self.trigger(package) {
                self.visit_triggered(name);
            } else {
                self.stack.pop();
            }
        }
    }

    fn visit_dependency(&mut self, asker: PackageId, dep: Dep<'a>) {
        let chosen = self.search.chosen(dep.name);
        if !self.search.meets(Some(asker), dep, chosen.as_ref()) {
            self.search.fail(asker, Failure::Unmet(asker, dep));
        }
        self.visit(dep.name);
    }

    /// Takes up what was chosen for a name, unless that was done before.
    fn visit(&mut self, name: NameId) {
        if std::mem::replace(&mut self.processed[name.0 as usize], true) {
            return;
        }
        let Some(chosen) = self.search.chosen(name) else { return };
        let package = chosen.package;
        if std::mem::replace(&mut self.taken[package.0 as usize], true) {
            return;
        }
        for name in self.search.universe.names_of(package) {
            self.processed[name.0 as usize] = true;
        }
        self.stack.push(Frame { package, depends: 0, triggers: 0, recorded: false });
    }

    /// The next name that the package's own name, or one that it provides, may trigger.
    fn trigger(&mut self, package: PackageId) -> Option<NameId> {
        let universe = self.search.universe;
        let frame = self.stack.last_mut()?;
        let mut skip = frame.triggers;
        frame.triggers += 1;
        for name in universe.names_of(package) {
            let mut triggers = universe.trigger_list(name);
            let count = triggers.len();
            match triggers.nth(skip) {
                Some(triggered) => return Some(universe.trigger(triggered)),
                None => skip -= count,
            }
        }
        None
    }

    fn visit_triggered(&mut self, name: NameId) {
        let (Some(chosen), true) = (self.search.chosen(name), self.search.reached.has(name)) else { return };
        if self.processed[name.0 as usize] {
            return;
        }
        let universe = self.search.universe;
        let holds = |dep: Dep<'a>| {
            let present = dep.conflict || self.processed[dep.name.0 as usize];
            let provider = self.search.chosen(dep.name);
            present && self.search.meets(Some(chosen.package), dep, provider.as_ref())
        };
        if universe.install_if(chosen.package).all(holds) {
            self.visit(name);
        }
    }
}
