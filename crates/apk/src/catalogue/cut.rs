//! The text of an index cut into what a catalogue is made of: which lines are kept, and where in them the names and
//! versions are. Every line is checked here, and nothing is looked up, so that another core can do that meanwhile.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use memchr::memchr;

use super::{CONFLICT, EMPTY, INSTALLABLE, OPERATORS, WAITS};
use crate::dependency::{Op, Parts};
use crate::index::IndexError;
use crate::record::Checksum;
use crate::stanza::{LineError, file_part, number};
use crate::version;

/// apk identifies a package by the first 20 bytes of its digest, whichever digest that is.
pub(super) type Identity = [u8; 20];

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

/// Stanzas that were cut: spans are in `text`, which is the lines that are kept.
#[derive(Debug, Default)]
pub(crate) struct Sheaf {
    /// Where an index begins: the size of its text.
    pub begins: Option<u64>,
    pub(super) text: String,
    pub(super) packages: Vec<Cut>,
    /// Of each package: its own name, then what its lists mention.
    pub(super) words: Vec<Word>,
}

/// A package; its words begin where those of the one before end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub identity: Identity,
    /// Of the identity.
    pub hash: u32,
    /// Where its stanza ends, which begins where the one before ends.
    pub end: u32,
    pub version: Span,
    /// Its words end here; before that, its `depends`, and its `provides` with them.
    pub words: u32,
    pub depends: u32,
    pub provides: u32,
    pub priority: u16,
    /// [`WAITS`] or nothing.
    pub waits: u32,
    pub flags: u32,
}

/// A name that is mentioned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub name: Span,
    /// Of the name.
    pub hash: u32,
    /// [`Word::OWN`] where it is the package's own.
    pub version: Span,
    /// As in a row of mentions.
    pub last: u32,
}

impl Word {
    pub const OWN: Span = Span { start: u32::MAX, end: u32::MAX };
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

/// Cuts the index of one repository.
#[derive(Debug)]
pub(crate) struct Cutter {
    arch: String,
    hasher: RandomState,
    line: usize,
    stanza: Stanza,
}

impl Cutter {
    /// For machines of `arch`; what is cut is for whoever looks names up by this hasher.
    pub(super) fn new(arch: &str, hasher: RandomState) -> Self {
        Self { arch: arch.to_owned(), hasher, line: 0, stanza: Stanza::default() }
    }

    /// Begins another index, where the sheaf says so.
    pub fn begin(&mut self) {
        self.line = 0;
    }

    /// Cuts whole stanzas, of which the last may lack the blank line at its end.
    ///
    /// # Errors
    /// As [`crate::index::read`].
    pub fn cut(&mut self, stanzas: &[u8], sheaf: &mut Sheaf) -> Result<(), IndexError> {
        sheaf.text.clear();
        sheaf.packages.clear();
        sheaf.words.clear();
        let stanzas = std::str::from_utf8(stanzas).map_err(|_| IndexError::Encoding)?;
        // What is kept is no longer, but for the end of the last line.
        u32::try_from(stanzas.len() + 1).map_err(|_| IndexError::TooLarge)?;
        // Lines that are kept and follow each other, which are copied at once.
        let mut run = Run::default();
        let mut start = 0;
        while let Some(left @ [first, ..]) = stanzas.as_bytes().get(start..) {
            let end = start + memchr(b'\n', left).unwrap_or(left.len());
            self.line += 1;
            // Neither resolution nor a lock looks at these.
            let skipped =
                matches!(first, b'T' | b'U' | b'L' | b'o' | b'm' | b'c' | b'F' | b'R' | b'M' | b'Z')
                    && left.get(1) == Some(&b':');
            if !skipped {
                let line = stanzas.get(start..end).unwrap_or_default();
                // A carriage return belongs to the end of a line, where there is one.
                let line = if end == stanzas.len() { line } else { line.strip_suffix('\r').unwrap_or(line) };
                if line.is_empty() {
                    run.copy(stanzas, &mut sheaf.text);
                    self.end(sheaf)?;
                } else {
                    let value = run.add(start, line, stanzas, &mut sheaf.text);
                    self.stanza.field(line, value).map_err(|source| self.at(source))?;
                }
            }
            start = end + 1;
        }
        run.copy(stanzas, &mut sheaf.text);
        self.end(sheaf)
    }

    fn at(&self, source: LineError) -> IndexError {
        IndexError::Line { line: self.line, source }
    }

