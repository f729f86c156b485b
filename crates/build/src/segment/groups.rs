//! Which packages share a segment.
//!
//! Alone, a package of some kilobytes is compressed by somebody who has seen nothing yet, and costs the kernel a decoder
//! at boot. So packages of less than [`SMALL`] go together, up to [`FULL`] in a group.
//!
//! Groups must not shift: whatever is in a group that changes is compressed again and sent again in a deploy. So they
//! are the leaves of a tree over digests of names. All small packages are one group; one that is too large is halved by
//! the first bit of the digests, and its halves by the next. A package that comes, goes, or changes its size concerns
//! the group that it is in and no other, but that a group may become too large and be halved, or two halves small enough
//! to be one. Where a package stands in the list, which versions there are and on what machine makes no difference.
//!
//! The source package's name comes first: what is built of one source has much in common, and is upgraded together.

use std::collections::HashMap;

use hoopy_base::digest::ContentId;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{Entry, EntryPath};

use crate::stack::Origin;

/// What is larger stays alone: it has enough of its own to be compressed well, and to keep a core busy.
pub const SMALL: u64 = 1 << 20;

/// The most that a group holds. Codecs at their usual levels look back about as far, so more in a group would hardly be
/// smaller, and more would be sent when one of its packages is upgraded.
pub const FULL: u64 = 2 << 20;

/// The groups of a system's small packages.
#[derive(Debug, Default)]
pub struct Groups {
    places: HashMap<Box<str>, (usize, usize)>,
    sizes: Vec<usize>,
}

impl Groups {
    /// Of these packages, without the paths that `left_out` names.
    pub fn of<'p>(
        packages: impl Iterator<Item = &'p Package>,
        left_out: &dyn Fn(&EntryPath) -> bool,
    ) -> Self {
        let small = packages.filter_map(|package| {
            let entries = package.layer.entries.iter().filter(|entry| !left_out(&entry.path));
            let (name, size) = (&package.record.name, entries.map(Entry::size).sum());
            (size < SMALL).then(|| Small { size, ..Small::new(&package.record.origin, name) })
        });
        let mut groups = Self::default();
        for group in split_all(small.collect()) {
            let at = groups.sizes.len();
            groups.sizes.push(group.len());
            let members = group.into_iter().enumerate();
            groups.places.extend(members.map(|(nth, small)| (small.name.into(), (at, nth))));
        }
        groups
    }

    /// The group of what comes from there, and its place in it; none where it is alone.
    pub fn place(&self, origin: &Origin) -> Option<(usize, usize)> {
        match origin {
            Origin::Package(package) => self.places.get(&*package.record.name).copied(),
            _ => None,
        }
    }

    /// How many packages each group has.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }
}

/// A small package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Small<'p> {
    /// Of its source's name, then of its own.
    digest: u128,
    name: &'p str,
    size: u64,
}

impl<'p> Small<'p> {
    fn new(origin: &str, name: &'p str) -> Self {
        let digest = |text: &str| {
            let [a, b, c, d, e, f, g, h, ..] = *ContentId::of(text.as_bytes()).as_bytes();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        };
        let digest = u128::from(digest(origin)) << 64 | u128::from(digest(name));
        Self { digest, name, size: 0 }
    }
}

