//! What a world installs: the very packages that apk would choose, in the very order in which it would install them.
//!
//! Written from rules of observable behaviour alone, which are in `docs/resolution.md`: the numbers of rules and sections
//! in this module are those of that text. What apk says of itself is in apk-world(5), apk-package(5) and its other manual
//! pages. `cargo xtask oracle` asks apk about worlds by the hundred thousand, to see that the answers are the same.
//!
//! ```text
//! records ───▶ Universe ─┐           ┌─ survey ─▶ effect      (sections 3 and 6)
//! catalogue ─▶ Outline ──┴▶ Search ──┼─ awaiting ─▶ decide    (sections 4, 5 and 7)
//! world ─────▶ wishes ───▶ turns     └─ order                 (section 8)
//! ```
//!
//! The words of the rules are those of the code: a name is called for, open or closed; a package is in play or out;
//! candidates of a name are looked at in a survey; a decision closes names; `install_if` summons packages.

mod awaiting;
mod bucket;
mod decide;
mod demand;
mod effect;
mod explain;
mod history;
mod install_if;
mod lists;
mod marks;
mod order;
mod outline;
mod search;
mod state;
mod supply;
mod survey;
mod tags;
mod terms;
mod turns;
mod universe;
mod world;

pub(crate) use bucket::{NAME_BUCKETS, bucket};
pub use explain::{Ask, Asker, Cause, Problem, Unsatisfiable, similar_names};
pub use outline::Outline;
pub use universe::Universe;

use crate::dependency::Dependency;
use crate::record::{Checksum, Record};
use history::History;
use search::Search;

/// Repositories are counted in the bits of a number; apk itself manages about as many.
pub(crate) const MAX_REPOSITORIES: usize = 63;

/// One repository.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// Its packages, in the order of the index.
    pub records: &'a [Record],
    /// Its tag: `edge` for `@edge https://...`. What is in tagged repositories alone is taken only where the world
    /// pins a package to the tag.
    pub tag: Option<&'a str>,
}

/// Repositories that cannot be resolved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UniverseError {
    /// More repositories than can be told apart.
    #[error("{0} repositories, expected at most {MAX_REPOSITORIES}")]
    TooManyRepositories(usize),
    /// More names, packages or dependencies than can be numbered.
    #[error("the indexes hold more than can be numbered")]
    TooLarge,
}

/// A chosen package.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The package.
    pub record: &'a Record,
    /// The first repository that holds it, by position.
    pub repository: usize,
}

/// What a world installs.
#[derive(Debug, Clone)]
pub struct Solution<'a> {
    /// The packages, in the order in which apk installs them.
    pub install: Vec<Choice<'a>>,
}

/// What a world installs. All its names count as given to `apk add` at once: of two demands for one name the later
/// counts.
///
/// # Errors
/// [`Unsatisfiable`], where apk would refuse the world.
pub fn solve<'a: 'w, 'w>(
    universe: &Universe<'a>,
    world: &'w [Dependency],
) -> Result<Solution<'a>, Unsatisfiable> {
    let find = |names: &[&str]| names.iter().map(|name| universe.find(name)).collect();
    let wishes = world::wishes(world, &universe.tags, find)
        .map_err(|bad| explain::impossible(universe, world, &bad))?;
    let untagged = universe.tags.untagged;
    let mut search = Search::new(universe, &wishes, untagged, ());
    if search.run().is_err() {
        // Once more, and this time with notes of all that happens: only who is refused pays for them.
        let mut search = Search::new(universe, &wishes, untagged, History::default());
        search.run().map_err(|fault| explain::explain(&search, &fault))?;
    }
    Ok(Solution { install: search.install.iter().filter_map(|package| universe.choice(*package)).collect() })
}

/// apk tells packages apart by the first 20 bytes of their digest, whichever digest that is.
type Identity = [u8; 20];

fn identity(checksum: &Checksum) -> Identity {
    let bytes: &[u8] = match checksum {
        Checksum::Sha1(bytes) => bytes,
        Checksum::Sha256(bytes) => bytes,
    };
    bytes.first_chunk().copied().unwrap_or_default()
}
