//! What a catalogue is made of, out of the stanzas of an index, a sheaf at a time.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::cut::{Cutter, Sheaf, Span, Text, bytes};
use super::names::{HANDFUL, NONE, Numbers};
use super::number::number;
use super::particulars::{PARTICULARS, identity};
use super::table::Table;
use super::{ASKED, FACTS, LINKS};
use crate::index::IndexError;
use crate::resolve::bucket;

/// Four times Alpine's largest; what is larger still grows as it comes.
const LARGEST_EXPECTED: u64 = 64 << 20;

/// The index of one repository, in the making; [`super::Catalogue::of`] takes those of all.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) description: String,
    arch: String,
    pub(super) versions: String,
    pub(super) names: Names,
    /// Of each package, as in a catalogue.
    pub(super) links: Table<LINKS>,
    pub(super) facts: Table<FACTS>,
    pub(super) particulars: Table<PARTICULARS>,
    /// Of each mention: the name, and what of it is asked for.
    pub(super) mentioned: Table<1>,
    pub(super) asked: Table<ASKED>,
    known: Numbers,
}

/// Names by text.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// End to end, and where each begins.
    pub(super) text: Vec<u8>,
    pub(super) starts: Table<1>,
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
            text: Vec::with_capacity(bytes / 10),
            starts: Table::with_room_for(bytes / 160),
            buckets: Vec::with_capacity(bytes / 160),
            numbers: Numbers::with_room_for(bytes / 160),
            hasher: self.names.hasher.clone(),
        };
        let (description, arch) = (std::mem::take(&mut self.description), std::mem::take(&mut self.arch));
        *self = Self {
            versions: String::with_capacity(bytes / 40),
            links: Table::with_room_for(bytes / 400),
            facts: Table::with_room_for(bytes / 400),
            particulars: Table::with_room_for(bytes / 400),
            mentioned: Table::with_room_for(bytes / 90),
            asked: Table::with_room_for(bytes / 90),
            known: Numbers::with_room_for(bytes / 400),
            names,
            description,
            arch,
        };
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
        let text = Text { begins: Some(text.len() as u64), bytes: text.to_owned(), end: text.len() };
        let mut sheaf = Sheaf { text, ..Sheaf::default() };
        self.cutter().cut(&mut sheaf)?;
        self.take(&sheaf)?;
        Ok(self)
    }

    /// Takes what was cut.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub(crate) fn take(&mut self, sheaf: &Sheaf) -> Result<(), IndexError> {
        if let Some(bytes) = sheaf.text.begins {
            self.begin(bytes);
        }
        let room = |held: usize, more: usize| number(held + more).map_err(|_| IndexError::TooLarge);
        room(self.names.text.len(), sheaf.text.end)?;
        room(self.names.starts.len() + self.links.len() + self.mentioned.len(), sheaf.words.len())?;
        let first = room(self.versions.len(), 0)?;
        room(self.versions.len(), sheaf.versions.len())?;
        self.versions.push_str(&sheaf.versions);
        let mut words = 0;
        let mut found = Found::default();
        for cut in &sheaf.packages {
            let own = words..cut.words;
            words = cut.words;
            let (known, next) = (&self.particulars, self.particulars.len() as u32);
            let is = |number: u32| identity(known.row(number)) == identity(cut.particulars);
            // The very same package a second time is one package, to apk and to us; only its names have been met.
            if self.known.find_or_add(cut.hash, is, next).is_some() {
                for at in own {
                    found.number(&mut self.names, sheaf, at);
                }
                continue;
            }
            let of = |from: u32, to: u32| sheaf.words.get(from as usize..to as usize).unwrap_or_default();
            // The order in which apk comes to know the names.
            let name = found.number(&mut self.names, sheaf, own.start);
            let depends = self.mentioned.len() as u32;
            for (at, word) in (own.start + 1..).zip(of(own.start + 1, own.end)) {
                self.mentioned.push([found.number(&mut self.names, sheaf, at)]);
                self.asked.push([first + word.version, word.last]);
            }
            let provides = depends + (cut.depends - own.start - 1);
            let install_if = depends + (cut.provides - own.start - 1);
            let length = cut.version.end - cut.version.start;
            self.particulars.push(cut.particulars);
            self.links.push([name | cut.waits, depends, provides, install_if]);
            self.facts.push([first + cut.version.start, u32::from(cut.priority) << 16 | length, cut.flags]);
        }
        Ok(())
    }
}

/// The likely numbers of the next handful of words.
#[derive(Debug, Default)]
struct Found {
    /// Of the first of them.
    start: u32,
    likely: [[u32; 2]; HANDFUL],
    spans: [Span; HANDFUL],
    count: u32,
}

impl Found {
    /// The number of the name of the word that is `at` in a sheaf; later ones follow.
    fn number(&mut self, names: &mut Names, sheaf: &Sheaf, at: u32) -> u32 {
        if at >= self.start + self.count {
            self.look(names, sheaf, at);
        }
        let place = (at - self.start) as usize;
        let Some(word) = sheaf.words.get(at as usize) else { return 0 };
        let name = bytes(&sheaf.text.bytes, word.name);
        match self.likely.get(place).zip(self.spans.get(place)) {
            Some(([known, number], span))
                if *number != NONE && *known == word.hash && bytes(&names.text, *span) == name =>
            {
                *number
            }
            _ => names.number(name, word.hash),
        }
    }

    // No step decides anything: a decision that was foreseen wrongly would stop all that is under way.
    fn look(&mut self, names: &Names, sheaf: &Sheaf, at: u32) {
        let words = sheaf.words.get(at as usize..).unwrap_or_default();
        (self.start, self.count) = (at, words.len().min(HANDFUL) as u32);
        for (likely, word) in self.likely.iter_mut().zip(words) {
            *likely = names.numbers.likely(word.hash);
        }
        for (span, [_, number]) in self.spans.iter_mut().zip(&self.likely) {
            *span = span_of(&names.starts, &names.text, *number);
        }
    }
}

impl Names {
    /// The number of a name, whose text stays if it is new.
    pub(super) fn number(&mut self, name: &[u8], hash: u32) -> u32 {
        let Self { text, starts, numbers, .. } = self;
        let is = |number: u32| bytes(text, span_of(starts, text, number)) == name;
        let new = starts.len() as u32;
        match numbers.find_or_add(hash, is, new) {
            Some(known) => known,
            None => {
                self.starts.push([self.text.len() as u32]);
                self.text.extend_from_slice(name);
                self.buckets.push(bucket(name));
                new
            }
        }
    }

    /// [`Names::number`] of what nobody has hashed yet.
    pub(super) fn number_of(&mut self, name: &[u8]) -> u32 {
        self.number(name, self.hasher.hash_one(name) as u32)
    }
}

/// Where a name is that begins where `starts` says: it ends where the next one begins, or with the text.
fn span_of(starts: &Table<1>, text: &[u8], number: u32) -> Span {
    let end = match starts.field::<0>(number.saturating_add(1)) {
        0 => text.len() as u32,
        next => next,
    };
    Span { start: starts.field::<0>(number), end }
}
