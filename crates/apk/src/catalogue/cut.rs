//! The text of an index cut into what a catalogue is made of: where in it the names are, what is asked of them, and
//! what a lock says of a package. Every line is checked here, and nothing is looked up, so that another core can do
//! that meanwhile.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use memchr::memchr;

use super::particulars::{PARTICULARS, Particulars, identity};
use super::{CONFLICT, EMPTY, INSTALLABLE, OPERATORS, WAITS};
use crate::dependency::Parts;
use crate::index::IndexError;
use crate::record::Checksum;
use crate::stanza::{LineError, file_part, must_be_known, number};
use crate::version;
use crate::version::Op;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

/// Whole stanzas, of which the last may lack the blank line at its end.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// Where an index begins: the size of its text.
    pub begins: Option<u64>,
    /// Of which so many bytes are meant.
    pub bytes: Vec<u8>,
    pub end: usize,
}

impl Text {
    pub fn stanzas(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }
}

/// Stanzas that were cut.
#[derive(Debug, Default)]
pub(crate) struct Sheaf {
    /// What was cut: names are in it.
    pub text: Text,
    /// What versions the packages have and ask for, end to end.
    pub(super) versions: String,
    pub(super) packages: Vec<Cut>,
    /// Of each package: its own name, then what its lists mention.
    pub(super) words: Vec<Word>,
}

/// A package; its words begin where those of the one before end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub particulars: [u32; PARTICULARS],
    /// Of its identity.
    pub hash: u32,
    /// Among the versions.
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
    /// Where among the versions that is which is asked for.
    pub version: u32,
    /// As in a row of mentions.
    pub last: u32,
}

/// Where in the text the values of a stanza are.
#[derive(Debug, Default)]
struct Stanza {
    /// Whether there was a line.
    begun: bool,
    name: Option<Span>,
    version: Option<Span>,
    checksum: Option<Checksum>,
    arch: Span,
    size: u64,
    installed_size: u64,
    build_time: u64,
    priority: u32,
    depends: Span,
    provides: Span,
    install_if: Span,
    /// Whether it has a field that has to be known and is not.
    is_beyond_us: bool,
}

/// The version of a package that is being cut.
struct Own<'t> {
    version: &'t str,
    is_valid: bool,
    /// Where it is among the versions.
    start: u32,
}

/// Cuts the index of one repository.
#[derive(Debug)]
pub(crate) struct Cutter {
    arch: String,
    hasher: RandomState,
    line: usize,
}

impl Cutter {
    /// For machines of `arch`; what is cut is for whoever looks names up by this hasher.
    pub(super) fn new(arch: &str, hasher: RandomState) -> Self {
        Self { arch: arch.to_owned(), hasher, line: 0 }
    }

