//! A catalogue as bytes: what the store keeps so that indexes are inflated and read only once.
//!
//! ```text
//! magic, 10 counts, descriptions, sets, names, packages, mentions, providers, dependents, triggers, text, stanzas
//! ```
//!
//! Numbers are 32 bits, little-endian; tables are used as they are. The stanzas come last, and stay in the file: they
//! are read only of what is chosen. Whoever keeps it sees to it that it is what was written; a form that is damaged
//! all the same is refused or answers as if names were missing, and never makes anything panic.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use super::table::Table;
use super::{Catalogue, MENTION, NAME, PACKAGE, PROVIDER, Stanzas, cells};

/// Begins every form; changes whenever the form, or what is kept in it, does.
pub const FORMAT: [u8; 16] = *b"hoopy catalog 2\n";

/// How many counts follow.
const COUNTS: usize = 10;

/// What is read at once of the first, short parts.
const HEAD: usize = 4096;

/// Bytes that are no catalogue of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a catalogue as this version of hoopy writes it")]
pub struct BadForm;

impl From<io::Error> for BadForm {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Catalogue {
    /// The catalogue as bytes.
    ///
    /// # Errors
    /// What reading the stanzas fails with, where they are in a file.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut descriptions = Vec::new();
        for description in &self.descriptions {
            descriptions.extend((description.len() as u32).to_le_bytes());
            descriptions.extend_from_slice(description.as_bytes());
        }
        let stanzas = self.stanzas.part(0, self.stanzas.len())?;
        let counts: [usize; COUNTS] = [
            descriptions.len(),
            self.sets.len(),
            self.names.len(),
            self.packages.len(),
            self.mentions.len(),
            self.providers.len(),
            self.dependents.len(),
            self.triggers.len(),
            self.text.len(),
            stanzas.len(),
        ];
        let counts: Vec<u8> = counts.iter().flat_map(|count| (*count as u32).to_le_bytes()).collect();
        let parts = [
            FORMAT.as_slice(),
            &counts,
            &descriptions,
            self.sets.bytes(),
            self.names.bytes(),
            self.packages.bytes(),
            self.mentions.bytes(),
            self.providers.bytes(),
            self.dependents.bytes(),
            self.triggers.bytes(),
            self.text.as_bytes(),
            &stanzas,
        ];
        Ok(parts.concat())
    }

    /// Reads what [`Catalogue::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BadForm`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadForm> {
        let mut rest = bytes;
        let mut catalogue = Self::read(&mut rest, bytes.len() as u64)?;
        catalogue.stanzas = Stanzas::Held(rest.to_vec());
        Ok(catalogue)
    }

    /// Reads what [`Catalogue::to_bytes`] wrote from the beginning of a file, which it keeps open for the stanzas.
    ///
    /// # Errors
    /// [`BadForm`], also where the file cannot be read.
    pub fn open(file: File) -> Result<Self, BadForm> {
        let size = file.metadata()?.len();
        let mut catalogue = Self::read(&mut BufReader::with_capacity(HEAD, &file), size)?;
        if let Stanzas::Filed { file: place, .. } = &mut catalogue.stanzas {
            *place = Some(file);
        }
        Ok(catalogue)
    }

    /// Reads all but the stanzas of a form of `size` bytes.
    fn read(from: &mut impl Read, size: u64) -> Result<Self, BadForm> {
        let mut magic = [0; FORMAT.len()];
        from.read_exact(&mut magic)?;
        let counts = Table::<COUNTS>::read(from, 1)?.row(0);
        let [said, sets, names, packages, mentions, providers, dependents, triggers, text, stanzas] = counts;
        let widths = [1, 8, 4 * NAME, 4 * PACKAGE, 4 * MENTION, 4 * PROVIDER, 4, 4, 1, 1];
        let sizes = counts.iter().zip(widths).map(|(count, width)| u64::from(*count) * width as u64);
        let head = FORMAT.len() + 4 * COUNTS;
        // Nothing is made room for that is not there.
        if magic != FORMAT || head as u64 + sizes.sum::<u64>() != size {
            return Err(BadForm);
        }
        let none = |rows: u32, of: [u32; 3]| rows <= 1 && of.iter().any(|count| *count > 0);
        // Both end with a row that says where the last lists end.
        if names == 0 || packages == 0 || none(names, [packages - 1, mentions, triggers]) {
            return Err(BadForm);
        }
        if none(packages, [providers, dependents, 0]) {
            return Err(BadForm);
        }
        let descriptions = descriptions(&bytes(from, said)?)?;
        let packages = packages as usize;
        Ok(Self {
            descriptions,
            sets: Table::read(from, sets as usize)?,
            names: Table::read(from, names as usize)?,
            packages: Table::read(from, packages)?,
            mentions: Table::read(from, mentions as usize)?,
            providers: Table::read(from, providers as usize)?,
            dependents: Table::read(from, dependents as usize)?,
            triggers: Table::read(from, triggers as usize)?,
            text: String::from_utf8(bytes(from, text)?).map_err(|_| BadForm)?,
            stanzas: Stanzas::Filed { file: None, start: size - u64::from(stanzas), length: stanzas },
            records: cells(packages),
        })
    }
}

fn bytes(from: &mut impl Read, count: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn descriptions(mut bytes: &[u8]) -> Result<Vec<String>, BadForm> {
    let mut descriptions = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(BadForm)?;
        descriptions.push(String::from_utf8(text.to_vec()).map_err(|_| BadForm)?);
        bytes = rest;
    }
    Ok(descriptions)
}

impl Stanzas {
    pub(super) fn len(&self) -> u32 {
        match self {
            Self::Held(bytes) => bytes.len() as u32,
            Self::Filed { length, .. } => *length,
        }
    }

    /// The bytes from `start` to `end`; none where there are none such.
    pub(super) fn part(&self, start: u32, end: u32) -> io::Result<Vec<u8>> {
        let end = end.min(self.len());
        let start = start.min(end);
        match self {
            Self::Held(bytes) => Ok(bytes.get(start as usize..end as usize).unwrap_or_default().to_vec()),
            Self::Filed { file, start: first, .. } => {
                let mut part = vec![0; (end - start) as usize];
                let file = file.as_ref().ok_or(io::ErrorKind::NotFound)?;
                file.read_exact_at(&mut part, first + u64::from(start))?;
                Ok(part)
            }
        }
    }
}

/// Never asked for before a catalogue has a file or bytes.
impl Default for Stanzas {
    fn default() -> Self {
        Self::Held(Vec::new())
    }
}
