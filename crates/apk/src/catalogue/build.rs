//! What a catalogue is made of, out of the text of an index, line by line, as it is inflated.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashSet, HashTable};
use memchr::memchr;

use super::table::Table;
use super::{CONFLICT, EMPTY, INSTALLABLE, MENTION, OPERATORS, WAITS};
use crate::dependency::{Op, Parts};
use crate::index::IndexError;
use crate::record::Checksum;
use crate::stanza::{LineError, file_part, number};
use crate::version;

/// Four times Alpine's largest; what is larger still grows as it comes.
const LARGEST_EXPECTED: u64 = 64 << 20;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
pub(super) type Identity = [u8; 20];

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

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
    pub(super) mentions: Table<MENTION>,
    identities: HashSet<Identity, RandomState>,
    /// The stanza under way, and where in the text it begins.
    stanza: Stanza,
    start: usize,
    line: usize,
}

/// Where in the text the values of a stanza are.
#[derive(Debug, Default)]
struct Stanza {
    name: Option<Span>,
    version: Option<Span>,
    checksum: Option<Checksum>,
    arch: Span,
    size: u64,
    priority: u32,
    depends: Span,
    provides: Span,
    install_if: Span,
}

/// Names by text.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) spans: Vec<Span>,
    numbers: HashTable<u32>,
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

    /// Room for what a text of so many bytes holds in Alpine's indexes: growing the tables would cost as much as
    /// filling them.
    pub fn with_room_for(mut self, bytes: u64) -> Self {
        let bytes = bytes.min(LARGEST_EXPECTED) as usize;
        let builder = &mut self;
        builder.stanzas.reserve(bytes / 2);
        builder.text.reserve(bytes / 8);
        builder.packages.reserve(bytes / 400);
        builder.identities.reserve(bytes / 400);
        builder.mentions.reserve(bytes / 90);
        builder.names.spans.reserve(bytes / 160);
        builder.names.numbers.reserve(bytes / 160, |_| 0);
        self
    }

    /// Takes whole lines.
    ///
    /// # Errors
    /// As [`crate::index::read`].
    pub fn lines(&mut self, mut lines: &[u8]) -> Result<(), IndexError> {
        while !lines.is_empty() {
            let end = memchr(b'\n', lines).unwrap_or(lines.len());
            let (line, rest) = lines.split_at_checked(end).unwrap_or((lines, b""));
            lines = rest.get(1..).unwrap_or_default();
            self.line += 1;
            match line.strip_suffix(b"\r").unwrap_or(line) {
                b"" => self.end_stanza()?,
                // Neither resolution nor a lock looks at these.
                [b'T' | b'U' | b'L' | b'o' | b'm' | b'c' | b'F' | b'R' | b'M' | b'Z', b':', ..] => {}
                line => {
                    let line = std::str::from_utf8(line).map_err(|_| IndexError::Encoding)?;
                    self.keep(line)?;
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, line: &str) -> Result<(), IndexError> {
        let start = self.stanzas.len();
        self.stanzas.push_str(line);
        self.stanzas.push('\n');
        let end = u32::try_from(self.stanzas.len() - 1).map_err(|_| IndexError::TooLarge)?;
        let value = Span { start: (start as u32 + 2).min(end), end };
        self.stanza.field(line, value).map_err(|source| self.at(source))
    }

    fn at(&self, source: LineError) -> IndexError {
        IndexError::Line { line: self.line, source }
    }

    fn end_stanza(&mut self) -> Result<(), IndexError> {
        if self.start == self.stanzas.len() {
            return Ok(());
        }
        let stanza = std::mem::take(&mut self.stanza);
        let missing = |field| IndexError::Line { line: self.line, source: LineError::Missing(field) };
        let name = stanza.name.ok_or_else(|| missing('P'))?;
        let version = stanza.version.ok_or_else(|| missing('V'))?;
        let checksum = stanza.checksum.ok_or_else(|| missing('C'))?;
        let text = Span { start: self.start as u32, end: self.stanzas.len() as u32 };
        self.start = self.stanzas.len();
        // The very same package a second time is one package, to apk and to us.
        let identity = identity(&checksum);
        if !self.identities.insert(identity) {
            return Ok(());
        }
        // The order in which apk comes to know the names.
        let name = self.names.number(&mut self.text, part(&self.stanzas, name));
        let version = copy(&mut self.text, part(&self.stanzas, version));
        let fits = matches!(part(&self.stanzas, stanza.arch), "" | "noarch")
            || part(&self.stanzas, stanza.arch) == self.arch;
        let depends = self.mentions.len() as u32;
        let understood = self.mention('D', stanza.depends, version)?;
        let provides = self.mentions.len() as u32;
        self.mention('p', stanza.provides, version)?;
        let install_if = self.mentions.len() as u32;
        let waits = self.mention('i', stanza.install_if, version)?;
        let flag = |flag, set| if set { flag } else { 0 };
        let flags =
            flag(EMPTY, stanza.size == 0) | flag(INSTALLABLE, fits && understood) | flag(WAITS, waits);
        let priority = stanza.priority as u16;
        let stanza = text;
        self.packages.push(Package {
            identity,
            stanza,
            version,
            name,
            depends,
            provides,
            install_if,
            priority,
            flags,
        });
        u32::try_from(self.text.len()).map(|_| ()).map_err(|_| IndexError::TooLarge)
    }

    /// Takes up a list of a package whose version is `own`; whether apk understands all of it.
    fn mention(&mut self, field: char, list: Span, own: Span) -> Result<bool, IndexError> {
        let mut valid = true;
        let Span { mut start, end } = list;
        while start < end {
            let rest = self.stanzas.get(start as usize..end as usize).unwrap_or_default();
            let length = rest.bytes().position(|c| c.is_ascii_whitespace()).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            let stop = start + length as u32;
            if !word.is_empty() {
                let parts = Parts::of(word).map_err(|e| self.at(LineError::Dependency(field, e)))?;
                let name = self.names.number(&mut self.text, parts.name);
                let mut last = if parts.conflict { CONFLICT } else { 0 };
                let mut version = Span::default();
                if let Some((op, text)) = parts.constraint {
                    valid &= op == Op::Checksum || version::is_valid(text);
                    // Most are the package's own.
                    version = if part(&self.text, own) == text { own } else { copy(&mut self.text, text) };
                    let op = OPERATORS.iter().position(|known| *known == op).unwrap_or_default() as u32 + 1;
                    last |= op << 16 | (version.end - version.start);
                }
                self.mentions.push([name, version.start, last]);
            }
            start = stop + 1;
        }
        Ok(valid)
    }

    /// Ends the last stanza.
    ///
    /// # Errors
    /// As [`crate::index::read`], of that stanza.
    pub fn end(mut self) -> Result<Self, IndexError> {
        self.end_stanza()?;
        Ok(self)
    }
}

impl Stanza {
    fn field(&mut self, line: &str, value: Span) -> Result<(), LineError> {
        let mut chars = line.chars();
        let (Some(letter), Some(':')) = (chars.next(), chars.next()) else {
            return Err(LineError::Shape(line.chars().take(80).collect()));
        };
        let text = chars.as_str();
        match letter {
            'C' => self.checksum = Some(text.parse()?),
            'P' => self.name = file_part(letter, text).map(|_| Some(value))?,
            'V' => self.version = file_part(letter, text).map(|_| Some(value))?,
            'A' => self.arch = value,
            'I' => self.size = number(letter, text)?,
            'k' => self.priority = number(letter, text)?,
            'S' | 't' => drop(number::<u64>(letter, text)?),
            'q' => drop(number::<u32>(letter, text)?),
            'D' => self.depends = value,
            'p' => self.provides = value,
            'i' => self.install_if = value,
            'r' => text.split_ascii_whitespace().try_for_each(|word| {
                Parts::of(word).map(|_| ()).map_err(|e| LineError::Dependency(letter, e))
            })?,
            c if c.is_ascii_uppercase() => return Err(LineError::Unknown(c)),
            _ => {}
        }
        Ok(())
    }
}

impl Names {
    /// The number of a name, whose text goes to the end of `text` if it is new.
    fn number(&mut self, text: &mut String, name: &str) -> u32 {
        match self.entry(text, name) {
            Ok(known) => known,
            Err(new) => {
                self.spans.push(copy(text, name));
                new
            }
        }
    }

    /// The number of a name in a text, where one that is new stays.
    pub(super) fn number_of_part(&mut self, text: &str, name: Span) -> u32 {
        match self.entry(text, part(text, name)) {
            Ok(known) => known,
            Err(new) => {
                self.spans.push(name);
                new
            }
        }
    }

    /// The number of a name; or the one that it has from now on, when the caller says where it is.
    fn entry(&mut self, text: &str, name: &str) -> Result<u32, u32> {
        let Self { spans, numbers, hasher } = self;
        let of = |id: u32| spans.get(id as usize).map_or("", |span| part(text, *span));
        let hash = |name: &str| hasher.hash_one(name.as_bytes());
        match numbers.entry(hash(name), |id| of(*id) == name, |id| hash(of(*id))) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let id = spans.len() as u32;
                vacant.insert(id);
                Err(id)
            }
        }
    }
}

fn identity(checksum: &Checksum) -> Identity {
    match checksum {
        Checksum::Sha1(digest) => *digest,
        Checksum::Sha256([digest @ .., _, _, _, _, _, _, _, _, _, _, _, _]) => *digest,
    }
}

/// Puts `new` at the end of a text.
fn copy(text: &mut String, new: &str) -> Span {
    let start = text.len() as u32;
    text.push_str(new);
    Span { start, end: text.len() as u32 }
}

pub(super) fn part(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}