    fn end(&mut self, sheaf: &mut Sheaf) -> Result<(), IndexError> {
        let start = sheaf.packages.last().map_or(0, |package| package.end);
        if start as usize == sheaf.text.len() {
            return Ok(());
        }
        let stanza = std::mem::take(&mut self.stanza);
        let missing = |field| self.at(LineError::Missing(field));
        let name = stanza.name.ok_or_else(|| missing('P'))?;
        let version = stanza.version.ok_or_else(|| missing('V'))?;
        let identity = identity(&stanza.checksum.ok_or_else(|| missing('C'))?);
        let Sheaf { text, packages, words, .. } = sheaf;
        let hash = self.hash(part(text, name).as_bytes());
        words.push(Word { name, hash, version: Span::default(), last: 0 });
        let own = part(text, version);
        let own = (own, version::is_valid(own));
        let understood = self.list('D', text, stanza.depends, own, words)?;
        let depends = words.len() as u32;
        self.list('p', text, stanza.provides, own, words)?;
        let provides = words.len() as u32;
        let waits = self.list('i', text, stanza.install_if, own, words)?;
        let arch = part(text, stanza.arch);
        let fits = matches!(arch, "" | "noarch") || arch == self.arch;
        let flag = |flag, set| if set { flag } else { 0 };
        packages.push(Cut {
            hash: self.hash(&identity),
            identity,
            end: text.len() as u32,
            version,
            words: words.len() as u32,
            depends,
            provides,
            priority: stanza.priority as u16,
            waits: flag(WAITS, waits),
            flags: flag(EMPTY, stanza.size == 0) | flag(INSTALLABLE, fits && understood),
        });
        Ok(())
    }

    /// Takes up a list of a package, of whose own version is known whether it is valid; whether apk understands all of
    /// the list.
    fn list(
        &self,
        field: char,
        text: &str,
        list: Span,
        (own, own_is_valid): (&str, bool),
        words: &mut Vec<Word>,
    ) -> Result<bool, IndexError> {
        let mut valid = true;
        for word in Parts::all_of(part(text, list)) {
            let (parts, place) = word.map_err(|e| self.at(LineError::Dependency(field, e)))?;
            let first = list.start + place.start as u32 + u32::from(parts.conflict);
            let name = Span { start: first, end: first + parts.name.len() as u32 };
            let mut last = if parts.conflict { CONFLICT } else { 0 };
            let mut version = Span::default();
            if let Some((op, wanted)) = parts.constraint {
                // Most are the package's own.
                let is_own = wanted == own;
                valid &= op == Op::Checksum || if is_own { own_is_valid } else { version::is_valid(wanted) };
                let (end, length) = (list.start + place.end as u32, wanted.len() as u32);
                version = if is_own { Word::OWN } else { Span { start: end - length, end } };
                last |= number_of(op) << 16 | length;
            }
            words.push(Word { name, hash: self.hash(parts.name.as_bytes()), version, last });
        }
        Ok(valid)
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        self.hasher.hash_one(bytes) as u32
    }
}

/// Lines of the text that follow each other.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
}

impl Run {
    /// Adds the line that begins at `start`; where its value will be when the run has been copied.
    fn add(&mut self, start: usize, line: &str, from: &str, to: &mut String) -> Span {
        if start != self.end {
            self.copy(from, to);
            self.start = start;
        }
        let place = to.len() + (start - self.start);
        self.end = start + line.len() + 1;
        if from.as_bytes().get(self.end - 1) != Some(&b'\n') {
            // What ends the line is not what ends it here.
            self.end -= 1;
            self.copy(from, to);
            to.push('\n');
        }
        // What is copied is at most as long as a text that can be numbered.
        let end = (place + line.len()) as u32;
        Span { start: (place as u32 + 2).min(end), end }
    }

    /// Copies what has been added since the last time.
    fn copy(&mut self, from: &str, to: &mut String) {
        to.push_str(from.get(self.start..self.end).unwrap_or_default());
        self.start = self.end;
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
            'r' => Parts::all_of(text)
                .try_for_each(|word| word.map(|_| ()).map_err(|e| LineError::Dependency(letter, e)))?,
            c if c.is_ascii_uppercase() => return Err(LineError::Unknown(c)),
            _ => {}
        }
        Ok(())
    }
}

/// The number of an operator in a row of mentions.
fn number_of(op: Op) -> u32 {
    OPERATORS.iter().position(|known| *known == op).unwrap_or_default() as u32 + 1
}

fn identity(checksum: &Checksum) -> Identity {
    match checksum {
        Checksum::Sha1(digest) => *digest,
        Checksum::Sha256([digest @ .., _, _, _, _, _, _, _, _, _, _, _, _]) => *digest,
    }
}

pub(super) fn part(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}

/// [`part`] of bytes: whether it is whole characters need not be asked of what is only compared.
pub(super) fn bytes(text: &[u8], span: Span) -> &[u8] {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}
