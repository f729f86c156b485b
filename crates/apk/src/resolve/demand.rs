//! Demands and offers, and when one meets the other (rules 1.1 to 1.6).

use super::supply::Supply;
use crate::dependency::{Dependency, provides};
use crate::version::Op;

/// What a world, a dependency or an entry of `install_if` asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'s> {
    pub name: u32,
    /// Written `!name`: a negative demand.
    pub conflict: bool,
    pub constraint: Option<(Op, &'s str)>,
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

impl<'s> Demand<'s> {
    /// A dependency, with the number of its name.
    pub fn of(name: u32, dependency: &'s Dependency) -> Self {
        let constraint = dependency.constraint.as_ref().map(|(op, version)| (*op, version.as_str()));
        Self { name, conflict: dependency.conflict, constraint }
    }

    /// Whether a name that is closed with `offer`, or is empty, is as the package `by` demands, or as the world does.
    pub fn is_met<S: Supply>(&self, supply: &S, by: Option<u32>, offer: Option<&Offer<'_>>) -> bool {
        match offer {
            None => self.conflict,
            // A package does not conflict with what it offers itself.
            Some(offer) if self.conflict => by == Some(offer.package) || !self.hits(offer),
            Some(offer) => match self.constraint {
                Some((Op::Checksum, checksum)) => supply.has_checksum(offer.package, checksum),
                constraint => provides(constraint, offer.version),
            },
        }
    }

    /// Whether a negative demand is against this offer. apk does not compare checksums here: it takes whatever has a
    /// version for the one that is meant (rule 1.6).
    fn hits(&self, offer: &Offer<'_>) -> bool {
        match self.constraint {
            Some((Op::Checksum, _)) => !offer.is_bare(),
            constraint => provides(constraint, offer.version),
        }
    }
}
