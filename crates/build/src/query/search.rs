//! `hoopy search`: names, descriptions, commands and libraries that a pattern fits.

use std::collections::BTreeMap;

use hoopy_apk::Record;
use hoopy_base::glob::glob;
use hoopy_lock::Lock;
use serde::Serialize;

use super::shelf::Shelf;

/// A package that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Its name.
    pub name: String,
    /// The newest version.
    pub version: String,
    /// The repository that has it, with its tag where it has one.
    pub repository: String,
    /// What it says of itself.
    pub description: String,
    /// What it provides that fits: `cmd:ls`, `so:libz.so.1`.
    pub provides: Vec<String>,
    /// The locked version, where it is locked.
    pub locked: Option<String>,
}

/// How well a package fits, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The whole name.
    Name,
    /// The whole of a command or library, after its `cmd:` or `so:`.
    Provided,
    /// The beginning of the name.
    Beginning,
    /// Another part of the name.
    Part,
    /// Part of a command or library.
    PartProvided,
    /// Part of the description.
    Description,
}

/// The packages that fit `pattern`, the best first, each name once in its newest version. Case does not count. With `*`
/// (any letters) or `?` (one letter) in it the pattern is for the whole of a name, else for a part.
pub fn search(shelves: &[Shelf], pattern: &str, lock: Option<&Lock>) -> Vec<Hit> {
    let pattern = Pattern::new(pattern);
    let mut newest: BTreeMap<&str, (Fit, &Record, &Shelf)> = BTreeMap::new();
    for (shelf, record) in shelves.iter().flat_map(|s| s.records.iter().map(move |r| (s, r))) {
        let Some(fit) = pattern.fit(record) else { continue };
        let found = newest.entry(&record.name).or_insert((fit, record, shelf));
        if record.version > found.1.version {
            *found = (fit.min(found.0), record, shelf);
        }
    }
    let mut found: Vec<_> = newest.into_values().collect();
    // Stable: by name within one fit.
    found.sort_by_key(|(fit, ..)| *fit);
    let locked = |name: &str| lock?.packages.iter().find(|p| p.name == name).map(|p| p.version.clone());
    let hit = |(fit, record, shelf): (Fit, &Record, &Shelf)| Hit {
        name: record.name.to_string(),
        version: record.version.to_string(),
        repository: shelf.label(),
        description: record.description.to_string(),
        provides: if fit == Fit::Name { Vec::new() } else { pattern.provided(record) },
        locked: locked(&record.name),
    };
    found.into_iter().map(hit).collect()
}

/// What is looked for, in small letters.
struct Pattern {
    text: String,
    wild: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_lowercase(), wild: text.contains(['*', '?']) }
    }

    fn fit(&self, record: &Record) -> Option<Fit> {
        let name = record.name.to_lowercase();
        let provided = || record.provides.iter().map(|p| p.name.to_lowercase());
        if self.is(&name) {
            Some(Fit::Name)
        } else if provided().any(|p| self.is_provided(&p)) {
            Some(Fit::Provided)
        } else if self.wild {
            None
        } else if name.starts_with(&self.text) {
            Some(Fit::Beginning)
        } else if name.contains(&self.text) {
            Some(Fit::Part)
        } else if provided().any(|p| p.contains(&self.text)) {
            Some(Fit::PartProvided)
        } else {
            record.description.to_lowercase().contains(&self.text).then_some(Fit::Description)
        }
    }

    /// The provides that fit, as they are written.
    fn provided(&self, record: &Record) -> Vec<String> {
        let fits = |name: &str| self.is_provided(name) || (!self.wild && name.contains(&self.text));
        let names = record.provides.iter().map(|p| p.name.to_string());
        names.filter(|name| fits(&name.to_lowercase())).collect()
    }

    /// Whether a provided name is the pattern, with its kind before it or without.
    fn is_provided(&self, name: &str) -> bool {
        self.is(name) || name.split_once(':').is_some_and(|(_, rest)| self.is(rest))
    }

    fn is(&self, name: &str) -> bool {
        if self.wild { glob(self.text.as_bytes(), name.as_bytes()) } else { self.text == name }
    }
}
