//! The world, in the order in which it counts (rules 1.7 and 1.8).

use std::cmp::Ordering;

use super::tags::Tags;
use super::terms::Demand;
use crate::dependency::Dependency;

/// A demand of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'w> {
    pub demand: Demand<'w>,
    /// As it was given.
    pub dependency: &'w Dependency,
    /// The repositories with the tag that it is pinned to, or those without tag.
    pub repositories: u64,
}

/// A demand of the world that refuses it before anything is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) enum BadWish<'w> {
    /// Its version breaks the grammar.
    Version(&'w Dependency),
    /// No repository has its tag.
    Tag(&'w Dependency),
    /// It is positive, and no index mentions the name.
    Name(&'w Dependency),
}

/// Sorts a world; `find` looks up the numbers of names. Negative demands for names that no index mentions are left out:
/// nothing can come of them.
pub(super) fn wishes<'w>(
    world: &'w [Dependency],
    tags: &Tags<'_>,
    find: impl FnOnce(&[&str]) -> Vec<Option<u32>>,
) -> Result<Vec<Wish<'w>>, Vec<BadWish<'w>>> {
    let mut bad: Vec<_> =
        world.iter().filter(|wish| !wish.has_valid_version()).map(BadWish::Version).collect();
    let sorted = sorted(world);
    let names: Vec<&str> = sorted.iter().map(|wish| &*wish.name).collect();
    let mut wishes = Vec::with_capacity(world.len());
    for (dependency, name) in sorted.into_iter().zip(find(&names)) {
        let Some(repositories) = tags.pinned(dependency.tag.as_deref()) else {
            bad.push(BadWish::Tag(dependency));
            continue;
        };
        match name {
            Some(name) => {
                wishes.push(Wish { demand: Demand::of(name, dependency), dependency, repositories });
            }
            None if dependency.conflict => {}
            None => bad.push(BadWish::Name(dependency)),
        }
    }
    if bad.is_empty() { Ok(wishes) } else { Err(bad) }
}

/// One demand for each name, the last that was given, by name.
fn sorted(world: &[Dependency]) -> Vec<&Dependency> {
    let mut sorted: Vec<&Dependency> = world.iter().rev().collect();
    // Stable, so the last given is the first of its name.
    sorted.sort_by(|a, b| by_letter(&a.name, &b.name));
    sorted.dedup_by(|next, kept| next.name == kept.name);
    sorted
}

/// Small and capital letters are the same but for ties.
fn by_letter(a: &str, b: &str) -> Ordering {
    let letters = |name: &str| name.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
    letters(a).cmp(&letters(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_last_demand_for_a_name_counts_and_capitals_come_first_in_a_tie() {
        let world: Vec<Dependency> = "b>1 a B A b<2".split(' ').map(|text| text.parse().unwrap()).collect();
        let texts: Vec<String> = sorted(&world).into_iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["A", "a", "B", "b<2"]);
    }
}
