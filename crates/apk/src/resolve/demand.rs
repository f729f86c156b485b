//! When an offer meets a demand (rules 1.3 to 1.6).

use super::supply::Supply;
use super::terms::{Demand, Offer};
use crate::dependency::provides;
use crate::version::Op;

impl Demand<'_> {
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
