//! The house is as ARCHITECTURE.md draws it: crates import only what its table says, and within a crate no files
//! import each other in a circle.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that import each other because they are two halves of one idea, and why.
const ONE_IDEA: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The crates of ours that each crate's `[dependencies]` names.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let import = |dir: PathBuf| {
        let text = fs::read_to_string(dir.join("Cargo.toml")).ok()?;
        let section = text.split("[dependencies]").nth(1)?.split("\n[").next()?.to_owned();
        let ours = section.lines().filter_map(|line| line.strip_prefix("hoopy-")?.split(['.', ' ']).next());
        Some((dir.file_name()?.to_str()?.to_owned(), ours.map(str::to_owned).collect()))
    };
    crates.filter_map(import).collect()
}

/// The table "Who may import whom": a line `| crate | what it is | imports |` each.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## Who may import whom").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let imports = cells.nth(1)?.split(", ").filter(|name| *name != "nothing").map(str::to_owned);
        Some((name, imports.collect()))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn crates_import_what_the_table_says() {
    let (found, drawn) = (imports(), table());
    for (name, imports) in &found {
        assert_eq!(
            Some(imports),
            drawn.get(name),
            "ARCHITECTURE.md, \"Who may import whom\": crate `{name}`"
        );
    }
    let gone: Vec<_> = drawn.keys().filter(|name| !found.contains_key(*name)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names crates that are not there: {gone:?}");
}

/// Every file and directory of the repository, directories with a slash at the end.
fn everything(dir: &Path, at: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = format!("{at}/{}", entry.file_name().to_string_lossy());
        if !entry.file_type().unwrap().is_dir() {
            found.push(name);
        } else if !name.ends_with("/target") && !name.ends_with("/.git") {
            everything(&entry.path(), &name, found);
            found.push(name + "/");
        }
    }
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let mut found = Vec::new();
    everything(&root(), "", &mut found);
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    // A path may leave out its beginning, as `stack/fold.rs` does.
    let is_path = |span: &&str| {
        span.contains('/') && span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    let missing: BTreeSet<&str> = spans
        .filter(is_path)
        .filter(|span| !found.iter().any(|path| path.ends_with(&format!("/{span}"))))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}

/// A crate's files by their module's path; `a::b` is `a/b.rs` or `a/b/mod.rs`, and the crate's root is empty.
fn modules(dir: &Path, at: &str, found: &mut BTreeMap<String, String>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}::{name}") };
        if path.is_dir() {
            modules(&path, &below(&stem), found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && stem != "tests" {
            let name = if matches!(&*stem, "mod" | "lib" | "main") { at.to_owned() } else { below(&stem) };
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The modules that a text's paths below `crate::` and `super::` lead to.
fn used(own: &str, text: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let parent = |path: &str| path.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
    let mut found = BTreeSet::new();
    for (mark, base) in [("crate::", String::new()), ("super::", parent(own))] {
        for (at, _) in code.match_indices(mark) {
            let rest = &code[at + mark.len()..];
            if code[..at].ends_with("super::") || code[..at].ends_with('$') {
                continue;
            }
            let (mut base, mut rest) = (base.clone(), rest);
            while let Some(up) = rest.strip_prefix("super::") {
                (base, rest) = (parent(&base), up);
            }
            for path in leaves(rest) {
                let full = if base.is_empty() { path } else { format!("{base}::{path}") };
                // The longest module on the way; a name that a parent hands on counts as the parent's.
                let mut module = full;
                while !all.contains_key(&module) && !module.is_empty() {
                    module = parent(&module);
                }
                found.insert(module);
            }
        }
    }
    found.remove(own);
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(text: &str) -> Vec<String> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut path = String::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}').unwrap_or(inner.len());
            let each = |item: &str| {
                leaves(item.trim()).into_iter().map(|leaf| format!("{path}{leaf}")).collect::<Vec<_>>()
            };
            return inner[..end]
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .flat_map(each)
                .collect();
        }
        let end = word(rest);
        path.push_str(&rest[..end]);
        match rest[end..].strip_prefix("::") {
            Some(more) => (path, rest) = (format!("{path}::"), more),
            None => {
                return vec![
                    path.trim_end_matches("::self")
                        .trim_end_matches("self")
                        .trim_end_matches("::")
                        .to_owned(),
                ];
            }
        }
    }
}

/// Whether one is the other's parent: a parent names its children, and they use what it defines.
fn related(a: &str, b: &str) -> bool {
    let below =
        |a: &str, b: &str| a.is_empty() || b.strip_prefix(a).is_some_and(|rest| rest.starts_with("::"));
    below(a, b) || below(b, a)
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for name in imports().keys() {
        let mut all = BTreeMap::new();
        modules(&root().join("crates").join(name).join("src"), "", &mut all);
        let edges: BTreeMap<&String, BTreeSet<String>> =
            all.iter().map(|(own, text)| (own, used(own, text, &all))).collect();
        for (own, direct) in &edges {
            for next in direct.iter().filter(|next| !related(own, next)) {
                let back = edges.get(next).is_some_and(|others| others.contains(*own));
                let one_idea = ONE_IDEA.contains(&(&format!("{name}::{own}"), &format!("{name}::{next}")));
                if back && *own < next && !one_idea {
                    circles.push(format!("{name}: {own} and {next}"));
                }
            }
        }
    }
    assert!(circles.is_empty(), "files that import each other: {circles:#?}");
}
