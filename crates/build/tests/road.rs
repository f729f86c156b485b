//! Data flows one way: no module uses one that comes after it on the road.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of the road.
const ROAD: [&str; 19] = [
    "config",
    "fetch",
    "lock",
    "query",
    "programs",
    "layer",
    "tree",
    "stack",
    "provenance",
    "segment",
    "image",
    "inspect",
    "diff",
    "check",
    "ship",
    "drift",
    "runner",
    "road",
    "reproduce",
];

/// What stands beside the road, for every module to use.
const SERVICES: [&str; 12] = [
    "arch", "beneath", "digest", "glob", "init", "markup", "parallel", "report", "sandbox", "shell", "store",
    "watch",
];

/// Words that the whole road speaks, wherever they are defined.
const WORDS: [&str; 2] = ["layer::{BadPath, EntryPath}", "layer::EntryPath"];
const CODEC: &str = "segment::codec::";

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { sources(&p) } else { vec![p] }).collect()
}

fn rank(module: &str) -> Option<usize> {
    ROAD.iter().position(|m| *m == module)
}

#[test]
fn no_module_uses_one_that_comes_after_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let module = inside.split('/').next().unwrap().trim_end_matches(".rs");
        if SERVICES.contains(&module) || !inside.ends_with(".rs") {
            continue;
        }
        let Some(own) = rank(module) else {
            assert_eq!(module, "lib", "{inside}: name it in ROAD or SERVICES");
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for used in code.match_indices("crate::").map(|(at, mark)| &code[at + mark.len()..]) {
            let name = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let a_word = WORDS.iter().any(|word| used.starts_with(word)) || used.starts_with(CODEC);
            if !a_word && rank(name).is_some_and(|rank| rank > own) {
                wrong.push(format!("{inside} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
