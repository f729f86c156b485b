//! The names that await decision, and which of them is next (rules 4.3 and 4.4).

use std::collections::{BinaryHeap, VecDeque};

/// What orders names of one group: the greater comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    /// The world asks for it.
    pub in_world: bool,
    /// Some package has it as its own name.
    pub is_real: bool,
    pub turn: u32,
    /// No two names have one turn, so this decides nothing.
    pub name: u32,
}

/// Names that await decision. A name may be in several groups; whoever takes it out knows where it belongs.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    forced: VecDeque<u32>,
    startable: BinaryHeap<Precedence>,
    others: BinaryHeap<Precedence>,
}

/// A group of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Forced,
    Startable,
    Other,
}

impl Awaiting {
    pub fn push_forced(&mut self, name: u32) {
        self.forced.push_back(name);
    }

    pub fn push(&mut self, is_startable: bool, name: Precedence) {
        if is_startable { self.startable.push(name) } else { self.others.push(name) }
    }

    /// The next name and the group that it was in.
    pub fn pop(&mut self) -> Option<(Group, u32)> {
        let forced = self.forced.pop_front().map(|name| (Group::Forced, name));
        let startable = || self.startable.pop().map(|next| (Group::Startable, next.name));
        let found = forced.or_else(startable);
        found.or_else(|| self.others.pop().map(|next| (Group::Other, next.name)))
    }
}
