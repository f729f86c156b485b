//! The index of a repository. That of v2, `APKINDEX.tar.gz`, is a signature member, then a member with `DESCRIPTION`
//! and `APKINDEX`; the signature is over all that follows its member. That of v3 is `Packages.adb`
//! ([`crate::adb`]); either is told by how it begins.

use std::io::{self, Read};

use crate::adb::{self, AdbError};
use crate::catalogue;
use crate::gzip::{Digests, Member};
use crate::record::Record;
use crate::signature::{self, KeyRing, SignatureError, SigningKey, Verified};
use crate::stanza::{Draft, LineError};
use crate::tar::{self, TarError};

/// Alpine's largest index inflates to about 15 MB; a bomb stops here.
const MAX_TEXT: u64 = 512 << 20;

/// Alpine's is 30 bytes.
const MAX_DESCRIPTION: u64 = 4096;

/// So much is inflated at a time: it stays in the processor's own memory until it is read.
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

/// Reads a verified index as what a catalogue for `arch` is made of: what resolution needs of it, in a third of the
/// time.
///
/// # Errors
/// [`IndexError`].
pub fn catalogue(index: Verified<&[u8]>, arch: &str) -> Result<catalogue::Builder, IndexError> {
    let (description, builder) = member(index, |reader, size| build(reader, size, arch))?;
    builder.described(description).end()
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

/// Feeds whole lines as they are inflated, so that the text as a whole is never in memory.
fn build<R: Read>(from: &mut R, size: u64, arch: &str) -> Result<catalogue::Builder, IndexError> {
    let mut builder = catalogue::Builder::for_arch(arch).with_room_for(size);
    let mut buffer = vec![0; CHUNK];
    let (mut filled, mut total) = (0, 0_u64);
    loop {
        if filled == buffer.len() {
            // A line longer than a chunk.
            buffer.resize(2 * filled, 0);
        }
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let read = from.read(free).map_err(TarError::from)?;
        total += read as u64;
        if total > MAX_TEXT {
            return Err(IndexError::TooLarge);
        }
        let bytes = buffer.get(..filled + read).unwrap_or_default();
        if read == 0 {
            builder.lines(bytes)?;
            return Ok(builder);
        }
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1);
        builder.lines(bytes.get(..whole).unwrap_or_default())?;
        let end = bytes.len();
        buffer.copy_within(whole..end, 0);
        filled = end - whole;
    }
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
    let mut draft = Draft::default();
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
    let member = crate::package::write::member(&entries, true).map_err(|e: io::Error| TarError::from(e))?;
    let mut digests = Digests::all();
    digests.update(&member);
    Ok([key.member(&digests.finish())?, member].concat())
}
