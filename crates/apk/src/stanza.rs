//! The stanzas of an index and of the installed database: a letter, a colon, a value, a blank line at the end
//! (apk-tools `doc/apk-package.5`, `src/package.c`).

use std::fmt::Write as _;

use crate::checksum::BadChecksum;
use crate::dependency::{Dependency, ParseDependencyError};
use crate::record::{Checksum, Record};
use crate::version::Version;

/// What is wrong with a line of a stanza.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No letter and colon.
    #[error("expected a letter, `:` and a value, found {0:?}")]
    Shape(String),
    /// A number that is none.
    #[error("field `{0}:` is not a number: {1:?}")]
    Number(char, String),
    /// A checksum that is none.
    #[error("field `C:`: {0}")]
    Checksum(#[from] BadChecksum),
    /// A dependency that is none.
    #[error("field `{0}:`: {1}")]
    Dependency(char, ParseDependencyError),
    /// A name or version that no file can have.
    #[error("field `{0}:`: {1:?} cannot be part of a file name")]
    Name(char, String),
    /// A field that must be there.
    #[error("the stanza that ends here has no field `{0}:`")]
    Missing(char),
}

/// Name and version together are part of a file's name, which has 255 bytes; the longest real name has under 70.
const MAX_FILE_PART: usize = 200;

/// A stanza being read.
#[derive(Debug)]
pub struct StanzaReader {
    record: Record,
    seen_checksum: bool,
    begun: bool,
}

impl Default for StanzaReader {
    fn default() -> Self {
        Self { record: Record::empty(), seen_checksum: false, begun: false }
    }
}

impl StanzaReader {
    /// Takes one line that is not blank. Fields of the installed database's files (`F R M a Z`) are passed over.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn line(&mut self, line: &str) -> Result<(), LineError> {
        let mut chars = line.chars();
        let (Some(letter), Some(':')) = (chars.next(), chars.next()) else {
            return Err(LineError::Shape(line.chars().take(80).collect()));
        };
        self.begun = true;
        self.field(letter, chars.as_str())
    }

    /// The record, when the stanza is complete; `None` when nothing was read since the last one.
    ///
    /// # Errors
    /// [`LineError::Missing`].
    pub fn end(&mut self) -> Result<Option<Record>, LineError> {
        let draft = std::mem::take(self);
        match () {
            () if !draft.begun => Ok(None),
            () if draft.record.name.is_empty() => Err(LineError::Missing('P')),
            () if draft.record.version.as_str().is_empty() => Err(LineError::Missing('V')),
            () if !draft.seen_checksum => Err(LineError::Missing('C')),
            () => Ok(Some(draft.record)),
        }
    }

    fn field(&mut self, letter: char, value: &str) -> Result<(), LineError> {
        let record = &mut self.record;
        match letter {
            'C' => {
                record.checksum = value.parse()?;
                self.seen_checksum = true;
            }
            'P' => record.name = file_part(letter, value)?.into(),
            'V' => record.version = Version::new(file_part(letter, value)?),
            'A' => record.arch = value.into(),
            'S' => record.size = number(letter, value)?,
            'I' => record.installed_size = number(letter, value)?,
            'T' => record.description = value.into(),
            'U' => record.url = value.into(),
            'L' => record.license = value.into(),
            'o' => record.origin = value.into(),
            'm' => record.maintainer = value.into(),
            't' => record.build_time = number(letter, value)?,
            'c' => record.commit = value.into(),
            'k' => record.provider_priority = number(letter, value)?,
            'q' => record.replaces_priority = number(letter, value)?,
            'D' => record.depends = dependencies(letter, value)?,
            'p' => record.provides = dependencies(letter, value)?,
            'r' => record.replaces = dependencies(letter, value)?,
            'i' => record.install_if = dependencies(letter, value)?,
            'F' | 'R' | 'M' | 'Z' => {}
            c => record.unknown_field = record.unknown_field.or(must_be_known(c).then_some(c)),
        }
        Ok(())
    }
}

/// Whether apk installs no package with such a field where it does not know the field. In small letters it would be one that
/// can be passed over.
pub(crate) fn must_be_known(letter: char) -> bool {
    !letter.is_ascii_lowercase()
}

pub(crate) fn file_part(letter: char, value: &str) -> Result<&str, LineError> {
    if is_file_part(value) {
        Ok(value)
    } else {
        Err(LineError::Name(letter, value.chars().take(80).collect()))
    }
}

/// Whether a name or version can be part of a file's name, and of a line: what a carriage return ends is another line
/// when it is read again.
pub(crate) fn is_file_part(text: &str) -> bool {
    let bad = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    // As nearly all are; an index has tens of thousands.
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        return !text.is_empty() && text.len() < MAX_FILE_PART && !text.starts_with('.');
    }
    !text.is_empty() && text.len() < MAX_FILE_PART && !text.starts_with('.') && !text.contains(bad)
}

/// What a package says of itself may have line breaks, and a field is a line: apk keeps the first. A carriage return
/// before the break would be taken for part of it when it is read again.
pub(crate) fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default().trim_end_matches('\r')
}

pub(crate) fn number<T: std::str::FromStr>(letter: char, value: &str) -> Result<T, LineError> {
    value.parse().map_err(|_| LineError::Number(letter, value.chars().take(80).collect()))
}

pub(crate) fn dependencies(letter: char, value: &str) -> Result<Vec<Dependency>, LineError> {
    let parse = |text: &str| text.parse().map_err(|e| LineError::Dependency(letter, e));
    value.split_ascii_whitespace().map(parse).collect()
}

impl Record {
    /// A record with nothing in it.
    pub fn empty() -> Self {
        Self {
            checksum: Checksum::Sha1([0; 20]),
            name: "".into(),
            version: Version::new(""),
            arch: "".into(),
            size: 0,
            installed_size: 0,
            description: "".into(),
            url: "".into(),
            license: "".into(),
            origin: "".into(),
            maintainer: "".into(),
            build_time: 0,
            commit: "".into(),
            provider_priority: 0,
            replaces_priority: 0,
            depends: Vec::new(),
            provides: Vec::new(),
            replaces: Vec::new(),
            install_if: Vec::new(),
            unknown_field: None,
        }
    }

    /// The stanza, with the blank line that ends it left off: fields in apk's order.
    pub fn stanza(&self) -> String {
        let mut out = String::new();
        let mut put = |letter: char, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{letter}:{value}");
        };
        let first = |text: &str| first_line(text).to_owned();
        put('C', &self.checksum);
        put('P', &self.name);
        put('V', &self.version);
        if !self.arch.is_empty() {
            put('A', &first(&self.arch));
        }
        put('S', &self.size);
        put('I', &self.installed_size);
        put('T', &first(&self.description));
        put('U', &first(&self.url));
        put('L', &first(&self.license));
        for (letter, text) in [('o', &self.origin), ('m', &self.maintainer)] {
            if !text.is_empty() {
                put(letter, &first(text));
            }
        }
        if self.build_time != 0 {
            put('t', &self.build_time);
        }
        if !self.commit.is_empty() {
            put('c', &first(&self.commit));
        }
        if self.provider_priority != 0 {
            put('k', &self.provider_priority);
        }
        for (letter, list) in [('D', &self.depends), ('p', &self.provides)] {
            if !list.is_empty() {
                put(letter, &joined(list));
            }
        }
        if !self.install_if.is_empty() {
            put('i', &joined(&self.install_if));
        }
        out
    }
}

pub(crate) fn joined(list: &[Dependency]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
