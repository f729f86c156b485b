//! Whether a provider meets a dependency.

use data_encoding::BASE64;

use super::universe::{PackageId, Provider, Universe};
use crate::dependency::{Dependency, Op};
use crate::record::Checksum;

/// Whether `dependency`, asked for by a package (`None`: by the world), is met by a provider or by its absence.
pub(super) fn is_met(
    universe: &Universe<'_>,
    asker: Option<PackageId>,
    dependency: &Dependency,
    provider: Option<&Provider<'_>>,
) -> bool {
    let Some(provider) = provider else {
        return dependency.conflict;
    };
    // A package may conflict with a name it provides itself: it means all the others.
    if dependency.conflict && asker == Some(provider.package) {
        return true;
    }
    match &dependency.constraint {
        Some((Op::Checksum, wanted)) if !dependency.conflict => {
            is_checksum(wanted.as_str(), &universe.record(provider.package).checksum)
        }
        _ => dependency.satisfied_by(provider.version),
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
