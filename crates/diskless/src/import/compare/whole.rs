//! What is seen once all paths were compared: what the machine had removed, owners, capabilities and links that lead nowhere.

use std::collections::BTreeSet;

use hoopy_base::count::counted;
use hoopy_store::layer::EntryPath;
use hoopy_store::tree::links;

use super::{Comparison, absolute};
use crate::import::capabilities;
use crate::import::draft::Part;
use crate::import::rules::{self, Rule};
use crate::overlay::NodeKind;

/// Links to places that are there only while a machine runs.
const AT_RUN_TIME: [&[u8]; 7] = [b"media", b"mnt", b"proc", b"run", b"dev", b"tmp", b"sys"];

/// As many paths are named in one line.
const SHOWN: usize = 5;

impl Comparison<'_, '_> {
    /// Says which files had capabilities.
    pub(super) fn capabilities(&mut self) {
        for (path, value) in &self.overlay.capabilities {
            let text = path.to_string();
            let taken = self.draft.files.contains_key(path) || self.package_entry(path).is_some();
            if taken && !capabilities::is_same(self.package_entry(path), value) {
                self.report.left(
                    format!("the capabilities of {text}"),
                    "git keeps none",
                    &capabilities::command(&text, value),
                );
            }
        }
    }

    /// Files of `etc` that packages brought to the machine, and that are not there any more.
    pub(super) fn removed(&mut self) {
        let Some(database) = &self.database else {
            self.report.look(
                "the source has no database of installed packages: what was removed on the machine is not known"
                    .to_owned(),
            );
            return;
        };
        let mut gone = Vec::new();
        for (path, entry, _) in self.packages.tree.iter() {
            let Ok(text) = std::str::from_utf8(path.as_bytes()) else { continue };
            let missing = !entry.is_dir() && database.has(path) && !self.overlay.nodes.contains_key(path);
            let read = !self.overlay.refused.iter().any(|refused| refused.path == text);
            if path.is_within(b"etc") && missing && read && rules::rule(text).0 == Rule::Take {
                gone.push(absolute(text));
            }
        }
        if !gone.is_empty() {
            self.report.took("removed", format!("{} of packages, in setup.sh", counted(gone.len(), "file")));
        }
        for path in gone {
            self.draft.line(Part::Removed, format!("rm -f {path}"));
        }
    }

    /// Says which files belonged to no account, and get one that a package makes.
    pub(super) fn owners_of_packages(&mut self) {
        let accounts = self.package_accounts;
        for (owner, paths) in &self.draft.owners {
            let Some((user, group)) = owner.split_once(':') else { continue };
            let user = user.parse().ok().and_then(|id| Some((id, accounts.user(id)?)));
            let group = group.parse().ok().and_then(|id| Some((id, accounts.group(id)?)));
            let names = [("user", user), ("group", group)];
            let names: Vec<String> = names
                .into_iter()
                .filter_map(|(what, found): (_, Option<(u32, _)>)| {
                    found.map(|(id, name)| format!("the {what} {id} is {name} of a package"))
                })
                .collect();
            if names.is_empty() {
                continue;
            }
            let mut shown: Vec<&str> = paths.iter().take(SHOWN).map(String::as_str).collect();
            if paths.len() > SHOWN {
                shown.push("and others");
            }
            self.report.look(format!(
                "{}: no account of the machine had {owner}, and in the image {}: see the owners in setup.sh",
                shown.join(", "),
                names.join(" and ")
            ));
        }
    }

    /// Says which links lead to nothing.
    pub(super) fn links(&mut self) {
        let links: Vec<(EntryPath, Vec<u8>)> = self
            .overlay
            .nodes
            .iter()
            .filter_map(|(path, node)| match &node.kind {
                NodeKind::Symlink(target) if !self.is_of_a_package(path, node) => {
                    Some((path.clone(), target.clone()))
                }
                _ => None,
            })
            .collect();
        let mut said = BTreeSet::new();
        for (path, target) in links {
            let taken = self.draft.links.contains_key(&path) || self.draft.links_of_setup.contains(&path);
            let Some(to) = links::join(&path, &target).filter(|_| taken) else { continue };
            let at_run_time = AT_RUN_TIME.iter().any(|dir| to.is_within(dir));
            let there = self.packages.tree.follow(&to).is_some()
                || self.draft.files.contains_key(&to)
                || self.draft.links.contains_key(&to)
                || self.draft.has_below(&to)
                || self.overlay.nodes.contains_key(&to);
            if !at_run_time && !there && said.insert(to.clone()) {
                self.report.look(format!(
                    "{path} leads to /{to}, which neither root/ nor a package has: a package may be missing from \
                     `packages`"
                ));
            }
        }
    }
}
