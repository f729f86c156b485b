//! What the worlds of a run had in them: agreement on worlds in which nothing happens would prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::Answer;
use super::{Case, Index};
use hoopy_apk::{Dependency, Record};

type Has = fn(&Facts<'_>) -> bool;

/// What must occur, and when a case has it. "taken" is of the packages that were chosen.
const FEATURES: [(&str, Has); 21] = [
    ("several versions of one package", |f| f.some(|a, b| a.name == b.name && a.version != b.version)),
    ("several repositories", |f| f.case.indexes.len() > 1),
    ("one version in two repositories, the same file", |f| f.across(|a, b| a.checksum == b.checksum)),
    ("one version in two repositories, made anew", |f| {
        f.across(|a, b| a.name == b.name && a.version == b.version && a.checksum != b.checksum)
    }),
    ("tagged repository", |f| f.case.indexes.iter().any(|index| index.tag.is_some())),
    ("two tags", |f| f.case.indexes.iter().filter_map(|i| i.tag.as_ref()).collect::<BTreeSet<_>>().len() > 1),
    ("world with a pin", |f| f.case.world.iter().any(|d| d.tag.is_some())),
    ("pinned world, taken", |f| f.satisfied() && f.case.world.iter().any(|d| d.tag.is_some())),
    ("world with a conflict", |f| f.case.world.iter().any(|d| d.conflict)),
    ("world with a version", |f| f.case.world.iter().any(|d| d.constraint.is_some())),
    ("world with a checksum", |f| f.case.world.iter().any(|d| d.to_string().contains("><"))),
    ("world with a virtual name", |f| f.case.world.iter().any(|d| !f.is_package(d))),
    ("so: and cmd: names, taken", |f| f.taken_with(|r| r.provides.iter().any(|p| p.name.contains(':')))),
    ("versioned provides, taken", |f| f.taken_with(|r| r.provides.iter().any(|p| p.constraint.is_some()))),
    ("unversioned provides, taken", |f| f.taken_with(|r| r.provides.iter().any(|p| p.constraint.is_none()))),
    ("provider priority, taken", |f| f.taken_with(|r| r.provider_priority != 0)),
    ("conflict of a package, taken", |f| f.taken_with(|r| r.depends.iter().any(|d| d.conflict))),
    ("conflict with what a package provides itself", |f| {
        f.records()
            .any(|r| r.depends.iter().any(|d| d.conflict && r.provides.iter().any(|p| p.name == d.name)))
    }),
    ("install_if, taken", |f| f.taken_with(|r| !r.install_if.is_empty())),
    ("install_if of an install_if, taken", |f| {
        let chained = |r: &Record| {
            f.taken().any(|t| !t.install_if.is_empty() && r.install_if.iter().any(|d| d.name == t.name))
        };
        f.taken().any(chained)
    }),
    ("cycle, taken", |f| f.taken().any(|r| f.reaches_itself(r))),
];

/// A case and what came of it.
struct Facts<'a> {
    case: &'a Case,
    taken: BTreeSet<&'a str>,
    satisfied: bool,
}

impl<'a> Facts<'a> {
    fn records(&self) -> impl Iterator<Item = &'a Record> {
        self.case.indexes.iter().flat_map(|index| &index.records)
    }

    fn satisfied(&self) -> bool {
        self.satisfied
    }

    fn some(&self, is: impl Fn(&Record, &Record) -> bool) -> bool {
        self.records().any(|a| self.records().any(|b| is(a, b)))
    }

    fn across(&self, is: impl Fn(&Record, &Record) -> bool) -> bool {
        let pairs = |a: &Index, b: &Index| a.records.iter().any(|a| b.records.iter().any(|b| is(a, b)));
        let indexes = &self.case.indexes;
        (1..indexes.len()).any(|later| (0..later).any(|i| pairs(&indexes[i], &indexes[later])))
    }

    fn is_package(&self, dependency: &Dependency) -> bool {
        self.records().any(|record| record.name == dependency.name)
    }

    fn taken(&self) -> impl Iterator<Item = &'a Record> {
        self.records().filter(|r| self.taken.contains(format!("{}-{}", r.name, r.version).as_str()))
    }

    fn taken_with(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.taken().any(is)
    }

    fn reaches_itself(&self, record: &Record) -> bool {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![record]);
        while let Some(next) = waiting.pop() {
            for dep in next.depends.iter().filter(|d| !d.conflict) {
                for found in self.taken().filter(|r| r.name == dep.name) {
                    if found.name == record.name {
                        return true;
                    }
                    if seen.insert(&*found.name) {
                        waiting.push(found);
                    }
                }
            }
        }
        false
    }
}

/// How many worlds had what.
#[derive(Debug, Default)]
pub struct Census {
    worlds: u64,
    satisfied: u64,
    packages: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Census {
    pub fn count(&mut self, case: &Case, answer: &Answer) {
        let taken: BTreeSet<&str> = match answer {
            Answer::Install(packages) => packages.iter().map(String::as_str).collect(),
            Answer::Refused(_) => BTreeSet::new(),
        };
        self.worlds += 1;
        self.packages += taken.len() as u64;
        let satisfied = matches!(answer, Answer::Install(_));
        self.satisfied += u64::from(satisfied);
        let facts = Facts { case, taken, satisfied };
        for (name, has) in FEATURES {
            *self.counts.entry(name).or_default() += u64::from(has(&facts));
        }
    }

    /// What no world had.
    pub fn missing(&self) -> Vec<&'static str> {
        let none = |name: &&str| self.counts.get(name).is_none_or(|count| *count == 0);
        FEATURES.map(|(name, _)| name).into_iter().filter(none).collect()
    }
}

impl std::fmt::Display for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { worlds, satisfied, packages, .. } = self;
        writeln!(
            f,
            "{worlds} worlds, {satisfied} satisfied with {packages} packages in all, {} refused",
            worlds - satisfied
        )?;
        for (name, _) in FEATURES {
            match self.counts.get(name) {
                None | Some(0) => {}
                Some(count) => writeln!(f, "{count:>9}  {name}")?,
            }
        }
        Ok(())
    }
}
