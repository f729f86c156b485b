//! A catalogue as bytes: what the store keeps so that indexes are inflated and read only once.
//!
//! ```text
//! magic, 10 counts, descriptions, sets, names, packages, names mentioned, what is asked of them, providers, dependents, triggers, text, stanzas
//! ```
//!
//! Numbers are 32 bits, little-endian; tables are used as they are. The stanzas come last, and stay in the file: they
//! are read only of what is chosen. Whoever keeps it sees to it that it is what was written; a form that is damaged
//! all the same is refused or answers as if names were missing, and never makes anything panic.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::thread;

use super::table::Table;
use super::{ASKED, Catalogue, NAME, PACKAGE, PROVIDER, Stanzas, cells};

/// Begins every form; changes whenever the form, or what is kept in it, does.
pub const FORMAT: [u8; 16] = *b"hoopy catalog 3\n";

/// How many counts follow.
const COUNTS: usize = 10;

/// Bytes of these and of what comes before.
const HEAD: usize = FORMAT.len() + 4 * COUNTS;

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
            self.mentioned.len(),
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
            self.mentioned.bytes(),
            self.asked.bytes(),
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
        let head = Head::read(&mut rest, bytes.len() as u64)?;
        let (front, back) = (Front::read(&mut rest, &head)?, Back::read(&mut rest, &head)?);
        Ok(Self::with(front, back, Stanzas::Held(rest.to_vec())))
    }

    /// Reads what [`Catalogue::to_bytes`] wrote from a file, which it keeps open for the stanzas. Half of it is read on
    /// another core: most of the time goes by in making memory ready.
    ///
    /// # Errors
    /// [`BadForm`], also where the file cannot be read.
    pub fn open(file: File) -> Result<Self, BadForm> {
        let size = file.metadata()?.len();
        let head = Head::read(&mut At { file: &file, place: 0 }, size)?;
        let middle = HEAD as u64 + head.front();
        let (front, back) = thread::scope(|scope| {
            let back = scope.spawn(|| Back::read(&mut At { file: &file, place: middle }, &head));
            let front = Front::read(&mut At { file: &file, place: HEAD as u64 }, &head);
            (front, back.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let [.., length] = head.0;
        let stanzas = Stanzas::Filed { start: size - u64::from(length), length, file };
        Ok(Self::with(front?, back?, stanzas))
    }

    fn with(front: Front, back: Back, stanzas: Stanzas) -> Self {
        let Front { descriptions, sets, names, packages, mentioned } = front;
        let Back { asked, providers, dependents, triggers, text } = back;
        let records = cells(packages.len());
        Self {
            descriptions,
            sets,
            names,
            packages,
            mentioned,
            asked,
            providers,
            dependents,
            triggers,
            text,
            stanzas,
            records,
        }
    }
}

/// The counts that a form begins with.
struct Head([u32; COUNTS]);

impl Head {
    /// Of a form of `size` bytes. Nothing is made room for that is not there.
    fn read(from: &mut impl Read, size: u64) -> Result<Self, BadForm> {
        let bytes = bytes(from, HEAD as u32)?;
        let counts = bytes.strip_prefix(&FORMAT).ok_or(BadForm)?;
        let head = Self(Table::read(&mut &*counts, 1)?.row(0));
        let [.., text, stanzas] = head.0;
        let [_, _, names, packages, mentions, providers, dependents, triggers, ..] = head.0;
        let back = rows(mentions, 4 * ASKED)
            + rows(providers, 4 * PROVIDER)
            + rows(dependents, 4)
            + rows(triggers, 4)
            + rows(text, 1);
        if HEAD as u64 + head.front() + back + u64::from(stanzas) != size {
            return Err(BadForm);
        }
        let none = |rows: u32, of: [u32; 3]| rows <= 1 && of.iter().any(|count| *count > 0);
        // Both end with a row that says where the last lists end.
        if names == 0 || packages == 0 || none(names, [packages - 1, mentions, triggers]) {
            return Err(BadForm);
        }
        if none(packages, [providers, dependents, 0]) { Err(BadForm) } else { Ok(head) }
    }

    /// Bytes of the first half.
    fn front(&self) -> u64 {
        let [said, sets, names, packages, mentions, ..] = self.0;
        rows(said, 1)
            + rows(sets, 8)
            + rows(names, 4 * NAME)
            + rows(packages, 4 * PACKAGE)
            + rows(mentions, 4)
    }
}

fn rows(count: u32, width: usize) -> u64 {
    u64::from(count) * width as u64
}

/// The first half of a form.
struct Front {
    descriptions: Vec<String>,
    sets: Table<2>,
    names: Table<NAME>,
    packages: Table<PACKAGE>,
    mentioned: Table<1>,
}

impl Front {
    fn read(from: &mut impl Read, head: &Head) -> Result<Self, BadForm> {
        let [said, sets, names, packages, mentions, ..] = head.0;
        Ok(Self {
            descriptions: descriptions(&bytes(from, said)?)?,
            sets: Table::read(from, sets as usize)?,
            names: Table::read(from, names as usize)?,
            packages: Table::read(from, packages as usize)?,
            mentioned: Table::read(from, mentions as usize)?,
        })
    }
}

/// The second half, without the stanzas.
struct Back {
    asked: Table<ASKED>,
    providers: Table<PROVIDER>,
    dependents: Table<1>,
    triggers: Table<1>,
    text: String,
}

impl Back {
    fn read(from: &mut impl Read, head: &Head) -> Result<Self, BadForm> {
        let [_, _, _, _, mentions, providers, dependents, triggers, text, _] = head.0;
        Ok(Self {
            asked: Table::read(from, mentions as usize)?,
            providers: Table::read(from, providers as usize)?,
            dependents: Table::read(from, dependents as usize)?,
            triggers: Table::read(from, triggers as usize)?,
            text: String::from_utf8(bytes(from, text)?).map_err(|_| BadForm)?,
        })
    }
}

/// A file from some place on, with a place of its own: two of them can be read at once.
struct At<'f> {
    file: &'f File,
    place: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.place)?;
        self.place += read as u64;
        Ok(read)
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
                file.read_exact_at(&mut part, first + u64::from(start))?;
                Ok(part)
            }
        }
    }
}
