//! A catalogue out of the text of an index, line by line, as it is inflated.

use std::hash::BuildHasher as _;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use memchr::memchr;

use super::{Catalogue, EMPTY, INSTALLABLE, Mention, Name, Package, Span, WAITS, cells};
use crate::dependency::{Op, Parts};
use crate::index::IndexError;
use crate::record::Checksum;
use crate::solve::bucket;
use crate::stanza::{LineError, file_part, number};
use crate::version;

/// Four times Alpine's largest; what is larger still grows as it comes.
const LARGEST_EXPECTED: u64 = 64 << 20;

/// A catalogue in the making.
#[derive(Debug, Default)]
pub struct Builder {
    text: String,
    names: Names,
    packages: Vec<Package>,
    mentions: Vec<Mention>,
    checksums: HashMap<Checksum, (), RandomState>,
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
    checksum: Option<(Span, Checksum)>,
    arch: Span,
    size: u64,
    priority: u32,
    depends: Span,
    provides: Span,
    install_if: Span,
}

/// Names by text.
#[derive(Debug, Default)]
struct Names {
    spans: Vec<Span>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Builder {
    /// Room for what a text of so many bytes holds in Alpine's indexes: growing the tables would cost as much as
    /// filling them.
    pub fn with_room_for(bytes: u64) -> Self {
        let bytes = bytes.min(LARGEST_EXPECTED) as usize;
        let mut builder = Self::default();
        builder.text.reserve(bytes / 2);
        builder.packages.reserve(bytes / 400);
        builder.checksums.reserve(bytes / 400);
        builder.mentions.reserve(bytes / 90);
        builder.names.spans.reserve(bytes / 160);
        builder.names.numbers.reserve(bytes / 160, |_| 0);
        builder
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
        let start = self.text.len();
        self.text.push_str(line);
        self.text.push('\n');
        let end = u32::try_from(self.text.len() - 1).map_err(|_| IndexError::TooLarge)?;
        let value = Span { start: (start as u32 + 2).min(end), end };
        self.stanza.field(line, value).map_err(|source| self.at(source))
    }

    fn at(&self, source: LineError) -> IndexError {
        IndexError::Line { line: self.line, source }
    }

    fn end_stanza(&mut self) -> Result<(), IndexError> {
        if self.start == self.text.len() {
            return Ok(());
        }
        let stanza = std::mem::take(&mut self.stanza);
        let missing = |field| IndexError::Line { line: self.line, source: LineError::Missing(field) };
        let name = stanza.name.ok_or_else(|| missing('P'))?;
        let version = stanza.version.ok_or_else(|| missing('V'))?;
        let (checksum, digest) = stanza.checksum.ok_or_else(|| missing('C'))?;
        let text = Span { start: self.start as u32, end: self.text.len() as u32 };
        self.start = self.text.len();
        // The very same package a second time is one package, to apk and to us.
        if self.checksums.insert(digest, ()).is_some() {
            return Ok(());
        }
        // The order in which apk comes to know the names.
        let name = self.names.number(&self.text, name);
        let empty = if stanza.size == 0 { EMPTY } else { 0 };
        let mut package =
            Package { stanza: text, checksum, version, arch: stanza.arch, name, ..Package::default() };
        package.priority = stanza.priority as u16;
        package.depends = self.mentions.len() as u32;
        let installable = self.mention('D', stanza.depends)?;
        package.provides = self.mentions.len() as u32;
        self.mention('p', stanza.provides)?;
        package.install_if = self.mentions.len() as u32;
        let waits = self.mention('i', stanza.install_if)?;
        package.flags = empty | if installable { INSTALLABLE } else { 0 } | if waits { WAITS } else { 0 };
        self.packages.push(package);
        Ok(())
    }

    /// Takes up a list; whether apk understands all of it.
    fn mention(&mut self, field: char, list: Span) -> Result<bool, IndexError> {
        let mut valid = true;
        let Span { mut start, end } = list;
        while start < end {
            let rest = self.text.get(start as usize..end as usize).unwrap_or_default();
            let length = rest.bytes().position(|c| c.is_ascii_whitespace()).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            let stop = start + length as u32;
            if !word.is_empty() {
                let parts = Parts::of(word).map_err(|e| self.at(LineError::Dependency(field, e)))?;
                let after_conflict = start + u32::from(parts.conflict);
                let name = Span { start: after_conflict, end: after_conflict + parts.name.len() as u32 };
                let (op, version) = match parts.constraint {
                    None => (None, Span::default()),
                    Some((op, text)) => {
                        valid &= op == Op::Checksum || version::is_valid(text);
                        (Some(op), Span { start: stop - text.len() as u32, end: stop })
                    }
                };
                let conflict = parts.conflict;
                let name = self.names.number(&self.text, name);
                self.mentions.push(Mention { name, version, op, conflict });
            }
            start = stop + 1;
        }
        Ok(valid)
    }

    /// The catalogue, of an index that says `description` of itself.
    ///
    /// # Errors
    /// As [`crate::index::read`], of the last stanza.
    pub fn finish(mut self, description: String) -> Result<Catalogue, IndexError> {
        self.end_stanza()?;
        let Self { text, names, packages, mentions, .. } = self;
        let name = |span: Span| Name { text: span, bucket: bucket(part(&text, span).as_bytes()) };
        let names = names.spans.into_iter().map(name).collect();
        let records = cells(&packages);
        Ok(Catalogue { description, text, names, packages, mentions, records, table: OnceLock::new() })
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
            'C' => self.checksum = Some((value, text.parse()?)),
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
    fn number(&mut self, text: &str, span: Span) -> u32 {
        let Self { spans, numbers, hasher } = self;
        let of = |id: u32| spans.get(id as usize).map_or("", |span| part(text, *span));
        let hash = |name: &str| hasher.hash_one(name.as_bytes());
        let name = part(text, span);
        match numbers.entry(hash(name), |id| of(*id) == name, |id| hash(of(*id))) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let id = spans.len() as u32;
                vacant.insert(id);
                spans.push(span);
                id
            }
        }
    }
}

fn part(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}
