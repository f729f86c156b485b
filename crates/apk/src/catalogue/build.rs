//! What a catalogue is made of, out of the stanzas of an index, a sheaf at a time.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::cut::{Cutter, Identity, Sheaf, Span, Word, part};
use super::names::{HANDFUL, Numbers};
use super::table::Table;
use crate::index::IndexError;
use crate::solve::bucket;

/// Four times Alpine's largest; what is larger still grows as it comes.
const LARGEST_EXPECTED: u64 = 64 << 20;

/// One package. Its lists begin in the mentions where it says; each ends where the next begins, and the last where
/// the next package's first does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    pub identity: Identity,
    pub stanza: Span,
    pub version: Span,
    pub name: u32,
    pub depends: u32,
    pub provides: u32,
    pub install_if: u32,
    pub priority: u16,
    pub flags: u32,
}

/// The index of one repository, in the making; [`super::Catalogue::of`] takes those of all.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) description: String,
    arch: String,
    /// Names and versions.
    pub(super) text: String,
    /// The lines that are kept.
    pub(super) stanzas: String,
    pub(super) names: Names,
    pub(super) packages: Vec<Package>,
    /// Of each mention: the name, and what of it is asked for.
    pub(super) mentioned: Table<1>,
    pub(super) asked: Table<2>,
    identities: Numbers,
}

/// Names by text.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) spans: Vec<Span>,
    /// In apk's hash table.
    pub(super) buckets: Vec<u32>,
    numbers: Numbers,
    hasher: RandomState,
}

impl Builder {
    /// For machines of `arch`. A package of another architecture takes part, but is never chosen; `noarch` and an
    /// empty one fit everywhere.
    pub fn for_arch(arch: &str) -> Self {
        Self { arch: arch.to_owned(), ..Self::default() }
    }

    /// What the index says of itself.
    pub fn described(self, description: String) -> Self {
        Self { description, ..self }
    }

    /// Begins anew, with room for what a text of so many bytes holds in Alpine's indexes: growing the tables would
    /// cost as much as filling them.
    fn begin(&mut self, bytes: u64) {
        let bytes = bytes.min(LARGEST_EXPECTED) as usize;
        let names = Names {
            spans: Vec::with_capacity(bytes / 160),
            buckets: Vec::with_capacity(bytes / 160),
            numbers: Numbers::with_room_for(bytes / 160),
            hasher: self.names.hasher.clone(),
        };
        let (description, arch) = (std::mem::take(&mut self.description), std::mem::take(&mut self.arch));
        *self = Self {
            text: String::with_capacity(bytes / 8),
            stanzas: String::with_capacity(bytes / 2),
            packages: Vec::with_capacity(bytes / 400),
            identities: Numbers::with_room_for(bytes / 400),
            names,
            description,
            arch,
            ..Self::default()
        };
        self.mentioned.reserve(bytes / 90);
        self.asked.reserve(bytes / 90);
    }

    /// What cuts stanzas for this one.
    pub(crate) fn cutter(&self) -> Cutter {
        Cutter::new(&self.arch, self.names.hasher.clone())
    }

    /// Takes a whole text.
    ///
    /// # Errors
    /// As [`crate::index::read`].
    pub fn read(mut self, text: &[u8]) -> Result<Self, IndexError> {
        let mut sheaf = Sheaf { begins: Some(text.len() as u64), ..Sheaf::default() };
        self.cutter().cut(text, &mut sheaf)?;
        self.take(&sheaf)?;
        Ok(self)
    }

