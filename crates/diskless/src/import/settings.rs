//! `hoopy.toml` and `packages` as texts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

use super::world::{PackageLine, Repositories};

/// The text in which the values of `hoopy.toml` are put.
const HEAD: &str = "# Made by `hoopy import`. Every key has a default; `hoopy schema` lists them all.\n";

/// What `hoopy.toml` says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The machine's name.
    pub name: String,
    /// The layout, where it is not the usual one.
    pub layout: Option<String>,
    /// The architecture.
    pub arch: String,
    /// Where packages come from.
    pub repositories: Repositories,
    /// Kernel arguments.
    pub cmdline: Option<String>,
    /// Paths that are meant to change on the machine.
    pub ignored: Vec<String>,
    /// The machine, as ssh(1) knows it.
    pub host: Option<String>,
    /// Owners of secrets that are encrypted; where there is one, or none but root's, `open` is written.
    pub secrets: Option<BTreeMap<String, String>>,
    /// Modes that git does not keep.
    pub modes: BTreeMap<String, u32>,
}

impl Settings {
    /// The text of `hoopy.toml`.
    pub fn text(&self) -> String {
        let mut document = DocumentMut::new();
        let mut set = |key: &str, item: Item| drop(document.insert(key, item));
        set("name", value(&self.name));
        if let Some(layout) = &self.layout {
            set("layout", value(layout));
        }
        set("arch", value(&self.arch));
        let Repositories { branch, mirror, repositories } = &self.repositories;
        if let Some(branch) = branch {
            set("branch", value(branch));
        }
        if let Some(mirror) = mirror {
            set("mirror", value(mirror));
        }
        if *repositories != ["main", "community"] {
            set("repositories", value(repositories.iter().collect::<Array>()));
        }
        if let Some(cmdline) = &self.cmdline {
            set("cmdline", value(cmdline));
        }
        if let Some(host) = &self.host {
            let mut deploy = Table::new();
            deploy.insert("host", value(host));
            set("deploy", Item::Table(deploy));
        }
        if !self.ignored.is_empty() {
            let mut drift = Table::new();
            drift.insert("ignore", value(self.ignored.iter().collect::<Array>()));
            set("drift", Item::Table(drift));
        }
        if let Some(owners) = &self.secrets {
            let mut secrets = Table::new();
            // As they were on the stick: the image holds them as they are.
            secrets.insert("open", value("build"));
            if !owners.is_empty() {
                let mut table = InlineTable::new();
                for (path, owner) in owners {
                    table.insert(path, owner.as_str().into());
                }
                secrets.insert("owners", value(table));
            }
            set("secrets", Item::Table(secrets));
        }
        if !self.modes.is_empty() {
            let mut modes = Table::new();
            for (path, mode) in &self.modes {
                modes.insert(path, value(format!("{mode:04o}")));
            }
            set("modes", Item::Table(modes));
        }
        format!("{HEAD}{document}")
    }
}

/// The text of `packages`.
pub fn packages(lines: &[PackageLine]) -> String {
    let mut text =
        "# One Alpine package a line, or a constraint. `hoopy lock` writes down the exact versions.\n"
            .to_owned();
    for PackageLine { text: package, comment } in lines {
        if let Some(comment) = comment {
            let _ = writeln!(text, "\n# {comment}");
        }
        let _ = writeln!(text, "{package}");
    }
    text
}

/// What a machine is called where its own name cannot name an image.
const DEFAULT_NAME: &str = "alpine";

/// The machine's name as images can have it.
pub fn name(found: Option<&str>) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = found.unwrap_or_default().trim().chars().filter(|c| fits(*c)).take(64).collect();
    let name = name.trim_start_matches(['-', '.']);
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name.to_owned() }
}
