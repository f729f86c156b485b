//! The names that wait to be decided, in the order in which apk takes them.

use std::collections::{BTreeSet, VecDeque};

use super::state::Queue;
use super::universe::NameId;

/// Three queues: [`Queue::Settled`] first, first come first served; then [`Queue::Selectable`] and then
/// [`Queue::Unresolved`], each by highest order.
#[derive(Debug, Default)]
pub(super) struct Queues {
    settled: VecDeque<NameId>,
    selectable: BTreeSet<(i32, NameId)>,
    unresolved: BTreeSet<(i32, NameId)>,
}

impl Queues {
    pub fn insert(&mut self, queue: Queue, order: i32, name: NameId) {
        match queue {
            Queue::None => {}
            Queue::Settled => self.settled.push_back(name),
            Queue::Selectable => {
                self.selectable.insert((order, name));
            }
            Queue::Unresolved => {
                self.unresolved.insert((order, name));
            }
        }
    }

    /// Takes a name out. From [`Queue::Settled`] names leave only by being decided, and [`Queues::pop`]'s caller
    /// skips those that are, so there is nothing to do.
    pub fn remove(&mut self, queue: Queue, order: i32, name: NameId) {
        match queue {
            Queue::None | Queue::Settled => {}
            Queue::Selectable => {
                self.selectable.remove(&(order, name));
            }
            Queue::Unresolved => {
                self.unresolved.remove(&(order, name));
            }
        }
    }

    /// The next name to decide; it may have been decided in the meantime.
    pub fn pop(&mut self) -> Option<NameId> {
        if let Some(name) = self.settled.pop_front() {
            return Some(name);
        }
        let (_, name) = self.selectable.pop_last().or_else(|| self.unresolved.pop_last())?;
        Some(name)
    }
}
