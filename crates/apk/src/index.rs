//! The index of a repository. That of v2, `APKINDEX.tar.gz`, is a signature member, then a member with `DESCRIPTION`
//! and `APKINDEX`; the signature is over all that follows its member. That of v3 is `Packages.adb`
//! ([`crate::adb`]); either is told by how it begins.

use std::io::{self, Read};

use hoopy_base::jobs::{Giver, handover};

use crate::adb::{self, AdbError};
use crate::catalogue::{self, Sheaf, Text};
use crate::gzip::{Digests, Member};
use crate::record::Record;
use crate::signature::{self, KeyRing, SignatureError, SigningKey, Verified};
use crate::stanza::{LineError, StanzaReader};
use crate::tar::{self, TarError};

/// Alpine's largest index inflates to about 15 MB; a bomb stops here.
const MAX_TEXT: u64 = 512 << 20;

/// Alpine's is 30 bytes.
const MAX_DESCRIPTION: u64 = 4096;

/// How much is inflated at a time: it stays in the processor's own memory until it is read.
const CHUNK: usize = 128 << 10;

/// What a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// What it says of itself: Alpine's is its branch and commit.
    pub description: String,
    /// The packages.
    pub records: Vec<Record>,
}

/// An index that is none, or is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The signature is missing, by nobody trusted, or wrong.
    #[error("the index cannot be trusted: {0}")]
    Signature(#[from] SignatureError),
    /// The archive around it is damaged.
    #[error("the index is damaged: {0}")]
    Tar(#[from] TarError),
    /// A v3 index is damaged, or has what it must not.
    #[error("the index is damaged: {0}")]
    Adb(#[from] AdbError),
    /// There is no index in it.
    #[error("not an index: it has no file APKINDEX")]
    NoIndex,
    /// It is larger than an index can be.
    #[error("not an index: it inflates to over {MAX_TEXT} bytes")]
    TooLarge,
    /// A line of it is wrong.
    #[error("line {line}: {source}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: LineError,
    },
    /// It is not UTF-8.
    #[error("the index is not UTF-8 text")]
    Encoding,
}

/// What a repository calls its index, of v2 and of v3.
pub const FILE_NAMES: [&str; 2] = ["APKINDEX.tar.gz", "Packages.adb"];

/// What a repository calls the index that is these bytes.
pub fn file_name(bytes: &[u8]) -> &'static str {
    let [two, three] = FILE_NAMES;
    if bytes.starts_with(adb::MAGIC) { three } else { two }
}

/// Reads an index, v2 or v3, and checks that a key of `keys` signed it, before anything in it is parsed.
///
/// # Errors
/// [`IndexError`].
pub fn read(bytes: &[u8], keys: &KeyRing) -> Result<Index, IndexError> {
    if bytes.starts_with(adb::MAGIC) {
        return adb::index::read(bytes, keys);
    }
    records(verify(bytes, keys)?)
}

/// Checks that a key of `keys` signed an index of v2; nothing is inflated but the signature.
///
/// # Errors
/// [`IndexError`].
pub fn verify<'b>(bytes: &'b [u8], keys: &KeyRing) -> Result<Verified<&'b [u8]>, IndexError> {
    let mut reader = tar::Reader::new(Member::new(bytes, Digests::default()));
    let signatures = match reader.next()? {
        Some(first) if signature::is_signature(&first.path) => signature::read(first, &mut reader)?,
        _ => return Err(SignatureError::Unsigned.into()),
    };
    let (rest, _) = reader.into_inner().finish().map_err(TarError::from)?;
    let mut digests = signature::digests(&signatures);
    digests.update(rest);
    Ok(keys.verify(&signatures, &digests.finish(), rest)?)
}

