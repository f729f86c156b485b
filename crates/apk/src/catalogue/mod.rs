//! An index in the form that resolution starts from: names, packages and who refers to whom, as numbers, over one
//! text that holds the stanzas.
//!
//! ```text
//! APKINDEX.tar.gz ─▶ Builder ─▶ Catalogue ─▶ solve::Outline ─▶ what to install
//!                                 ▲   │
//!                    from_bytes ──┘   └──▶ to_bytes (the store)
//! ```
//!
//! Making a [`Record`] of every stanza costs more than all the rest of resolution, and hardly any is ever looked
//! at: here one is made when it is asked for. What neither resolution nor a lock needs is left out of the text:
//! descriptions, addresses, licences. Everything else is checked as in [`crate::index::read`].

mod build;
mod form;

pub use build::Builder;
pub use form::{BadForm, FORMAT};

use std::hash::BuildHasher as _;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::dependency::Op;
use crate::record::Record;
use crate::solve::bucket;
use crate::stanza::Draft;

/// A part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// A name, with its bucket in apk's hash table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    text: Span,
    bucket: u32,
}

/// A name as a package mentions it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention {
    pub name: u32,
    pub version: Span,
    pub op: Option<Op>,
    pub conflict: bool,
}

/// One package. Its lists begin in the mentions where it says; each ends where the next begins, and the last where
/// the next package's first does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Package {
    stanza: Span,
    checksum: Span,
    version: Span,
    arch: Span,
    name: u32,
    depends: u32,
    provides: u32,
    install_if: u32,
    priority: u16,
    flags: u16,
}

/// It installs nothing.
const EMPTY: u16 = 1;
/// apk understands all that it depends on.
const INSTALLABLE: u16 = 2;
/// apk understands its whole `install_if`.
const WAITS: u16 = 4;

/// A package as resolution sees it.
pub(crate) struct Outlined<'c> {
    pub name: u32,
    pub checksum: &'c str,
    pub version: &'c str,
    pub arch: &'c str,
    pub priority: u16,
    pub empty: bool,
    pub installable: bool,
    pub waits: bool,
    pub depends: &'c [Mention],
    pub provides: &'c [Mention],
    pub install_if: &'c [Mention],
}

/// The packages of one repository.
#[derive(Debug)]
pub struct Catalogue {
    description: String,
    text: String,
    /// In the order in which the index mentions them first, which is part of how apk breaks ties.
    names: Vec<Name>,
    packages: Vec<Package>,
    mentions: Vec<Mention>,
    records: Vec<OnceLock<Box<Record>>>,
    table: OnceLock<Table>,
}

impl Catalogue {
    /// What the index says of itself: Alpine's is its branch and commit.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// What the index says of a package.
    pub(crate) fn record(&self, number: u32) -> &Record {
        static NONE: OnceLock<Record> = OnceLock::new();
        let cell = self.records.get(number as usize).zip(self.packages.get(number as usize));
        let Some((cell, package)) = cell else { return NONE.get_or_init(Record::empty) };
        cell.get_or_init(|| {
            let mut draft = Draft::default();
            // The builder has checked every line.
            let read = self.part(package.stanza).lines().try_for_each(|line| draft.line(line));
            let record = read.and_then(|()| draft.end()).ok().flatten();
            Box::new(record.unwrap_or_else(Record::empty))
        })
    }

    pub(crate) fn package(&self, number: u32) -> Outlined<'_> {
        let package = self.packages.get(number as usize).copied().unwrap_or_default();
        let next = self.packages.get(number as usize + 1);
        let end = next.map_or(self.mentions.len() as u32, |next| next.depends);
        let list = |start: u32, end: u32| self.mentions.get(start as usize..end as usize).unwrap_or_default();
        let is = |flag| package.flags & flag != 0;
        Outlined {
            name: package.name,
            checksum: self.part(package.checksum),
            version: self.part(package.version),
            arch: self.part(package.arch),
            priority: package.priority,
            empty: is(EMPTY),
            installable: is(INSTALLABLE),
            waits: is(WAITS),
            depends: list(package.depends, package.provides),
            provides: list(package.provides, package.install_if),
            install_if: list(package.install_if, end),
        }
    }

    /// A part of the text; empty where there is none such.
    pub(crate) fn part(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// How many names, packages and mentions there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.names.len(), self.packages.len(), self.mentions.len())
    }

    /// The names with their buckets in apk's table, in the order of their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, u32)> {
        self.names.iter().map(|name| (self.part(name.text), name.bucket))
    }

    /// The number of a name. For a few names the buckets are looked through; a table is worth while for many.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        if let Some(table) = self.table.get() {
            return table.find(name, |id| self.name(id));
        }
        let bucket = bucket(name.as_bytes());
        let is_it = |known: &Name| known.bucket == bucket && self.part(known.text) == name;
        self.names.iter().position(is_it).map(|id| id as u32)
    }

    /// Makes many names fast to find.
    pub(crate) fn make_table(&self) {
        self.table.get_or_init(|| {
            let hasher = RandomState::default();
            let hash = |id: u32| hasher.hash_one(self.name(id).as_bytes());
            let mut numbers = HashTable::with_capacity(self.names.len());
            for id in 0..self.names.len() as u32 {
                numbers.insert_unique(hash(id), id, |id| hash(*id));
            }
            Table { numbers, hasher }
        });
    }

    fn name(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or("", |name| self.part(name.text))
    }
}

/// Names to their numbers, seeded so that nobody can choose names that collide.
#[derive(Debug)]
struct Table {
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Table {
    fn find<'t>(&self, name: &str, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_bytes());
        self.numbers.find(hash, |id| text(*id) == name).copied()
    }
}

/// One cell for each package, in which its record will be.
fn cells(packages: &[Package]) -> Vec<OnceLock<Box<Record>>> {
    packages.iter().map(|_| OnceLock::new()).collect()
}