    /// Takes what was cut.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub(crate) fn take(&mut self, sheaf: &Sheaf) -> Result<(), IndexError> {
        if let Some(bytes) = sheaf.begins {
            self.begin(bytes);
        }
        let room = |held: usize, more: usize| u32::try_from(held + more).map_err(|_| IndexError::TooLarge);
        room(self.text.len(), sheaf.text.len())?;
        room(self.stanzas.len(), sheaf.text.len())?;
        let (mut start, mut words) = (0, 0);
        let mut found = Found::default();
        for cut in &sheaf.packages {
            let (stanza, own) = (Span { start, end: cut.end }, words..cut.words);
            (start, words) = (cut.end, cut.words);
            let (known, next) = (&self.packages, self.packages.len() as u32);
            let is = |number: u32| known.get(number as usize).is_some_and(|k| k.identity == cut.identity);
            // The very same package a second time is one package, to apk and to us.
            if self.identities.find_or_add(cut.hash, is, next).is_some() {
                continue;
            }
            let of = |from: u32, to: u32| sheaf.words.get(from as usize..to as usize).unwrap_or_default();
            // The order in which apk comes to know the names.
            let name = found.number(&mut self.names, &mut self.text, sheaf, own.start);
            let version = copy(&mut self.text, part(&sheaf.text, cut.version));
            let depends = self.mentioned.len() as u32;
            for (at, word) in (own.start + 1..).zip(of(own.start + 1, own.end)) {
                let name = found.number(&mut self.names, &mut self.text, sheaf, at);
                let version = match word.version {
                    Word::OWN => version,
                    other => copy(&mut self.text, part(&sheaf.text, other)),
                };
                self.mentioned.push([name]);
                self.asked.push([version.start, word.last]);
            }
            let from = self.stanzas.len() as u32;
            self.stanzas.push_str(part(&sheaf.text, stanza));
            self.packages.push(Package {
                identity: cut.identity,
                stanza: Span { start: from, end: self.stanzas.len() as u32 },
                version,
                name,
                depends,
                provides: depends + (cut.depends - own.start - 1),
                install_if: depends + (cut.provides - own.start - 1),
                priority: cut.priority,
                flags: cut.flags,
            });
        }
        Ok(())
    }
}

/// The likely numbers of the next handful of words.
#[derive(Debug, Default)]
struct Found {
    /// Of the first of them.
    start: u32,
    likely: [Option<u32>; HANDFUL],
    spans: [Span; HANDFUL],
    count: u32,
}

impl Found {
    /// The number of the name of the word that is `at` in a sheaf; later ones follow.
    fn number(&mut self, names: &mut Names, text: &mut String, sheaf: &Sheaf, at: u32) -> u32 {
        if at >= self.start + self.count {
            self.look(names, sheaf, at);
        }
        let place = (at - self.start) as usize;
        let Some(word) = sheaf.words.get(at as usize) else { return 0 };
        let name = part(&sheaf.text, word.name);
        match (self.likely.get(place), self.spans.get(place)) {
            (Some(Some(number)), Some(span)) if part(text, *span) == name => *number,
            _ => names.number(text, name, word.hash),
        }
    }

    fn look(&mut self, names: &Names, sheaf: &Sheaf, at: u32) {
        let words = sheaf.words.get(at as usize..).unwrap_or_default();
        (self.start, self.count) = (at, words.len().min(HANDFUL) as u32);
        for (likely, word) in self.likely.iter_mut().zip(words) {
            *likely = names.numbers.likely(word.hash);
        }
        for (span, likely) in self.spans.iter_mut().zip(&self.likely) {
            let known = likely.and_then(|number| names.spans.get(number as usize));
            *span = known.copied().unwrap_or_default();
        }
    }
}

impl Names {
    /// The number of a name, whose text goes to the end of `text` if it is new.
    fn number(&mut self, text: &mut String, name: &str, hash: u32) -> u32 {
        match self.entry(text, name, hash) {
            Ok(known) => known,
            Err(new) => {
                self.spans.push(copy(text, name));
                new
            }
        }
    }

    /// The number of a name in a text, where one that is new stays.
    pub(super) fn number_of_part(&mut self, text: &str, name: Span) -> u32 {
        let hash = self.hasher.hash_one(part(text, name).as_bytes()) as u32;
        match self.entry(text, part(text, name), hash) {
            Ok(known) => known,
            Err(new) => {
                self.spans.push(name);
                new
            }
        }
    }

    /// The number of a name; or the one that it has from now on, when the caller says where it is.
    fn entry(&mut self, text: &str, name: &str, hash: u32) -> Result<u32, u32> {
        let Self { spans, numbers, .. } = self;
        let is = |id: u32| spans.get(id as usize).is_some_and(|span| part(text, *span) == name);
        let new = spans.len() as u32;
        match numbers.find_or_add(hash, is, new) {
            Some(known) => Ok(known),
            None => {
                self.buckets.push(bucket(name.as_bytes()));
                Err(new)
            }
        }
    }
}

/// Puts `new` at the end of a text.
fn copy(text: &mut String, new: &str) -> Span {
    let start = text.len() as u32;
    text.push_str(new);
    Span { start, end: text.len() as u32 }
}
