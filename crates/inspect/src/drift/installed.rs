//! Packages that were added on the machine since it booted: `apk add nano`, for an afternoon. Their files are no drift to
//! bring home one by one; the line for `packages` is.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_apk::{Dependency, installed};

use crate::diff::Held;

/// Where apk notes what was asked for.
pub const WORLD: &str = "etc/apk/world";

/// Where apk notes what is installed: of Alpine until 3.22, and since.
pub const DATABASES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// What was added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedPackages {
    /// The lines for `packages`.
    pub lines: Vec<String>,
    /// The files of packages that the image does not have.
    paths: BTreeSet<Vec<u8>>,
}

impl AddedPackages {
    /// Compares the machine's `world` and database with the lines of `packages` and what the image has.
    pub fn of(world: &[u8], database: &[u8], own: &[String], image: Option<&BTreeMap<String, Held>>) -> Self {
        let is_plain =
            |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-@<>=~!:/".contains(&b));
        let is_new = |word: &&str| {
            is_plain(word) && word.parse::<Dependency>().is_ok() && own.iter().all(|line| line != word)
        };
        let lines =
            String::from_utf8_lossy(world).split_whitespace().filter(is_new).map(str::to_owned).collect();
        let all = installed::parse(&String::from_utf8_lossy(database)).unwrap_or_default();
        let has = |name: &str| image.is_some_and(|packages| packages.contains_key(name));
        let new = all.into_iter().filter(|package| !has(&package.record.name));
        let paths = new.flat_map(|package| package.dirs).flat_map(|dir| {
            let above = std::iter::once(dir.path.clone());
            let files: Vec<Vec<u8>> = dir
                .files
                .iter()
                .map(|file| [dir.path.as_slice(), b"/", file.name.as_slice()].concat())
                .collect();
            above.chain(files)
        });
        Self { lines, paths: if image.is_some() { paths.collect() } else { BTreeSet::new() } }
    }

    /// Whether the path came with one of them.
    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_on_the_machine_is_a_line_for_packages_and_its_files_are_none_of_ours() {
        let database = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:musl\nV:1.2.5-r23\nA:x86_64\nF:lib\nR:libc.so\n\nC:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAE=\nP:nano\nV:8.7-r0\nA:x86_64\nF:usr/bin\nR:nano\n\n";
        let held = Held { version: "1.2.5-r23".into(), digest: None };
        let image = BTreeMap::from([("musl".to_owned(), held)]);
        let own = ["musl".to_owned()];
        let found = AddedPackages::of(b"musl\nnano\n$(x) \"\n", database.as_bytes(), &own, Some(&image));
        assert!(found.has("usr/bin/nano") && !found.has("lib/libc.so"), "{found:?}");
        assert_eq!(found.lines, ["nano"], "words that a shell would read are none");
    }
}
