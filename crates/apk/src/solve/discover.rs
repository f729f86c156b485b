//! Finds all names that a world can reach, and numbers them in the order in which they will be decided.
//!
//! A walk in depth: a name is numbered after all that its providers depend on, so names nearer to the world get
//! higher numbers and are decided first. The walk keeps its own stack: an index can hold a chain of dependencies
//! longer than any thread's stack.

use std::slice::Iter;

use super::search::Search;
use super::universe::{Dep, NameId};

/// Added for a name that some package really has: decided before purely virtual ones.
const HAS_PACKAGE: i32 = 1 << 30;

/// Set for names the world does not mention: as the sign bit it puts them after those it does.
const NOT_IN_WORLD: i32 = i32::MIN;

enum Children<'u, 'a> {
    None,
    Names(Iter<'u, NameId>),
    Deps(Iter<'u, Dep<'a>>),
}

impl Children<'_, '_> {
    fn next(&mut self) -> Option<NameId> {
        match self {
            Self::None => None,
            Self::Names(names) => names.next().copied(),
            Self::Deps(deps) => deps.next().map(|dep| dep.name),
        }
    }
}

/// One name under way: which of its lists is being walked.
struct Frame<'u, 'a> {
    name: NameId,
    step: usize,
    children: Children<'u, 'a>,
}

impl<'u, 'a> Search<'u, 'a> {
    /// Walks from one name of the world.
    pub(super) fn discover(&mut self, root: NameId) {
        let mut stack = Vec::new();
        self.enter(root, &mut stack);
        while let Some(frame) = stack.last_mut() {
            if let Some(name) = frame.children.next() {
                self.enter(name, &mut stack);
                continue;
            }
            let (name, step) = (frame.name, frame.step);
            frame.step += 1;
            match self.walk(name, step) {
                Some(children) => frame.children = children,
                None => {
                    stack.pop();
                }
            }
        }
    }

    fn enter(&mut self, name: NameId, stack: &mut Vec<Frame<'u, 'a>>) {
        let universe = self.universe;
        let state = self.name_mut(name);
        if state.seen {
            return;
        }
        state.seen = true;
        state.untriggerable =
            universe.providers(name).iter().all(|provider| universe.install_if(provider.package).is_empty());
        stack.push(Frame { name, step: 0, children: Children::None });
    }

    /// The lists of a name, one a step: what each provider depends on; what the name triggers; per provider what
    /// its package triggers and what it provides; then, numbered, what each provider's `install_if` names.
    fn walk(&mut self, name: NameId, step: usize) -> Option<Children<'u, 'a>> {
        let universe = self.universe;
        let providers = universe.providers(name);
        let count = providers.len();
        if let Some(provider) = providers.get(step) {
            let state = self.package_mut(provider.package);
            let children = match state.seen {
                true => Children::None,
                false => Children::Deps(universe.depends(provider.package).iter()),
            };
            state.seen = true;
            return Some(children);
        }
        let step = step - count;
        if step == 0 {
            return Some(Children::Names(universe.triggers(name).iter()));
        }
        let step = step - 1;
        if let Some(provider) = providers.get(step / 2) {
            return Some(match step % 2 {
                0 => Children::Names(universe.triggers(universe.name_of(provider.package)).iter()),
                _ => Children::Deps(universe.provides(provider.package).iter()),
            });
        }
        let step = step - 2 * count;
        if step == 0 {
            self.number(name);
            return Some(Children::None);
        }
        let provider = providers.get(step - 1)?;
        Some(Children::Deps(universe.install_if(provider.package).iter()))
    }

    fn number(&mut self, name: NameId) {
        let universe = self.universe;
        let real = universe.providers(name).iter().any(|provider| universe.name_of(provider.package) == name);
        self.last_order += 1;
        let mut order = self.last_order;
        if real {
            order |= HAS_PACKAGE;
        }
        if !self.name(name).in_world {
            order |= NOT_IN_WORLD;
        }
        self.name_mut(name).order = order;
    }
}
