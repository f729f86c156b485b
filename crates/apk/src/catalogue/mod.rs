//! Indexes in the form that resolution starts from: names, packages and who refers to whom, as numbers, over one text
//! of versions.
//!
//! ```text
//! APKINDEX.tar.gz ─▶ cut ─▶ Builder ─┐
//! APKINDEX.tar.gz ─▶ cut ─▶ Builder ─┴─▶ Catalogue ─▶ resolve::Outline ─▶ what to install
//!                                         ▲   │
//!                                  open ──┘   └──▶ to_bytes (the store)
//! ```
//!
//! Making a [`crate::Record`] of every stanza costs more than all the rest of resolution, and hardly any is ever looked
//! at: here one is made when it is asked for, with what a lock says of a package. What neither resolution nor a lock
//! needs is left out: descriptions, addresses, licences. Everything else is checked as in [`crate::index::read`].
//!
//! A catalogue that was kept is used as it lies in its file, so that asking it costs as much as the world reaches.

mod build;
mod cut;
mod form;
mod join;
mod names;
mod number;
mod particulars;
mod table;

pub use build::Builder;
pub(crate) use cut::{Sheaf, Text};
pub use form::{BadForm, FORMAT};
pub use number::JoinError;

use std::ops::Range;
use std::sync::OnceLock;

use crate::resolve::{NAME_BUCKETS, bucket};
use crate::version::Op;
use form::Kept;
use particulars::Cells;
use table::Table;

/// The numbers of a name that who walks from name to name looks at: where its providers and the names that it triggers
/// begin. A row more says where those of the last one end.
const NAME: usize = 2;

/// What else there is to know of a name: its bucket in apk's hash table of names, and where the packages that depend on
/// it begin. There is a row more, too.
const CALLS: usize = 2;

/// The numbers of a package that who walks from name to name looks at: its name, with [`WAITS`]; where its `depends`,
/// `provides` and `install_if` begin in the mentions. A row more says where the lists of the last one end.
const LINKS: usize = 4;

/// What else there is to know of a package: where its version begins; the version's length and, from bit 16, its
/// priority; flags and, from bit 16, which set of repositories holds it. There is a row more, too.
const FACTS: usize = 3;

/// The numbers of what a mention asks for: where the version begins; the version's length, from bit 16 the operator
/// (from 1; 0 is none), and in bit 31 whether it is a conflict. The name is in a table of its own, as who walks from
/// name to name wants nothing else.
const ASKED: usize = 2;

/// The numbers of a provider: a package, and the mention by which it provides; [`OWN`] where the name is its own.
const PROVIDER: usize = 2;

/// No mention.
const OWN: u32 = u32::MAX;

/// In the first of two halves of a number.
const LOW: u32 = 0xffff;

/// In the last number of a mention.
const CONFLICT: u32 = 1 << 31;

/// It installs nothing.
const EMPTY: u32 = 1;
/// The architecture fits, and apk understands all that it depends on, and every field that it has to.
const INSTALLABLE: u32 = 2;

/// Beside the number of a package's name: apk understands its whole `install_if`.
const WAITS: u32 = 1 << 31;

/// Operators as numbers, from 1; 0 is none.
const OPERATORS: [Op; 9] = [
    Op::Equal,
    Op::Less,
    Op::LessOrEqual,
    Op::Greater,
    Op::GreaterOrEqual,
    Op::Fuzzy,
    Op::LessFuzzy,
    Op::GreaterFuzzy,
    Op::Checksum,
];

/// A name as a package mentions it.
pub(crate) struct Mention<'c> {
    pub name: u32,
    pub constraint: Option<(Op, &'c str)>,
    pub conflict: bool,
}

/// The packages of one machine's repositories.
#[derive(Debug)]
pub struct Catalogue {
    /// What each repository says of itself.
    descriptions: Vec<String>,
    /// Sets of repositories as bits: the lower and the upper half.
    sets: Table<2>,
    /// In the order in which the indexes mention them first, which is part of how apk breaks ties.
    names: Table<NAME>,
    calls: Table<CALLS>,
    links: Table<LINKS>,
    facts: Table<FACTS>,
    mentioned: Table<1>,
    asked: Table<ASKED>,
    providers: Table<PROVIDER>,
    dependents: Table<1>,
    triggers: Table<1>,
    versions: String,
    /// What is asked for of a few only: where the texts of names begin, the rows of [`Particulars`], and the texts of
    /// names.
    kept: [Kept; 3],
    records: Vec<OnceLock<Box<Cells>>>,
}

