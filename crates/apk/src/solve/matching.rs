//! Whether a provider meets a dependency.

use data_encoding::BASE64;

use super::stock::Stock;
use super::universe::{Dep, PackageId, Provider};
use crate::dependency;
use crate::record::Checksum;
use crate::version::Op;

/// Whether `dep`, asked for by a package (`None`: by the world), is met by a provider or by its absence.
pub(super) fn is_met<'s>(
    universe: &impl Stock<'s>,
    asker: Option<PackageId>,
    dep: Dep<'_>,
    provider: Option<&Provider<'_>>,
) -> bool {
    let Some(provider) = provider else {
        return dep.conflict;
    };
    // A package may conflict with a name it provides itself: it means all the others.
    if dep.conflict && asker == Some(provider.package) {
        return true;
    }
    match dep.constraint {
        Some((Op::Checksum, wanted)) if !dep.conflict => {
            universe.checksum(provider.package).is_some_and(|checksum| is_checksum(wanted, &checksum))
        }
        constraint => dependency::provides(constraint, provider.version) != dep.conflict,
    }
}

fn is_checksum(text: &str, checksum: &Checksum) -> bool {
    let (kind, digest): (&str, &[u8]) = match checksum {
        Checksum::Sha1(digest) => ("Q1", digest),
        Checksum::Sha256(digest) => ("Q2", digest),
    };
    text.strip_prefix(kind)
        .is_some_and(|text| BASE64.decode(text.as_bytes()).is_ok_and(|read| read == digest))
}
