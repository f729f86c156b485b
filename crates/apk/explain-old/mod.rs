//! Why a world cannot be had, as short chains from what was asked to what is in the way.

mod display;
mod reason;
mod similar;
mod trace;

use crate::dependency::Dependency;
use crate::version::Version;

use super::search::{Failure, Search};
use super::universe::Dep;
pub use similar::similar_names;
use trace::Trace;

/// More causes than this are the echo of the first ones.
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

/// Explains the failures of a finished search.
pub(super) fn explain(search: &Search<'_, '_>, world: &[(Dep<'_>, u64)]) -> Unsatisfiable {
    let trace = Trace::new(search, world);
    let mut causes: Vec<Cause> = trace.impossible().take(MAX_CAUSES).collect();
    for failure in &search.failures {
        let echo = matches!(failure, Failure::Unmet(..)) && !causes.is_empty();
        if causes.len() < MAX_CAUSES && !echo {
            let cause = trace.cause(failure);
            if causes.iter().all(|known| known.chain != cause.chain) {
                causes.push(cause);
            }
        }
    }
    let plain = |cause: &Cause| !matches!(cause.problem, Problem::NotFound { .. });
    if causes.iter().any(plain) {
        causes.retain(plain);
    }
    drop_echoes(&mut causes);
    causes.sort_by_key(|cause| (rank(&cause.problem), cause.chain.len()));
    keep_shortest(&mut causes);
    Unsatisfiable { causes }
}

/// Drops what is excluded by a demand that cannot be met itself. Two that exclude each other both stay.
fn drop_echoes(causes: &mut Vec<Cause>) {
    let excluded = |cause: &Cause| matches!(cause.problem, Problem::Excluded { .. });
    let roots: Vec<Vec<Ask>> =
        causes.iter().filter(|cause| !excluded(cause)).map(|cause| cause.chain.clone()).collect();
    causes.retain(|cause| !matches!(&cause.problem, Problem::Excluded { by, .. } if roots.contains(by)));
}

/// Many roads may lead to one problem; the shortest tells it.
fn keep_shortest(causes: &mut Vec<Cause>) {
    let mut told: Vec<Problem> = Vec::new();
    causes.retain(|cause| {
        let new = !told.contains(&cause.problem);
        if new {
            told.push(cause.problem.clone());
        }
        new
    });
}

/// What is plain to see comes first.
fn rank(problem: &Problem) -> u8 {
    match problem {
        Problem::BadVersion | Problem::NoSuchTag { .. } | Problem::NoSuchName { .. } => 0,
        Problem::NoSuchVersion { .. } | Problem::WrongArchitecture { .. } | Problem::OnlyTagged { .. } => 1,
        Problem::ChooseOne { .. } => 2,
        Problem::Excluded { .. } | Problem::SameName { .. } => 3,
        Problem::NotFound { .. } => 4,
    }
}

/// Explains that a demand is pinned to a tag that no repository has.
pub(super) fn unknown_tag(tags: &[(&str, u64)], demand: &Dependency) -> Cause {
    let tags = tags.iter().map(|(tag, _)| Box::from(*tag)).collect();
    by_itself(demand, Problem::NoSuchTag { tags })
}

/// Explains that a demand names a version which is none.
pub(super) fn bad_version(demand: &Dependency) -> Cause {
    by_itself(demand, Problem::BadVersion)
}

fn by_itself(demand: &Dependency, problem: Problem) -> Cause {
    Cause { chain: vec![Ask { by: Asker::World, dependency: demand.clone(), triggers: false }], problem }
}
