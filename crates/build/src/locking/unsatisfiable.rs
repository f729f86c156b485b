//! Packages that cannot be installed together, explained with the lines of `packages` and with suggestions.

use std::collections::HashSet;
use std::fmt;

use hoopy_apk::resolve::{Cause, Problem, Unsatisfiable};
use hoopy_apk::{Dependency, Op};
use hoopy_base::arch::Arch;
use hoopy_base::report::Observer;

use super::suggestions;
use crate::config::System;

/// No set of packages is what `packages` asks for.
#[derive(Debug, thiserror::Error)]
pub struct UnsatisfiableWorld {
    /// `packages`.
    pub file: String,
    /// Why.
    pub why: Unsatisfiable,
    /// For each cause, its lines, and after them what is nearest.
    told: Vec<Vec<String>>,
}

impl UnsatisfiableWorld {
    pub(super) fn new(system: &System, why: Unsatisfiable) -> Self {
        let file = system.path("packages").display().to_string();
        let told = why.causes.iter().map(|cause| tell(system, cause)).collect();
        Self { file, why, told }
    }

    /// Adds what other repositories of the mirror have of what is missing, so far as they can be asked.
    pub(super) fn look_elsewhere(mut self, system: &System, arch: Arch, observer: &dyn Observer) -> Self {
        let wanted: Vec<Option<Dependency>> = self.why.causes.iter().map(missing).collect();
        let found = suggestions::look(system, arch, wanted.iter().flatten(), observer);
        let causes = self.why.causes.iter_mut().zip(&mut self.told).zip(&wanted);
        for ((cause, lines), wanted) in causes {
            let near: Vec<&suggestions::Suggestion> =
                found.iter().filter(|n| Some(&n.wanted) == wanted.as_ref()).collect();
            if near.is_empty() {
                continue;
            }
            let to_be_had = near.iter().any(|near| !near.is_gone());
            if let Problem::NoSuchName { similar, command_of } = &mut cause.problem
                && to_be_had
            {
                // The very name is somewhere: others are beside the point.
                similar.clear();
                command_of.clear();
                *lines = tell(system, cause);
            }
            let asked_for = cause.chain.len() == 1;
            lines.extend(near.iter().flat_map(|near| near.lines(system, asked_for)));
        }
        advise_once(&mut self.told);
        self
    }
}

/// What to write in hoopy.toml is said after the last of what it helps, and not after each.
fn advise_once(told: &mut [Vec<String>]) {
    let mut advised = HashSet::new();
    for lines in told.iter_mut().rev() {
        let mut kept: Vec<String> = Vec::new();
        for line in lines.drain(..) {
            if !line.starts_with(suggestions::ADVICE) || advised.insert(line.clone()) {
                kept.push(line);
            } else if let Some(before) = kept.last_mut() {
                suggestions::LEADS_TO_ADVICE
                    .iter()
                    .for_each(|end| before.truncate(before.trim_end_matches(end).len()));
            }
        }
        *lines = kept;
    }
}

impl fmt::Display for UnsatisfiableWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no set of packages fits", self.file)?;
        self.told.iter().flatten().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// A cause with its lines of `packages`, and what could be written instead.
fn tell(system: &System, cause: &Cause) -> Vec<String> {
    let remedy = remedy(cause).map(|remedy| format!("  {remedy}"));
    cause.lines(&|demand| place(system, demand)).into_iter().chain(remedy).collect()
}

/// Where in `packages` a demand stands.
fn place(system: &System, demand: &Dependency) -> String {
    let file = system.path("packages").display().to_string();
    let asked = system.world.0.iter().find(|a| a.dependency == *demand);
    let line = asked.map(|a| a.line).or_else(|| system.world.line_of(&demand.name));
    line.map_or(file.clone(), |line| format!("{file}:{line}"))
}

/// What the user could write instead, where that is plain.
fn remedy(cause: &Cause) -> Option<String> {
    let demand = &cause.chain.last()?.dependency;
    match &cause.problem {
        Problem::NoSuchTag { tags } if tags.is_empty() => {
            let tag = demand.tag.as_ref()?;
            Some(format!(
                "\"@{tag} BRANCH/REPOSITORY\" among `repositories` in hoopy.toml gives one that tag"
            ))
        }
        // Alpine keeps one build of a version, so that one with its `-rN` is soon gone.
        Problem::NoSuchVersion { available } => {
            let (Op::Equal, version) = demand.constraint.as_ref()? else { return None };
            let (plain, _) = version.as_str().rsplit_once("-r")?;
            let build = format!("{}-{plain}-r", demand.name);
            let built_anew = available.iter().any(|a| a.starts_with(&build));
            built_anew.then(|| format!("{}~{plain} takes any build of it", demand.name))
        }
        _ => None,
    }
}

/// What no repository has, if that is the problem.
fn missing(cause: &Cause) -> Option<Dependency> {
    let lacks = matches!(cause.problem, Problem::NoSuchName { .. } | Problem::NoSuchVersion { .. });
    let demand = cause.chain.last().filter(|_| lacks)?;
    Some(Dependency { tag: None, ..demand.dependency.clone() }).filter(|d| !d.conflict)
}
