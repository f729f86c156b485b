//! `hoopy why`: what brings a package, a chain for every line of `packages` that does.

use std::collections::VecDeque;

use hoopy_apk::resolve::similar_names;
use hoopy_lock::Role;
use serde::Serialize;

use super::QueryError;
use super::graph::{Edge, Graph, Reason, Root};
use super::set::Set;
use crate::context::Context;
use crate::target::Target;

/// A package and what brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The repository it comes from.
    pub repository: String,
    /// Bytes when installed.
    pub installed_size: u64,
    /// What it is for; only a package for the root has chains.
    pub role: Role,
    /// The chains, in the order of `packages`.
    pub chains: Vec<Chain>,
}

/// The shortest way from one line of `packages` to a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// `packages`, or the lock where `packages` has no such line any more.
    pub file: String,
    /// The line of `packages`.
    pub line: Option<usize>,
    /// What it asks for, as written.
    pub asked: String,
    /// The packages on the way, the first being what the line brings of itself.
    pub steps: Vec<Step>,
}

/// One package on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// The package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The dependency that it meets: of the line for the first, of the package before for the others.
    pub dependency: String,
    /// The whole `install_if` by which it comes, where no dependency brings it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub install_if: Vec<String>,
}

/// What brings the package `name`, or those that provide it.
///
/// # Errors
/// [`QueryError::NotLocked`] where it is not in the system; others as in [`Set::of`].
pub fn why(target: &Target, name: &str, context: Context<'_>) -> Result<Vec<Found>, QueryError> {
    let system = &target.system;
    let set = Set::of(target, context)?;
    let graph = Graph::new(&set, &system.world);
    let found = graph.named(name);
    if found.is_empty() {
        let names = set.members.iter().map(|m| &*m.record.name);
        return Err(QueryError::NotLocked {
            name: name.to_owned(),
            lock: set.lock.clone(),
            held: set.holder(name),
            similar: similar_names(names, name),
        });
    }
    let file = system.path("packages").display().to_string();
    Ok(found.into_iter().map(|member| Ways::to(&graph, member).found(&file)).collect())
}

/// The ways to one member.
struct Ways<'g, 's> {
    graph: &'g Graph<'s>,
    member: usize,
    /// The edges to each member, with where they come from.
    into: Vec<Vec<(usize, &'g Edge<'s>)>>,
}

/// For each member the steps to the one in question, and the first of them; `None` where no way leads.
type Next<'g, 's> = Vec<Option<(usize, Option<&'g Edge<'s>>)>>;

impl<'g, 's> Ways<'g, 's> {
    fn to(graph: &'g Graph<'s>, member: usize) -> Self {
        let mut into: Vec<Vec<(usize, &Edge<'s>)>> = vec![Vec::new(); graph.edges.len()];
        let all = graph.edges.iter().enumerate().flat_map(|(from, es)| es.iter().map(move |e| (from, e)));
        all.for_each(|(from, edge)| into[edge.to].push((from, edge)));
        // Of two ways of one length the one by dependencies tells more.
        into.iter_mut().for_each(|edges| edges.sort_by_key(|(_, edge)| edge.reason));
        Self { graph, member, into }
    }

    fn found(&self, file: &str) -> Found {
        let member = self.graph.member(self.member);
        Found {
            name: member.record.name.to_string(),
            version: member.record.version.to_string(),
            repository: member.repository.clone(),
            installed_size: member.record.installed_size,
            role: member.role,
            chains: self.chains(file),
        }
    }

    /// The chains of the lines that bring the member alone. Where none does, lines bring it together (by an
    /// `install_if`), and each of them has a part in it.
    fn chains(&self, file: &str) -> Vec<Chain> {
        let roots = &self.graph.roots;
        let alone = |root: &Root<'s>| {
            let reached = self.graph.reach(&root.to);
            let there = reached.contains(&self.member);
            there.then(|| self.chain(root, file, &self.next(|place| reached.contains(&place)))).flatten()
        };
        let alone: Vec<Chain> = roots.iter().filter_map(alone).collect();
        if !alone.is_empty() {
            return alone;
        }
        let next = self.next(|_| true);
        roots.iter().filter_map(|root| self.chain(root, file, &next)).collect()
    }

    /// The shortest ways over members that are `allowed`.
    fn next(&self, allowed: impl Fn(usize) -> bool) -> Next<'g, 's> {
        let mut next: Next<'g, 's> = vec![None; self.into.len()];
        next[self.member] = Some((0, None));
        let mut queue = VecDeque::from([(self.member, 0)]);
        while let Some((to, steps)) = queue.pop_front() {
            for (from, edge) in &self.into[to] {
                if next[*from].is_none() && allowed(*from) {
                    next[*from] = Some((steps + 1, Some(*edge)));
                    queue.push_back((*from, steps + 1));
                }
            }
        }
        next
    }

    fn chain(&self, root: &Root<'s>, file: &str, next: &Next<'g, 's>) -> Option<Chain> {
        let steps_from = |place: &usize| next[*place].map(|(steps, _)| (steps, *place));
        let (_, start) = root.to.iter().filter_map(steps_from).min()?;
        let mut steps = vec![self.step(start, root.dependency.to_string(), Reason::Depends)];
        let mut at = start;
        while let Some((_, Some(edge))) = next[at] {
            steps.push(self.step(edge.to, edge.dependency.to_string(), edge.reason));
            at = edge.to;
        }
        let file = match root.line {
            Some(_) => file.to_owned(),
            None => self.graph.set.lock.display().to_string(),
        };
        Some(Chain { file, line: root.line, asked: root.text.to_owned(), steps })
    }

    fn step(&self, member: usize, dependency: String, reason: Reason) -> Step {
        let record = self.graph.record(member);
        let whole = record.install_if.iter().filter(|_| reason == Reason::InstallIf);
        Step {
            name: record.name.to_string(),
            version: record.version.to_string(),
            dependency,
            install_if: whole.map(ToString::to_string).collect(),
        }
    }
}