/// The groups, in the order of digests.
fn split_all(mut all: Vec<Small<'_>>) -> Vec<Vec<Small<'_>>> {
    all.sort_by(|a, b| (a.digest, a.name).cmp(&(b.digest, b.name)));
    let mut groups = Vec::new();
    split(&all, 0, &mut groups);
    groups
}

/// `all` have the first `depth` bits of their digests in common.
fn split<'p>(all: &[Small<'p>], depth: u32, groups: &mut Vec<Vec<Small<'p>>>) {
    let total: u64 = all.iter().map(|small| small.size).sum();
    let bit = (1_u128 << 127).checked_shr(depth).filter(|_| total > FULL && all.len() > 1);
    match bit {
        None if all.is_empty() => {}
        None => groups.push(all.to_vec()),
        Some(bit) => {
            let (zeros, ones) = all.split_at(all.partition_point(|small| small.digest & bit == 0));
            split(zeros, depth + 1, groups);
            split(ones, depth + 1, groups);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    /// Names with their source's and their size.
    type System = BTreeMap<String, (String, u64)>;

    fn system() -> impl Strategy<Value = System> {
        prop::collection::btree_map("[a-z]{1,6}", ("[a-e]{1,2}", 0..SMALL), 1..300)
    }

    fn groups(system: &System) -> Vec<Vec<Small<'_>>> {
        let small =
            system.iter().map(|(name, (origin, size))| Small { size: *size, ..Small::new(origin, name) });
        split_all(small.collect())
    }

    /// Groups of `one` that are none of `other`.
    fn changed<'a>(one: &[Vec<Small<'a>>], other: &[Vec<Small<'a>>]) -> Vec<Vec<Small<'a>>> {
        one.iter().filter(|group| !other.contains(group)).cloned().collect()
    }

    proptest! {
        #[test]
        fn every_package_is_in_one_group_and_none_is_too_large(system in system()) {
            let groups = groups(&system);
            let mut names: Vec<&str> = groups.iter().flatten().map(|small| small.name).collect();
            names.sort_unstable();
            prop_assert!(names.iter().eq(system.keys()));
            for group in &groups {
                prop_assert!(group.iter().map(|small| small.size).sum::<u64>() <= FULL);
            }
        }

        #[test]
        fn a_package_that_comes_or_goes_concerns_one_group(system in system(), which in any::<prop::sample::Index>()) {
            let mut less = system.clone();
            let name = which.get(&system.keys().cloned().collect::<Vec<_>>()).clone();
            less.remove(&name);
            let (with, without) = (groups(&system), groups(&less));
            let (with, without) = (changed(&with, &without), changed(&without, &with));
            prop_assert!(without.len() <= 1, "{without:?}");
            // Nothing else is in what it is in, or was split because of it.
            let rest: Vec<_> = with.into_iter().flatten().filter(|small| small.name != name).collect();
            prop_assert_eq!(rest, without.into_iter().flatten().collect::<Vec<_>>());
        }

        #[test]
        fn a_package_that_grows_concerns_one_group(
            system in system(), which in any::<prop::sample::Index>(), size in 0..SMALL
        ) {
            let mut other = system.clone();
            let name = which.get(&system.keys().cloned().collect::<Vec<_>>()).clone();
            other.entry(name).and_modify(|known| known.1 = size);
            let (before, after) = (groups(&system), groups(&other));
            let (gone, new) = (changed(&before, &after), changed(&after, &before));
            prop_assert!(gone.len() <= 1 || new.len() <= 1);
            let names = |groups: Vec<Vec<Small<'_>>>| {
                groups.into_iter().flatten().map(|small| small.name.to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(names(gone), names(new));
        }
    }

    #[test]
    fn packages_of_one_source_stay_together_while_they_fit() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let of = |origin: fn(&str) -> String, size| {
            let system = names.iter().map(|&name| (name.to_owned(), (origin(name), size))).collect();
            groups(&system).len()
        };
        assert_eq!(of(|_| "source".to_owned(), FULL / 8), 1);
        assert!(of(|_| "source".to_owned(), FULL / 4) >= 2);
        assert!(of(str::to_owned, FULL / 4) >= 2);
    }

    /// A release that groups otherwise makes and sends everything again: it shall not do so unawares.
    #[test]
    fn groups_are_the_same_on_every_machine() {
        let digest = Small::new("ca-certificates", "ca-certificates-bundle").digest;
        assert_eq!(format!("{digest:032x}"), "97e86df4b9e1385fe355210a39dae095");
    }
}
