//! `hoopy tree`: what each line of `packages` brings, and what that brings.

use std::collections::BTreeSet;

use hoopy_lock::Role;
use serde::Serialize;

use super::graph::{Edge, Graph, Reason};

/// A line of `packages` at the top of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// What it asks for, as written.
    pub text: String,
    /// The line.
    pub line: Option<usize>,
    /// The members that it brings of itself.
    pub members: Vec<usize>,
    /// How many packages it brings in all.
    pub packages: usize,
    /// Their bytes when installed.
    pub installed_size: u64,
}

/// One package in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Whose place among the members it is.
    pub member: usize,
    /// From the top down to it: whether it is the last of its siblings at each level. Empty at the top.
    pub last: Vec<bool>,
    /// The dependency it meets where that has another name, else nothing.
    pub dependency: Option<String>,
    /// By which `install_if` it is there, else empty.
    pub install_if: Vec<String>,
    /// What it brings was shown before.
    pub repeated: bool,
    /// What it brings is not shown, being too deep.
    pub cut: bool,
}

/// The tops of the tree, in the order of `packages`.
pub fn headings(graph: &Graph<'_>) -> Vec<Heading> {
    let heading = |root: &super::Root<'_>| {
        let reached = graph.reach(&root.to);
        Heading {
            text: root.text.to_owned(),
            line: root.line,
            members: root.to.clone(),
            packages: reached.len(),
            installed_size: reached.iter().map(|m| graph.record(*m).installed_size).sum(),
        }
    };
    graph.roots.iter().map(heading).collect()
}

/// The tree below one member, down to `depth` levels. What is in `shown` is not unfolded again.
pub fn nodes(graph: &Graph<'_>, member: usize, depth: usize, shown: &mut BTreeSet<usize>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let top = Node {
        member,
        last: Vec::new(),
        dependency: None,
        install_if: Vec::new(),
        repeated: false,
        cut: false,
    };
    // A stack of its own: an index may hold a chain longer than any thread's.
    let mut stack = vec![top];
    while let Some(mut node) = stack.pop() {
        let below = below(graph, node.member);
        node.cut = !below.is_empty() && node.last.len() >= depth;
        if !node.cut && !below.is_empty() {
            node.repeated = !shown.insert(node.member);
        }
        if !node.cut && !node.repeated {
            let count = below.len();
            let child = |(place, edge): (usize, &Edge<'_>)| child(graph, &node, place + 1 == count, edge);
            stack.extend(below.into_iter().enumerate().rev().map(child));
        }
        nodes.push(node);
    }
    nodes
}

fn child(graph: &Graph<'_>, parent: &Node, last: bool, edge: &Edge<'_>) -> Node {
    let record = graph.record(edge.to);
    let by_install_if = edge.reason == Reason::InstallIf;
    let other = !by_install_if && edge.dependency.name != record.name;
    Node {
        member: edge.to,
        last: parent.last.iter().copied().chain([last]).collect(),
        dependency: other.then(|| edge.dependency.name.to_string()),
        install_if: record.install_if.iter().filter(|_| by_install_if).map(ToString::to_string).collect(),
        repeated: false,
        cut: false,
    }
}

/// What a member brings, each once, by name. What comes by `install_if` hangs below one package alone: the one that
/// it names in a certain version, which is the one it was split from, else the first.
fn below<'g, 's>(graph: &'g Graph<'s>, member: usize) -> Vec<&'g Edge<'s>> {
    let hangs_here = |edge: &&Edge<'_>| {
        let named = &graph.record(edge.to).install_if;
        let host = named.iter().find(|d| d.constraint.is_some()).or(named.first());
        edge.reason == Reason::Depends || host.is_some_and(|host| host == edge.dependency)
    };
    let Some(edges) = graph.edges.get(member) else { return Vec::new() };
    let mut below: Vec<&Edge<'_>> = edges.iter().filter(hangs_here).collect();
    below.sort_by(|a, b| graph.record(a.to).name.cmp(&graph.record(b.to).name).then(a.reason.cmp(&b.reason)));
    below.dedup_by_key(|edge| edge.to);
    below
}

/// The whole graph as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeData {
    /// What `packages` asks for.
    pub world: Vec<RequestedLine>,
    /// The packages.
    pub packages: Vec<PackageData>,
}

/// A line of `packages`, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestedLine {
    /// What it asks for, as written.
    pub asked: String,
    /// The line.
    pub line: Option<usize>,
    /// The packages that meet it.
    pub packages: Vec<String>,
}

/// A package with what it brings, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackageData {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The repository it comes from.
    pub repository: String,
    /// What it is for.
    pub role: Role,
    /// Bytes of the package file.
    pub size: u64,
    /// Bytes when installed.
    pub installed_size: u64,
    /// What it brings.
    pub brings: Vec<DependencyData>,
}

/// A package that another brings, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DependencyData {
    /// The package.
    pub name: String,
    /// The dependency that it meets; of its own `install_if` where it comes by that.
    pub dependency: String,
    /// Whether it comes by its `install_if`.
    #[serde(rename = "install-if")]
    pub install_if: bool,
}

/// The graph as data.
pub fn dump(graph: &Graph<'_>) -> TreeData {
    let name = |member: usize| graph.record(member).name.to_string();
    let brought = |edge: &Edge<'_>| DependencyData {
        name: name(edge.to),
        dependency: edge.dependency.to_string(),
        install_if: edge.reason == Reason::InstallIf,
    };
    let packages = graph.set.members.iter().zip(&graph.edges).map(|(member, edges)| PackageData {
        name: member.record.name.to_string(),
        version: member.record.version.to_string(),
        repository: member.repository.clone(),
        role: member.role,
        size: member.record.size,
        installed_size: member.record.installed_size,
        brings: edges.iter().map(brought).collect(),
    });
    let world = graph.roots.iter().map(|root| RequestedLine {
        asked: root.text.to_owned(),
        line: root.line,
        packages: root.to.iter().map(|m| name(*m)).collect(),
    });
    TreeData { world: world.collect(), packages: packages.collect() }
}
