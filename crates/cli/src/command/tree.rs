//! `hoopy tree`.

use std::collections::BTreeSet;

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Graph, Heading, Node, Set};
use hoopy_lock::Role;

use crate::args::{Global, Tree};
use crate::error::{Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &Tree) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let set = Set::of(&target, resources.context(&Progress::new(global.quiet || own.json)))?;
    let graph = Graph::new(&set, &target.system.world);
    if own.json {
        print_json(&query::dump(&graph))?;
        return Ok(Exit::Success);
    }
    let packages = target.system.path("packages").display().to_string();
    let mut shown = BTreeSet::new();
    let mut out = String::new();
    for heading in query::headings(&graph) {
        out += &title(&heading, &packages, &set);
        for member in &heading.members {
            let nodes = query::nodes(&graph, *member, own.depth.unwrap_or(usize::MAX), &mut shown);
            out.extend(nodes.iter().map(|node| line(&graph, node)));
        }
        out.push('\n');
    }
    print(out + &total(&graph))?;
    Ok(Exit::Success)
}

/// `nas/packages:2: dropbear, 5 packages, 6.6 MB`.
fn title(heading: &Heading, packages: &str, set: &Set) -> String {
    let place = match heading.line {
        Some(line) => format!("{packages}:{line}"),
        None => set.lock.display().to_string(),
    };
    let count = match heading.packages {
        1 => "1 package".to_owned(),
        n => format!("{n} packages"),
    };
    format!("{place}: {}, {count}, {}\n", heading.text, size::show(heading.installed_size))
}

fn line(graph: &Graph<'_>, node: &Node) -> String {
    let mut out = String::new();
    if let [above @ .., last] = node.last.as_slice() {
        above.iter().for_each(|last| out += if *last { "    " } else { "│   " });
        out += if *last { "└── " } else { "├── " };
    }
    let record = graph.record(node.member);
    out += &format!("{} {} ({})", record.name, record.version, size::show(record.installed_size));
    if let Some(dependency) = &node.dependency {
        out += &format!(" {dependency}");
    }
    if !node.install_if.is_empty() {
        out += &format!(" installed automatically with {}", node.install_if.join(" "));
    }
    match (node.repeated, node.cut) {
        (true, _) => out + " (*)\n",
        (false, true) => out + " ...\n",
        (false, false) => out + "\n",
    }
}

/// Packages outside the trees, and the sum.
fn total(graph: &Graph<'_>) -> String {
    let roots: Vec<usize> = graph.roots.iter().flat_map(|root| root.to.clone()).collect();
    let reached = graph.reach(&roots);
    let mut out = String::new();
    let members = || graph.set.members.iter().enumerate();
    for (place, member) in members().filter(|(place, _)| !reached.contains(place)) {
        let record = graph.record(place);
        let why = match member.role {
            Role::Stub => "for the image's EFI stub, not installed",
            Role::Loader => "for the boot loader on the disk, not installed",
            Role::Root => "no longer needed by a line",
        };
        out += &format!("{} {} ({}) {why}\n", record.name, record.version, size::show(record.installed_size));
    }
    let installed = || members().filter(|(_, m)| m.role == Role::Root);
    let bytes = installed().map(|(_, m)| m.record.installed_size).sum();
    out + &format!("{} packages, {} installed\n", installed().count(), size::show(bytes))
}
