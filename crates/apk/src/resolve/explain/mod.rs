//! Why a world cannot be had, as short chains from what was asked to what is in the way.

mod display;
mod label;
mod ranking;
mod reason;
mod similar;
mod trace;

use super::history::{Fault, History};
use super::search::Search;
use super::universe::Universe;
use super::world::BadWish;
use crate::dependency::Dependency;
use crate::version::Version;
use ranking::plainest_first;
pub use similar::similar_names;
use trace::Trace;

/// More causes than this are the echo of the first ones. What the world itself asks for is not counted: whoever has a
/// line to mend wants to see all of them at once.
const MAX_CAUSES: usize = 8;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// The world itself.
    World,
    /// A package, by name and version.
    Package(Box<str>, Version),
}

/// One demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub by: Asker,
    /// For what.
    pub dependency: Dependency,
    /// Not asked for: it comes by its own `install_if`, because the other is there.
    pub triggers: bool,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The version asked for breaks the grammar of versions.
    BadVersion,
    /// No repository has anything of that name.
    NoSuchName {
        /// Names that are nearly the same.
        similar: Vec<Box<str>>,
        /// Packages with a command of that name.
        command_of: Vec<Box<str>>,
    },
    /// The name is there, but not in a version asked for.
    NoSuchVersion {
        /// What there is, as `name-version`.
        available: Vec<Box<str>>,
    },
    /// Several packages can stand for the name, and which one is for the user to say.
    ChooseOne {
        /// The packages to choose from.
        providers: Vec<Box<str>>,
    },
    /// Another demand excludes it.
    Excluded {
        /// What it comes to that is excluded, as `name-version`.
        package: Box<str>,
        /// The chain of the other demand.
        by: Vec<Ask>,
    },
    /// Two packages provide one name, and only one of them may.
    SameName {
        /// The name.
        name: Box<str>,
        /// The package that cannot be there, as `name-version`.
        package: Box<str>,
        /// The package that is chosen, as `name-version`.
        other: Box<str>,
        /// The chain that brings the other one.
        by: Vec<Ask>,
    },
    /// It is only in tagged repositories, and the demand is not pinned to them.
    OnlyTagged {
        /// The package, as `name-version`.
        package: Box<str>,
        /// The tags it could be pinned to.
        tags: Vec<Box<str>>,
    },
    /// No repository has the tag.
    NoSuchTag {
        /// The tags there are.
        tags: Vec<Box<str>>,
    },
    /// It is built for another architecture.
    WrongArchitecture {
        /// The package, as `name-version`.
        package: Box<str>,
        /// What it is built for.
        arch: Box<str>,
    },
    /// The index says something of it that hoopy has to know, and does not.
    UnknownField {
        /// The package, as `name-version`.
        package: Box<str>,
        /// The letter of the field.
        field: char,
    },
    /// A package pins a dependency to a tag, which only the world may do.
    MisplacedTag {
        /// The package, as `name-version`.
        package: Box<str>,
        /// What it pins.
        dependency: Dependency,
    },
    /// A package provides one name in more than one way, and so excludes itself.
    ProvidedTwice {
        /// The name.
        name: Box<str>,
        /// The package, as `name-version`.
        package: Box<str>,
    },
    /// The search took choices that do not fit together; naming one more package in the world settles most such.
    NotFound {
        /// The package that could not be had, as `name-version`.
        package: Box<str>,
    },
}

impl Problem {
    /// The chain of the demand that is in the way, where one is.
    pub fn by(&self) -> &[Ask] {
        match self {
            Self::Excluded { by, .. } | Self::SameName { by, .. } => by,
            Self::BadVersion
            | Self::NoSuchName { .. }
            | Self::NoSuchVersion { .. }
            | Self::ChooseOne { .. }
            | Self::OnlyTagged { .. }
            | Self::NoSuchTag { .. }
            | Self::WrongArchitecture { .. }
            | Self::UnknownField { .. }
            | Self::MisplacedTag { .. }
            | Self::ProvidedTwice { .. }
            | Self::NotFound { .. } => &[],
        }
    }
}

/// One chain and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// From the world to the demand that cannot be met; never empty.
    pub chain: Vec<Ask>,
    /// Why it cannot.
    pub problem: Problem,
}

/// The world cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unsatisfiable {
    /// Why, the plainest first; never empty.
    pub causes: Vec<Cause>,
}

impl Unsatisfiable {
    /// The name in the world that the failure hangs on: where the plainest chain starts.
    pub fn asked(&self) -> Option<&str> {
        let ask = self.causes.first()?.chain.first()?;
        (ask.by == Asker::World).then_some(&*ask.dependency.name)
    }
}

/// Explains why a search failed.
pub(super) fn explain(search: &Search<'_, Universe<'_>, History>, fault: &Fault<'_>) -> Unsatisfiable {
    let trace = Trace::new(search);
    let mut causes: Vec<Cause> = ranking::bounded(trace.impossible());
    // What does not fit in the end is an echo of what could not be met in the first place.
    if causes.is_empty() || !matches!(fault, Fault::Unmet { .. }) {
        let cause = trace.cause(fault);
        if causes.iter().all(|known| known.chain != cause.chain) {
            causes.push(cause);
        }
    }
    Unsatisfiable { causes: plainest_first(causes) }
}

/// Explains demands that refuse the world before anything is chosen, and what else is wrong with the world.
pub(super) fn impossible(
    universe: &Universe<'_>,
    world: &[Dependency],
    bad: &[BadWish<'_>],
) -> Unsatisfiable {
    let cause = |bad: &BadWish<'_>| match bad {
        BadWish::Version(wish) => by_itself(wish, Problem::BadVersion),
        BadWish::Tag(wish) => {
            by_itself(wish, Problem::NoSuchTag { tags: universe.tags.names().map(Box::from).collect() })
        }
        BadWish::Name(wish) => by_itself(wish, no_such_name(universe, &wish.name)),
    };
    let mut causes: Vec<Cause> = bad.iter().map(cause).collect();
    if bad.iter().all(|bad| matches!(bad, BadWish::Name(_))) {
        // Nothing else depends on names that no index mentions: the rest is refused or not as it is without them.
        let is_known = |wish: &&Dependency| universe.find(&wish.name).is_some();
        let rest: Vec<Dependency> = world.iter().filter(is_known).cloned().collect();
        causes.extend(super::solve(universe, &rest).err().into_iter().flat_map(|why| why.causes));
    }
    Unsatisfiable { causes: plainest_first(causes) }
}

fn by_itself(demand: &Dependency, problem: Problem) -> Cause {
    Cause { chain: vec![Ask { by: Asker::World, dependency: demand.clone(), triggers: false }], problem }
}

fn no_such_name(universe: &Universe<'_>, name: &str) -> Problem {
    Problem::NoSuchName {
        similar: similar::similar(universe, name),
        command_of: label::command_of(universe, name),
    }
}
