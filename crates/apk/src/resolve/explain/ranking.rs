//! Which causes are worth saying, and in which order.

use super::{Ask, Cause, MAX_CAUSES, Problem};

/// Sorts causes, and drops those that say nothing new.
pub(super) fn plainest_first(mut causes: Vec<Cause>) -> Vec<Cause> {
    let is_plain = |cause: &Cause| !matches!(cause.problem, Problem::NotFound { .. });
    if causes.iter().any(is_plain) {
        causes.retain(is_plain);
    }
    drop_echoes(&mut causes);
    causes.sort_by_key(|cause| (rank(&cause.problem), cause.chain.len()));
    keep_shortest(&mut causes);
    bounded(causes.into_iter())
}

/// All that the world itself asks for, and as many of the others as are worth saying.
pub(super) fn bounded(causes: impl Iterator<Item = Cause>) -> Vec<Cause> {
    let mut others = 0;
    let is_told = |cause: &Cause| {
        others += usize::from(cause.chain.len() > 1);
        cause.chain.len() == 1 || others <= MAX_CAUSES
    };
    causes.filter(is_told).collect()
}

/// Drops what is excluded by a demand that cannot be met itself. Two that exclude each other both stay.
fn drop_echoes(causes: &mut Vec<Cause>) {
    let is_excluded = |cause: &Cause| matches!(cause.problem, Problem::Excluded { .. });
    let roots: Vec<Vec<Ask>> =
        causes.iter().filter(|cause| !is_excluded(cause)).map(|cause| cause.chain.clone()).collect();
    causes.retain(|cause| !matches!(&cause.problem, Problem::Excluded { by, .. } if roots.contains(by)));
}

/// Many roads may lead to one problem; the shortest tells it.
fn keep_shortest(causes: &mut Vec<Cause>) {
    let mut told: Vec<Cause> = Vec::new();
    causes.retain(|cause| {
        let is_new = !told.iter().any(|known| known.tells_as_much_as(cause));
        if is_new {
            told.push(cause.clone());
        }
        is_new
    });
}

/// Whether a problem does not say itself which name it is about.
fn is_of_one_name(problem: &Problem) -> bool {
    matches!(problem, Problem::NoSuchName { .. } | Problem::BadVersion | Problem::NoSuchTag { .. })
}

/// What is plain to see comes first.
fn rank(problem: &Problem) -> u8 {
    match problem {
        Problem::BadVersion | Problem::NoSuchTag { .. } | Problem::NoSuchName { .. } => 0,
        Problem::NoSuchVersion { .. }
        | Problem::WrongArchitecture { .. }
        | Problem::UnknownField { .. }
        | Problem::MisplacedTag { .. }
        | Problem::ProvidedTwice { .. }
        | Problem::OnlyTagged { .. } => 1,
        Problem::ChooseOne { .. } => 2,
        Problem::Excluded { .. } | Problem::SameName { .. } => 3,
        Problem::NotFound { .. } => 4,
    }
}

impl Cause {
    /// Whether another cause is the same problem. Two names may be nowhere to be found alike, and are two problems; so
    /// are two wrong versions, and two tags.
    fn tells_as_much_as(&self, other: &Self) -> bool {
        let name = |cause: &Self| cause.chain.last().map(|ask| ask.dependency.name.clone());
        let is_same_name = || name(self) == name(other);
        self.problem == other.problem && (!is_of_one_name(&self.problem) || is_same_name())
    }
}
