//! Who needs whom among the packages of a [`Set`], and which line of `packages` asks for whom.
//!
//! An edge goes to *every* package of the set that meets a dependency, since each of them would do; only where a
//! package of that very name is there is it the one meant.

use std::collections::{BTreeSet, HashMap};

use hoopy_apk::{Dependency, Record};
use hoopy_lock::Role;

use super::set::{Member, Set};
use crate::config::World;

/// Why one package brings another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It depends on it.
    Depends,
    /// The other one's `install_if` names it, and all else that it names is there too.
    InstallIf,
}

/// One package brings another.
#[derive(Debug, Clone)]
pub struct Edge<'s> {
    /// The one brought, by its place among the members.
    pub to: usize,
    /// Why.
    pub reason: Reason,
    /// The dependency that it meets, or of its `install_if` the one that is met.
    pub dependency: &'s Dependency,
}

/// A line of `packages`, with what it brings of itself.
#[derive(Debug, Clone)]
pub struct Root<'s> {
    /// What it asks for, as written.
    pub text: &'s str,
    /// The same, understood.
    pub dependency: &'s Dependency,
    /// The line of `packages`; none where the lock asks for what `packages` does not.
    pub line: Option<usize>,
    /// The packages that meet it.
    pub to: Vec<usize>,
}

/// The packages of a set and what brings them.
#[derive(Debug)]
pub struct Graph<'s> {
    /// The set.
    pub set: &'s Set,
    /// What `packages` asks for, in its order; without what it excludes.
    pub roots: Vec<Root<'s>>,
    /// What each member brings, dependencies before what comes by `install_if`.
    pub edges: Vec<Vec<Edge<'s>>>,
    providers: HashMap<&'s str, Vec<usize>>,
}

impl<'s> Graph<'s> {
    /// The graph of `set`; `world` tells the lines.
    pub fn new(set: &'s Set, world: &World) -> Self {
        let mut providers: HashMap<&str, Vec<usize>> = HashMap::new();
        // The stub's package lends a file, and is not part of the system.
        let root = |(_, m): &(usize, &Member)| m.role == Role::Root;
        for (place, member) in set.members.iter().enumerate().filter(root) {
            let names: BTreeSet<&str> = member.record.names().collect();
            names.into_iter().for_each(|name| providers.entry(name).or_default().push(place));
        }
        let mut graph =
            Self { set, roots: Vec::new(), edges: vec![Vec::new(); set.members.len()], providers };
        graph.roots = graph.asked(world);
        for (place, member) in set.members.iter().enumerate().filter(root) {
            graph.depend(place, &member.record);
            graph.trigger(place, &member.record);
        }
        graph.edges.iter_mut().for_each(|edges| edges.sort_by_key(|edge| edge.reason));
        graph
    }

    /// The members of this name, or that provide it.
    pub fn named(&self, name: &str) -> Vec<usize> {
        let own = |(_, m): &(usize, &Member)| &*m.record.name == name;
        let own: Vec<usize> = self.set.members.iter().enumerate().filter(own).map(|(i, _)| i).collect();
        if own.is_empty() { self.providers.get(name).cloned().unwrap_or_default() } else { own }
    }

    /// A member by its place.
    pub fn member(&self, place: usize) -> &'s Member {
        // Places come from this graph alone, whose members stay as they are.
        &self.set.members[place]
    }

    /// The record of a member.
    pub fn record(&self, place: usize) -> &'s Record {
        &self.member(place).record
    }

    /// All that `from` bring by themselves, and they too: what comes by `install_if` only where all that it names is
    /// among them.
    pub fn reach(&self, from: &[usize]) -> BTreeSet<usize> {
        let mut reached: BTreeSet<usize> = from.iter().copied().collect();
        let mut next = from.to_vec();
        while let Some(member) = next.pop() {
            for edge in self.edges.get(member).into_iter().flatten() {
                // Looked at again from each that the `install_if` names, the last of which finds all of them here.
                let comes = edge.reason == Reason::Depends || self.is_triggered(edge.to, &reached);
                if comes && reached.insert(edge.to) {
                    next.push(edge.to);
                }
            }
        }
        reached
    }

    fn is_triggered(&self, member: usize, by: &BTreeSet<usize>) -> bool {
        let mut named = self.record(member).install_if.iter().filter(|d| !d.conflict);
        named.all(|d| self.meeting(d).iter().any(|there| by.contains(there)))
    }

    fn asked(&self, world: &World) -> Vec<Root<'s>> {
        let line = |text: &str| world.0.iter().find(|a| a.text == text).map(|a| a.line);
        let wanted = self.set.world.iter().filter(|(_, d)| !d.conflict);
        let root = |(text, dependency): &'s (String, Dependency)| Root {
            text,
            dependency,
            line: line(text),
            to: self.meeting(dependency),
        };
        let mut roots: Vec<Root<'s>> = wanted.map(root).collect();
        roots.sort_by_key(|root| (root.line.unwrap_or(usize::MAX), root.text));
        roots
    }

    /// The members that meet a dependency.
    fn meeting(&self, dependency: &Dependency) -> Vec<usize> {
        let all = self.providers.get(&*dependency.name).map(Vec::as_slice).unwrap_or_default();
        let meets = |place: &&usize| self.record(**place).offers(dependency);
        let fit: Vec<usize> = all.iter().filter(meets).copied().collect();
        match fit.iter().find(|place| self.record(**place).name == dependency.name) {
            Some(own) => vec![*own],
            None => fit,
        }
    }

    fn depend(&mut self, place: usize, record: &'s Record) {
        for dependency in record.depends.iter().filter(|d| !d.conflict) {
            for to in self.meeting(dependency).into_iter().filter(|to| *to != place) {
                self.edge(place, Edge { to, reason: Reason::Depends, dependency });
            }
        }
    }

    /// What is named by the `install_if` of `place` brings it, if all of it is there.
    fn trigger(&mut self, place: usize, record: &'s Record) {
        let named: Vec<(&'s Dependency, Vec<usize>)> =
            record.install_if.iter().filter(|d| !d.conflict).map(|d| (d, self.meeting(d))).collect();
        if named.iter().any(|(_, there)| there.is_empty()) {
            return;
        }
        for (dependency, there) in named {
            for from in there.into_iter().filter(|from| *from != place) {
                self.edge(from, Edge { to: place, reason: Reason::InstallIf, dependency });
            }
        }
    }

    fn edge(&mut self, from: usize, edge: Edge<'s>) {
        let known = self.edges[from].iter().any(|e| e.to == edge.to && e.reason == edge.reason);
        if !known {
            self.edges[from].push(edge);
        }
    }
}
