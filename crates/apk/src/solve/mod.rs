//! From a world to the exact list of packages that apk-tools 3 would install into an empty root, in its order.
//!
//! ```text
//! repositories ─▶ Universe ─┐
//!                 world ────┴▶ discover ─▶ search ─▶ order ─▶ Solution
//!                                             └─▶ explain ─▶ Unsatisfiable
//! ```

mod bits;
mod discover;
mod explain;
mod matching;
mod needers;
mod order;
mod queue;
mod reconsider;
mod search;
mod state;
mod stock;
mod touched;
mod universe;

pub use explain::{Ask, Asker, Cause, Problem, Unsatisfiable, similar_names};
pub(crate) use universe::{MAX_REPOSITORIES, NAME_BUCKETS, bucket};
pub use universe::{Outline, Repository, Universe, UniverseError};

use crate::dependency::Dependency;
use crate::record::Record;
use search::{Search, tag_bit};
use state::UNPINNED;
use stock::Stock;
use universe::{Dep, NameId, PackageId};

/// One package to install, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What the index says of it; of an [`Outline`], what a lock says of it.
    pub record: &'a Record,
    /// The first of the repositories that hold it, by position.
    pub repository: usize,
}

/// What to install, in the order in which apk would.
#[derive(Debug, Clone, Default)]
pub struct Solution<'a> {
    /// Dependencies first.
    pub install: Vec<Choice<'a>>,
}

/// Chooses what a world needs. Of two demands for one name the later counts, as when they are given to apk.
pub fn solve<'a: 'w, 'w>(
    universe: &Universe<'a>,
    world: &'w [Dependency],
) -> Result<Solution<'a>, Unsatisfiable> {
    let (world, names) = sorted(universe, world);
    let (demands, refused) = pinned(universe, &world);
    if !refused.is_empty() {
        return Err(Unsatisfiable { causes: refused });
    }
    match choose(universe, names, &demands) {
        Ok(order) => Ok(solution(universe, order)),
        Err(search) => Err(explain::explain(&search, &demands)),
    }
}

/// What is chosen, in order; or the search that came to nothing.
fn choose<'u, 'w, U: Stock<'w>>(
    universe: &'u U,
    names: usize,
    demands: &Demands<'w>,
) -> Result<Vec<PackageId>, Box<Search<'u, 'w, U>>> {
    let mut search = Search::run(universe, names, demands);
    let order = order::order(&mut search, names, demands);
    if search.failures.is_empty() { Ok(order) } else { Err(Box::new(search)) }
}

fn solution<'a>(universe: &Universe<'a>, order: Vec<PackageId>) -> Solution<'a> {
    let choice = |package| Choice {
        record: universe.record(package),
        repository: Stock::repositories_of(universe, package).trailing_zeros() as usize,
    };
    Solution { install: order.into_iter().map(choice).collect() }
}

/// The world in apk's order with its names looked up, and how many names there are with those that only the
/// world knows, which are numbered after the universe's.
fn sorted<'s, 'a>(universe: &impl Stock<'s>, world: &'a [Dependency]) -> (Vec<Dep<'a>>, usize) {
    let key = |dependency: &Dependency| dependency.name.to_ascii_lowercase();
    let mut sorted: Vec<&Dependency> = world.iter().collect();
    // Stable: the last of those with one name stays the last.
    sorted.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
    let texts: Vec<&str> = sorted.iter().map(|dependency| &*dependency.name).collect();
    let mut count = universe.name_count();
    let mut deps: Vec<Dep<'a>> = Vec::with_capacity(sorted.len());
    for (dependency, known) in sorted.into_iter().zip(universe.find_all(&texts)) {
        match deps.last_mut() {
            Some(last) if last.dependency.name == dependency.name => *last = Dep::new(last.name, dependency),
            _ => {
                let name = known.unwrap_or_else(|| {
                    count += 1;
                    NameId(count as u32 - 1)
                });
                deps.push(Dep::new(name, dependency));
            }
        }
    }
    (deps, count)
}

/// A world's demands with their pinning as bits.
type Demands<'a> = Vec<(Dep<'a>, u64)>;

/// Splits a world into what can be searched for and what makes no sense in itself.
fn pinned<'a>(universe: &impl Stock<'a>, world: &[Dep<'a>]) -> (Demands<'a>, Vec<Cause>) {
    let mut demands = Vec::with_capacity(world.len());
    let mut refused = Vec::new();
    for dep in world {
        match pinning(universe, dep.dependency) {
            None => refused.push(explain::unknown_tag(universe.tags(), dep.dependency)),
            Some(_) if !dep.dependency.has_valid_version() => {
                refused.push(explain::bad_version(dep.dependency));
            }
            Some(pinning) => demands.push((*dep, pinning)),
        }
    }
    (demands, refused)
}

/// The bit of the tag that a demand is pinned to; `None` when no repository has it.
fn pinning<'a>(universe: &impl Stock<'a>, dependency: &Dependency) -> Option<u64> {
    match &dependency.tag {
        None => Some(UNPINNED),
        Some(tag) => universe.tags().iter().position(|(known, _)| **known == **tag).map(tag_bit),
    }
}