/// Reads a verified index as what a catalogue for `arch` is made of: what resolution needs of it, in a fraction of the
/// time. Inflating, checking lines and looking names up go on at once, on as many cores as there are.
///
/// # Errors
/// [`IndexError`].
pub fn catalogue(index: Verified<&[u8]>, arch: &str) -> Result<catalogue::Builder, IndexError> {
    let mut builder = catalogue::Builder::for_arch(arch);
    let mut cutter = builder.cutter();
    let ((texts, mut inflated), (sheaves, mut cut)) = (handover::<Text>(), handover::<Sheaf>());
    // Whoever finds a fault takes the rest all the same, so that nobody waits for ever to hand it over, and so that
    // damage is told before what follows of it.
    let (description, checked, taken) = std::thread::scope(|scope| {
        let inflating = scope.spawn(move || member(index, |reader, size| inflate(reader, size, &texts)));
        let cutting = scope.spawn(move || {
            let mut checked = Ok(());
            while let Some(text) = inflated.next_piece() {
                if checked.is_ok() {
                    let mut sheaf: Sheaf = sheaves.piece();
                    // What it was cut of before goes back to be filled again.
                    std::mem::swap(&mut sheaf.text, text);
                    checked = cutter.cut(&mut sheaf);
                    let _ = checked.is_ok() && sheaves.give(sheaf);
                }
            }
            checked
        });
        let mut taken = Ok(());
        while let Some(sheaf) = cut.next_piece() {
            if taken.is_ok() {
                taken = builder.take(sheaf);
            }
        }
        (joined(inflating), joined(cutting), taken)
    });
    let (description, ()) = description?;
    checked?;
    taken?;
    Ok(builder.described(description))
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Walks an index: what it says of itself, and what `read` makes of its stanzas, of which it is told the size.
fn member<'b, T>(
    index: Verified<&'b [u8]>,
    read: impl Fn(&mut tar::Reader<Member<&'b [u8]>>, u64) -> Result<T, IndexError>,
) -> Result<(String, T), IndexError> {
    let mut reader = tar::Reader::new(Member::new(index.into_inner(), Digests::default()));
    let mut description = String::new();
    let mut stanzas = None;
    while let Some(entry) = reader.next()? {
        match entry.path.as_slice() {
            b"DESCRIPTION" => {
                description = string((&mut reader).take(MAX_DESCRIPTION))?.trim().to_owned();
            }
            b"APKINDEX" => {
                let size = if let tar::Kind::File(size) = entry.kind { size } else { 0 };
                stanzas = Some(read(&mut reader, size)?);
            }
            _ => {}
        }
    }
    Ok((description, stanzas.ok_or(IndexError::NoIndex)?))
}

/// Hands whole stanzas on as they are inflated, so that the text as a whole is never in memory.
fn inflate<R: Read>(from: &mut R, size: u64, texts: &Giver<Text>) -> Result<(), IndexError> {
    let mut begins = Some(size);
    // Of a stanza that goes on.
    let mut rest = Vec::new();
    let mut total = 0;
    loop {
        let mut text = texts.piece();
        let begun = rest.len();
        // A stanza longer than a chunk: twice as much each time, or copying it would take for ever.
        let wanted = begun + begun.max(CHUNK);
        if text.bytes.len() < wanted {
            text.bytes.resize(wanted, 0);
        }
        let (head, free) = text.bytes.split_at_mut(begun);
        head.copy_from_slice(&rest);
        let read = fill(from, free)?;
        total += read as u64;
        if total > MAX_TEXT {
            return Err(IndexError::TooLarge);
        }
        let (last, filled) = (read < free.len(), begun + read);
        let bytes = text.bytes.get(..filled).unwrap_or_default();
        let whole = memchr::memmem::rfind(bytes, b"\n\n").map_or(0, |blank| blank + 2);
        text.end = if last { filled } else { whole };
        rest.clear();
        rest.extend_from_slice(bytes.get(text.end..).unwrap_or_default());
        if last || text.end > 0 {
            text.begins = begins.take();
            texts.give(text);
        }
        if last {
            return Ok(());
        }
    }
}

/// Reads until `room` is full or there is no more.
fn fill(from: &mut impl Read, mut room: &mut [u8]) -> Result<usize, IndexError> {
    let mut total = 0;
    while !room.is_empty() {
        let read = from.read(room).map_err(TarError::from)?;
        if read == 0 {
            break;
        }
        total += read;
        room = room.get_mut(read..).unwrap_or_default();
    }
    Ok(total)
}

fn records(index: Verified<&[u8]>) -> Result<Index, IndexError> {
    let (description, text) = member(index, |reader, _| {
        let text = string(reader.take(MAX_TEXT + 1))?;
        if text.len() as u64 > MAX_TEXT { Err(IndexError::TooLarge) } else { Ok(text) }
    })?;
    Ok(Index { description, records: parse(&text)? })
}

fn string(mut from: impl Read) -> Result<String, IndexError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(TarError::from)?;
    String::from_utf8(bytes).map_err(|_| IndexError::Encoding)
}

/// Reads the stanzas of an index's text.
///
/// # Errors
/// [`IndexError::Line`].
pub fn parse(text: &str) -> Result<Vec<Record>, IndexError> {
    let mut records = Vec::with_capacity(text.len() / 500);
    let mut draft = StanzaReader::default();
    let mut last = 0;
    for (line, content) in (1..).zip(text.lines()) {
        let at = |source| IndexError::Line { line, source };
        if content.is_empty() {
            records.extend(draft.end().map_err(at)?);
        } else {
            draft.line(content).map_err(at)?;
        }
        last = line;
    }
    records.extend(draft.end().map_err(|source| IndexError::Line { line: last, source })?);
    Ok(records)
}

/// Writes a signed index.
///
/// # Errors
/// What the key or the compressor fails with.
pub fn write(index: &Index, key: &SigningKey) -> Result<Vec<u8>, IndexError> {
    let text = index.records.iter().fold(String::new(), |text, r| text + &r.stanza() + "\n");
    let file = |name: &[u8], text: &str| tar::Entry::file(name, text.len() as u64);
    let entries = [
        (file(b"DESCRIPTION", &index.description), index.description.as_bytes()),
        (file(b"APKINDEX", &text), text.as_bytes()),
    ];
    let member = crate::package::member::member(&entries, true).map_err(|e: io::Error| TarError::from(e))?;
    let mut digests = Digests::all();
    digests.update(&member);
    Ok([key.member(&digests.finish())?, member].concat())
}
