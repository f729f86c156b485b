//! A catalogue as bytes: what the store keeps so that indexes are inflated and read only once.
//!
//! ```text
//! magic, 10 counts,
//! descriptions, sets, names, links and facts of packages, names mentioned, providers,
//! calls of names, what is asked of them, dependents, triggers, versions,
//! where names begin, particulars of packages, names
//! ```
//!
//! Numbers are 32 bits, little-endian; tables are used as they are. The last line stays in the file: names are read
//! only of what a world asks for, and particulars of what is chosen. Whoever keeps it sees to it that it is what was
//! written; a form that is damaged all the same is refused or answers as if names were missing, and never makes
//! anything panic.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;

use super::particulars::{PARTICULARS, cells};
use super::table::Table;
use super::{ASKED, CALLS, Catalogue, FACTS, LINKS, NAME, PROVIDER};

/// Begins every form; changes whenever the form, or what is kept in it, does.
pub const FORMAT: [u8; 16] = *b"hoopy catalog 5\n";

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
    /// What reading what stays in a file fails with.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut descriptions = Vec::new();
        for description in &self.descriptions {
            descriptions.extend((description.len() as u32).to_le_bytes());
            descriptions.extend_from_slice(description.as_bytes());
        }
        let [starts, particulars, texts] = &self.kept;
        let counts: [usize; COUNTS] = [
            descriptions.len(),
            self.sets.len(),
            self.names.len(),
            self.links.len(),
            self.mentioned.len(),
            self.providers.len(),
            self.dependents.len(),
            self.triggers.len(),
            self.versions.len(),
            texts.len() as usize,
        ];
        let counts: Vec<u8> = counts.iter().flat_map(|count| (*count as u32).to_le_bytes()).collect();
        let parts = [
            FORMAT.as_slice(),
            &counts,
            &descriptions,
            self.sets.bytes(),
            self.names.bytes(),
            self.links.bytes(),
            self.facts.bytes(),
            self.mentioned.bytes(),
            self.providers.bytes(),
            self.calls.bytes(),
            self.asked.bytes(),
            self.dependents.bytes(),
            self.triggers.bytes(),
            self.versions.as_bytes(),
            &starts.all()?,
            &particulars.all()?,
            &texts.all()?,
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
        let kept = head.kept().map(|length| {
            // The head has seen to it that all of them are there.
            let (text, after) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
            rest = after;
            Kept::Held(text.to_vec())
        });
        Ok(Self::with(front, back, kept))
    }

    /// Reads what [`Catalogue::to_bytes`] wrote from a file, which it keeps open for the rest. Half of it is read on
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
        let (file, lengths) = (Arc::new(file), head.kept());
        let mut start = size - lengths.iter().sum::<u64>();
        let kept = lengths.map(|length| {
            let text = Kept::Filed { file: file.clone(), start, length };
            start += length;
            text
        });
        Ok(Self::with(front?, back?, kept))
    }

    fn with(front: Front, back: Back, kept: [Kept; 3]) -> Self {
        let Front { descriptions, sets, names, links, facts, mentioned, providers } = front;
        let Back { calls, asked, dependents, triggers, versions } = back;
        let records = cells(links.len());
        Self {
            descriptions,
            sets,
            names,
            calls,
            links,
            facts,
            mentioned,
            asked,
            providers,
            dependents,
            triggers,
            versions,
            kept,
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
        let [_, _, names, packages, mentions, providers, dependents, triggers, versions, ..] = head.0;
        let back = rows(names, 4 * CALLS)
            + rows(mentions, 4 * ASKED)
            + rows(dependents, 4)
            + rows(triggers, 4)
            + rows(versions, 1);
        if HEAD as u64 + head.front() + back + head.kept().iter().sum::<u64>() != size {
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
        let [said, sets, names, packages, mentions, providers, ..] = self.0;
        rows(said, 1)
            + rows(sets, 8)
            + rows(names, 4 * NAME)
            + rows(packages, 4 * (LINKS + FACTS))
            + rows(mentions, 4)
            + rows(providers, 4 * PROVIDER)
    }

    /// Bytes of each of what stays in a file.
    fn kept(&self) -> [u64; 3] {
        let [_, _, names, packages, .., texts] = self.0;
        [rows(names, 4), rows(packages.saturating_sub(1), 4 * PARTICULARS), rows(texts, 1)]
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
    links: Table<LINKS>,
    facts: Table<FACTS>,
    mentioned: Table<1>,
    providers: Table<PROVIDER>,
}

impl Front {
    fn read(from: &mut impl Read, head: &Head) -> Result<Self, BadForm> {
        let [said, sets, names, packages, mentions, providers, ..] = head.0;
        Ok(Self {
            descriptions: descriptions(&bytes(from, said)?)?,
            sets: Table::read(from, sets as usize)?,
            names: Table::read(from, names as usize)?,
            links: Table::read(from, packages as usize)?,
            facts: Table::read(from, packages as usize)?,
            mentioned: Table::read(from, mentions as usize)?,
            providers: Table::read(from, providers as usize)?,
        })
    }
}

/// The second half, without what stays in the file.
struct Back {
    calls: Table<CALLS>,
    asked: Table<ASKED>,
    dependents: Table<1>,
    triggers: Table<1>,
    versions: String,
}

impl Back {
    fn read(from: &mut impl Read, head: &Head) -> Result<Self, BadForm> {
        let [_, _, names, _, mentions, _, dependents, triggers, versions, ..] = head.0;
        Ok(Self {
            calls: Table::read(from, names as usize)?,
            asked: Table::read(from, mentions as usize)?,
            dependents: Table::read(from, dependents as usize)?,
            triggers: Table::read(from, triggers as usize)?,
            versions: String::from_utf8(bytes(from, versions)?).map_err(|_| BadForm)?,
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

/// Bytes in memory, or a part of a file.
#[derive(Debug)]
pub(super) enum Kept {
    Held(Vec<u8>),
    Filed { file: Arc<File>, start: u64, length: u64 },
}

impl Kept {
    fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Filed { length, .. } => *length,
        }
    }

    fn all(&self) -> io::Result<Cow<'_, [u8]>> {
        self.part(0, self.len())
    }

    /// The bytes from `start` to `end`; none where there are none such.
    fn part(&self, start: u64, end: u64) -> io::Result<Cow<'_, [u8]>> {
        let end = end.min(self.len());
        let start = start.min(end);
        match self {
            Self::Held(bytes) => Ok(bytes.get(start as usize..end as usize).unwrap_or_default().into()),
            Self::Filed { file, start: first, .. } => {
                let mut part = vec![0; (end - start) as usize];
                file.read_exact_at(&mut part, first + start)?;
                Ok(part.into())
            }
        }
    }

    /// Where these bytes are rows of numbers: the one that is `at`.
    pub fn row<const N: usize>(&self, at: u32) -> io::Result<[u32; N]> {
        self.numbers(u64::from(at) * N as u64)
    }

    /// All rows, read at once.
    pub fn rows<const N: usize>(&self) -> io::Result<Vec<[u32; N]>> {
        let bytes = self.all()?;
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap_or_default());
        let row = |bytes: &[u8]| {
            let mut row = [0; N];
            row.iter_mut().zip(bytes.chunks_exact(4)).for_each(|(to, from)| *to = number(from));
            row
        };
        Ok(bytes.chunks_exact(4 * N).map(row).collect())
    }

    /// The number that is `at`, and those after it.
    fn numbers<const N: usize>(&self, at: u64) -> io::Result<[u32; N]> {
        let bytes = self.part(4 * at, 4 * (at + N as u64))?;
        Ok(Table::<N>::read(&mut &*bytes, 1)?.row(0))
    }

    /// Where these bytes are numbers that say where in `others` the items of a list begin: the item that is `at`.
    pub fn listed(&self, at: u32, others: &Self) -> io::Result<Vec<u8>> {
        let [start, end] = self.numbers(u64::from(at))?;
        Ok(others.part(u64::from(start), u64::from(end))?.into_owned())
    }
}
