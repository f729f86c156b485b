//! Why a world cannot be had, as short chains from what was asked to what is in the way.

mod display;
mod similar;

use super::history::{Fault, History};
use super::search::Search;
use super::universe::Universe;
use super::world::BadWish;
use crate::dependency::Dependency;
use crate::version::Version;
pub use similar::similar_names;

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
pub(super) fn explain<'a>(search: &Search<'_, Universe<'a>, History>, fault: &Fault<'_>) -> Unsatisfiable {
    let universe = search.supply;
    let label =
        |package: u32| universe.record(package).map_or_else(Box::default, |record| record.name.clone());
    let package = match fault {
        Fault::Nothing { name } => universe.name_text(*name).into(),
        Fault::Out { offer, .. } | Fault::NotCleared { offer, .. } => label(offer.package),
        Fault::Taken { later: Some(offer), .. } => label(offer.package),
        Fault::Taken { name, later: None, .. } => universe.name_text(*name).into(),
        Fault::Unmet { package, .. } => label(*package),
    };
    let world = search.world.first().map(|wish| wish.dependency);
    Unsatisfiable {
        causes: world.map(|first| by_itself(first, Problem::NotFound { package })).into_iter().collect(),
    }
}

/// Explains demands that refuse the world before anything is chosen.
pub(super) fn impossible(universe: &Universe<'_>, bad: &[BadWish<'_>]) -> Unsatisfiable {
    let cause = |bad: &BadWish<'_>| match bad {
        BadWish::Version(wish) => by_itself(wish, Problem::BadVersion),
        BadWish::Tag(wish) => {
            by_itself(wish, Problem::NoSuchTag { tags: universe.tags.names().map(Box::from).collect() })
        }
        BadWish::Name(wish) => {
            let similar = similar::similar(universe, &wish.name);
            by_itself(wish, Problem::NoSuchName { similar, command_of: Vec::new() })
        }
    };
    Unsatisfiable { causes: bad.iter().map(cause).collect() }
}

fn by_itself(demand: &Dependency, problem: Problem) -> Cause {
    Cause { chain: vec![Ask { by: Asker::World, dependency: demand.clone(), triggers: false }], problem }
}