impl Catalogue {
    /// What each index says of itself, in the order of the repositories: Alpine's is its branch and commit.
    pub fn descriptions(&self) -> &[String] {
        &self.descriptions
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.links.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many names there are.
    #[inline]
    pub(crate) fn name_count(&self) -> usize {
        self.names.len().saturating_sub(1)
    }

    /// The name of a package.
    #[inline]
    pub(crate) fn name_of(&self, package: u32) -> u32 {
        self.bounded_name(self.links.field::<0>(package) & !WAITS)
    }

    /// The version of a package.
    #[inline]
    pub(crate) fn version(&self, package: u32) -> &str {
        let (start, length) = self.facts.fields::<0, 1>(package);
        self.part(start, length & LOW)
    }

    /// Its preference among providers of one name.
    #[inline]
    pub(crate) fn priority(&self, package: u32) -> u16 {
        (self.facts.field::<1>(package) >> 16) as u16
    }

    #[inline]
    pub(crate) fn is_empty_package(&self, package: u32) -> bool {
        self.has(package, EMPTY)
    }

    #[inline]
    pub(crate) fn is_installable(&self, package: u32) -> bool {
        self.has(package, INSTALLABLE)
    }

    #[inline]
    fn has(&self, package: u32, flag: u32) -> bool {
        self.facts.field::<2>(package) & flag != 0
    }

    /// The repositories that hold a package, as bits.
    pub(crate) fn repositories_of(&self, package: u32) -> u64 {
        let set = self.facts.field::<2>(package) >> 16;
        let (low, high) = self.sets.fields::<0, 1>(set);
        u64::from(high) << 32 | u64::from(low)
    }

    /// Where in the mentions a package's `depends` are.
    #[inline]
    pub(crate) fn depends(&self, package: u32) -> Range<u32> {
        let (depends, provides) = self.links.fields::<1, 2>(package);
        bounded(depends..provides, self.mentioned.len())
    }

    /// Where in the mentions a package's `provides` are.
    #[inline]
    pub(crate) fn provides(&self, package: u32) -> Range<u32> {
        let (provides, install_if) = self.links.fields::<2, 3>(package);
        bounded(provides..install_if, self.mentioned.len())
    }

    /// Where in the mentions a package's `install_if` is, if apk understands it.
    #[inline]
    pub(crate) fn install_if(&self, package: u32) -> Range<u32> {
        let (name, install_if) = self.links.fields::<0, 3>(package);
        let end = self.links.field::<1>(package.saturating_add(1));
        let list = if name & WAITS != 0 { install_if..end } else { 0..0 };
        bounded(list, self.mentioned.len())
    }

    #[inline]
    pub(crate) fn mention(&self, at: u32) -> Mention<'_> {
        let (start, last) = self.asked.fields::<0, 1>(at);
        let op = ((last & !CONFLICT) >> 16).checked_sub(1).and_then(|at| OPERATORS.get(at as usize).copied());
        let constraint = op.map(|op| (op, self.part(start, last & LOW)));
        Mention { name: self.mentioned_name(at), constraint, conflict: last & CONFLICT != 0 }
    }

    #[inline]
    pub(crate) fn mentioned_name(&self, at: u32) -> u32 {
        self.bounded_name(self.mentioned.field::<0>(at))
    }

    /// Where the providers of a name are.
    #[inline]
    pub(crate) fn providers(&self, name: u32) -> Range<u32> {
        bounded(self.names.list::<0>(name), self.providers.len())
    }

    /// A provider's package.
    #[inline]
    pub(crate) fn provider_package(&self, at: u32) -> u32 {
        self.bounded_package(self.providers.field::<0>(at))
    }

    /// A provider's package, and the version as which it provides.
    #[inline]
    pub(crate) fn provider(&self, at: u32) -> (u32, Option<&str>) {
        let (package, mention) = self.providers.fields::<0, 1>(at);
        let package = self.bounded_package(package);
        let version = match mention {
            OWN => Some(self.version(package)),
            mention => self.mention(mention).constraint.map(|(_, version)| version),
        };
        (package, version)
    }

    /// Where the packages are that depend on a name.
    #[inline]
    pub(crate) fn dependents(&self, name: u32) -> Range<u32> {
        bounded(self.calls.list::<1>(name), self.dependents.len())
    }

    #[inline]
    pub(crate) fn dependent(&self, at: u32) -> u32 {
        self.bounded_package(self.dependents.field::<0>(at))
    }

    /// Where the names are that a name triggers.
    #[inline]
    pub(crate) fn triggers(&self, name: u32) -> Range<u32> {
        bounded(self.names.list::<1>(name), self.triggers.len())
    }

    #[inline]
    pub(crate) fn trigger(&self, at: u32) -> u32 {
        self.bounded_name(self.triggers.field::<0>(at))
    }

    /// The numbers of names: one look over all buckets finds any number of them.
    pub(crate) fn find_all(&self, wanted: &[&str]) -> Vec<Option<u32>> {
        let mut found = vec![None; wanted.len()];
        let mut buckets = vec![false; NAME_BUCKETS as usize];
        for name in wanted {
            if let Some(there) = buckets.get_mut(bucket(name.as_bytes()) as usize) {
                *there = true;
            }
        }
        let [starts, _, texts] = &self.kept;
        for (id, [bucket, _]) in (0..self.name_count() as u32).zip(self.calls.rows()) {
            if buckets.get(bucket as usize).copied().unwrap_or(false)
                && let Ok(text) = starts.listed(id, texts)
            {
                let places = wanted.iter().zip(&mut found).filter(|(name, _)| name.as_bytes() == text);
                places.for_each(|(_, place)| *place = Some(id));
            }
        }
        found
    }

    /// A part of the versions' text; empty where there is none such.
    #[inline]
    fn part(&self, start: u32, length: u32) -> &str {
        let start = start as usize;
        self.versions.get(start..start + length as usize).unwrap_or_default()
    }

    // Nothing is asked by a number that there is not, whatever a damaged form says.

    #[inline]
    fn bounded_name(&self, name: u32) -> u32 {
        name.min((self.name_count() as u32).saturating_sub(1))
    }

    #[inline]
    fn bounded_package(&self, package: u32) -> u32 {
        package.min((self.len() as u32).saturating_sub(1))
    }
}

fn bounded(list: Range<u32>, length: usize) -> Range<u32> {
    list.start..list.end.min(length as u32)
}
