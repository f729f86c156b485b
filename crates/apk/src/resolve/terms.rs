//! The two sides of a choice: what is demanded, and what is offered (rules 1.1 and 1.2).

use crate::dependency::Dependency;
use crate::version::Op;

/// What a world, a dependency or an entry of `install_if` asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'s> {
    pub name: u32,
    /// Written `!name`: a negative demand.
    pub conflict: bool,
    pub constraint: Option<(Op, &'s str)>,
}

impl<'s> Demand<'s> {
    /// A dependency, with the number of its name.
    pub fn of(name: u32, dependency: &'s Dependency) -> Self {
        let constraint = dependency.constraint.as_ref().map(|(op, version)| (*op, version.as_str()));
        Self { name, conflict: dependency.conflict, constraint }
    }
}

/// A package under one of the names that it can stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'s> {
    pub package: u32,
    /// `None`: a bare offer, from an entry of `provides` without version.
    pub version: Option<&'s str>,
}

impl Offer<'_> {
    pub fn is_bare(&self) -> bool {
        self.version.is_none()
    }
}