    /// Cuts the text of a sheaf, whatever was cut of it before.
    ///
    /// # Errors
    /// As [`crate::index::read`].
    pub fn cut(&mut self, sheaf: &mut Sheaf) -> Result<(), IndexError> {
        let Sheaf { text, versions, packages, words } = sheaf;
        versions.clear();
        packages.clear();
        words.clear();
        let stanzas = std::str::from_utf8(text.stanzas()).map_err(|_| IndexError::Encoding)?;
        u32::try_from(stanzas.len()).map_err(|_| IndexError::TooLarge)?;
        if text.begins.is_some() {
            self.line = 0;
        }
        let mut cut = Piece { text: stanzas, versions, packages, words };
        let mut stanza = Stanza::default();
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
                    self.end(std::mem::take(&mut stanza), &mut cut)?;
                } else {
                    stanza.line(line, start as u32).map_err(|source| self.at(source))?;
                }
            }
            start = end + 1;
        }
        self.end(stanza, &mut cut)
    }

    fn at(&self, source: LineError) -> IndexError {
        IndexError::Line { line: self.line, source }
    }

    fn end(&self, stanza: Stanza, cut: &mut Piece<'_>) -> Result<(), IndexError> {
        if !stanza.begun {
            return Ok(());
        }
        let missing = |field| self.at(LineError::Missing(field));
        let name = stanza.name.ok_or_else(|| missing('P'))?;
        let version = part(cut.text, stanza.version.ok_or_else(|| missing('V'))?);
        let checksum = stanza.checksum.ok_or_else(|| missing('C'))?;
        let hash = self.hash(part(cut.text, name).as_bytes());
        cut.words.push(Word { name, hash, version: 0, last: 0 });
        let own = Own { version, is_valid: version::is_valid(version), start: cut.put(version) };
        let understood = self.list('D', stanza.depends, &own, cut)?;
        let depends = cut.words.len() as u32;
        self.list('p', stanza.provides, &own, cut)?;
        let provides = cut.words.len() as u32;
        let waits = self.list('i', stanza.install_if, &own, cut)?;
        let arch = part(cut.text, stanza.arch);
        let fits = matches!(arch, "" | "noarch") || arch == self.arch;
        let flag = |flag, set| if set { flag } else { 0 };
        let Stanza { size, build_time, .. } = stanza;
        let particulars = Particulars { checksum, size, build_time }.row();
        cut.packages.push(Cut {
            hash: self.hasher.hash_one(identity(particulars)) as u32,
            particulars,
            version: Span { start: own.start, end: own.start + version.len() as u32 },
            words: cut.words.len() as u32,
            depends,
            provides,
            priority: stanza.priority as u16,
            waits: flag(WAITS, waits),
            flags: flag(EMPTY, stanza.installed_size == 0)
                | flag(INSTALLABLE, fits && understood && !stanza.is_beyond_us),
        });
        Ok(())
    }

    /// Takes up a list of a package; whether apk understands all of it.
    fn list(&self, field: char, list: Span, own: &Own<'_>, cut: &mut Piece<'_>) -> Result<bool, IndexError> {
        let mut valid = true;
        let mut ended = false;
        for word in Parts::all_of(part(cut.text, list)) {
            let (parts, place) = word.map_err(|e| self.at(LineError::Dependency(field, e)))?;
            // Only a world can pin: this is no name, and ends the list.
            valid &= parts.tag.is_none();
            ended |= parts.tag.is_some();
            if ended {
                continue;
            }
            let first = list.start + place.start as u32 + u32::from(parts.conflict);
            let name = Span { start: first, end: first + parts.name.len() as u32 };
            let mut last = if parts.conflict { CONFLICT } else { 0 };
            let mut version = 0;
            if let Some((op, wanted)) = parts.constraint {
                // Most are the package's own.
                let is_own = wanted == own.version;
                valid &= op == Op::Checksum || if is_own { own.is_valid } else { version::is_valid(wanted) };
                version = if is_own { own.start } else { cut.put(wanted) };
                last |= number_of(op) << 16 | wanted.len() as u32;
            }
            cut.words.push(Word { name, hash: self.hash(parts.name.as_bytes()), version, last });
        }
        Ok(valid)
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        self.hasher.hash_one(bytes) as u32
    }
}

/// A text, and what is cut of it.
struct Piece<'s> {
    text: &'s str,
    versions: &'s mut String,
    packages: &'s mut Vec<Cut>,
    words: &'s mut Vec<Word>,
}

impl Piece<'_> {
    /// Puts a version behind the others; where it is.
    fn put(&mut self, version: &str) -> u32 {
        let start = self.versions.len() as u32;
        self.versions.push_str(version);
        start
    }
}

impl Stanza {
    /// Takes a line, which begins at `start`.
    fn line(&mut self, line: &str, start: u32) -> Result<(), LineError> {
        self.begun = true;
        let mut chars = line.chars();
        let (Some(letter), Some(':')) = (chars.next(), chars.next()) else {
            return Err(LineError::Shape(line.chars().take(80).collect()));
        };
        let text = chars.as_str();
        let end = start + line.len() as u32;
        let value = Span { start: end - text.len() as u32, end };
        match letter {
            'C' => self.checksum = Some(text.parse()?),
            'P' => self.name = file_part(letter, text).map(|_| Some(value))?,
            'V' => self.version = file_part(letter, text).map(|_| Some(value))?,
            'A' => self.arch = value,
            'S' => self.size = number(letter, text)?,
            'I' => self.installed_size = number(letter, text)?,
            't' => self.build_time = number(letter, text)?,
            'k' => self.priority = number(letter, text)?,
            'q' => drop(number::<u32>(letter, text)?),
            'D' => self.depends = value,
            'p' => self.provides = value,
            'i' => self.install_if = value,
            'r' => Parts::all_of(text)
                .try_for_each(|word| word.map(|_| ()).map_err(|e| LineError::Dependency(letter, e)))?,
            c => self.is_beyond_us |= must_be_known(c),
        }
        Ok(())
    }
}

/// The number of an operator in a row of mentions.
fn number_of(op: Op) -> u32 {
    OPERATORS.iter().position(|known| *known == op).unwrap_or_default() as u32 + 1
}

pub(super) fn part(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}

/// [`part`] of bytes: whether it is whole characters need not be asked of what is only compared.
pub(super) fn bytes(text: &[u8], span: Span) -> &[u8] {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}
