//! A layer with its contents, in one stream: what goes through the sandbox's pipe and into the store.
//!
//! For each entry a byte 1, the entry as [`Entry::encode`] writes it and, for a regular file, its content; a byte
//! 0 at the end. A stream without that byte was cut short, so a writer that stops half way is noticed.
//!
//! Where both sides know a file that has the contents, the stream is one of places: instead of its content, an entry has
//! behind it where that begins in the file, eight bytes.

use std::io::{self, Read, Write};

use super::entry::Entry;

/// Stands before an entry.
const ENTRY: u8 = 1;
/// Stands at the end.
const END: u8 = 0;

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Writes a layer.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, in small pieces: give it a buffered one.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes one entry, with its content if it is a regular file: exactly as much as it says its size is.
    ///
    /// # Errors
    /// What `out` or `content` fails with; `InvalidData` when `content` is shorter than the entry says. Then
    /// the stream is good for nothing and its reader will notice.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        self.out.write_all(&[ENTRY])?;
        entry.write(&mut self.out)?;
        let size = entry.size();
        let copied = if size == 0 { 0 } else { io::copy(&mut content.take(size), &mut self.out)? };
        if copied == size {
            return Ok(());
        }
        Err(invalid(format!("{}: the content ends after {copied} of {size} bytes", entry.path)))
    }

    /// Writes one entry of a stream of places: its content begins at `place`.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn placed(&mut self, entry: &Entry, place: u64) -> io::Result<()> {
        self.out.write_all(&[ENTRY])?;
        entry.write(&mut self.out)?;
        self.out.write_all(&place.to_le_bytes())
    }

    /// Ends the stream and gives back what it was written to.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[END])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a layer. Entries are bounded by [`Entry::read`]; contents are passed on, never held.
pub struct Reader<R> {
    from: R,
    /// Bytes of the current entry's content that are still to come.
    left: u64,
    /// Where the current entry's content begins, in a stream of places.
    place: Option<u64>,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from `from`, in small pieces: give it a buffered one.
    pub fn new(from: R) -> Self {
        Self { from, left: 0, place: None, done: false }
    }

    /// Reads a stream of places.
    pub fn of_places(from: R) -> Self {
        Self { place: Some(0), ..Self::new(from) }
    }

    /// Where the content of the entry that was read last begins; nothing where it is in the stream.
    pub fn place(&self) -> Option<u64> {
        self.place
    }

    /// The next entry, or `None` at the end. What was not read of the last one's content is skipped.
    ///
    /// # Errors
    /// What `from` fails with, `UnexpectedEof` for a stream that was cut short and `InvalidData` for anything
    /// that [`Writer`] does not write.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        io::copy(&mut self.content(), &mut io::sink())?;
        if self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.done {
            return Ok(None);
        }
        let mut tag = [0];
        self.from.read_exact(&mut tag)?;
        match tag[0] {
            END => {
                self.done = true;
                Ok(None)
            }
            ENTRY => {
                let entry = Entry::read(&mut self.from)?;
                match &mut self.place {
                    None => self.left = entry.size(),
                    Some(place) => {
                        let mut bytes = [0; 8];
                        self.from.read_exact(&mut bytes)?;
                        *place = u64::from_le_bytes(bytes);
                    }
                }
                Ok(Some(entry))
            }
            other => Err(invalid(format!("a layer stream with byte {other} where an entry should begin"))),
        }
    }

    /// The content of the entry that was read last. It ends early in a stream that was cut short: compare.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { reader: self }
    }

    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.from
    }
}

/// The content of one entry of a [`Reader`].
pub struct Content<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.reader.left).unwrap_or(usize::MAX).min(buf.len());
        let n = self.reader.from.read(&mut buf[..most])?;
        self.reader.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::ContentId;

    use super::*;
    use crate::layer::{EntryPath, Kind};

    fn file(path: &str, content: &[u8]) -> Entry {
        let kind = Kind::File { size: content.len() as u64, content: ContentId::of(content) };
        Entry::new(EntryPath::new(path).unwrap(), kind, 0o644)
    }

    fn written() -> (Vec<Entry>, Vec<u8>) {
        let dir = Entry::new(EntryPath::new("etc").unwrap(), Kind::Dir { opaque: true }, 0o755);
        let entries = vec![dir, file("etc/a", b"hello"), file("etc/b", b""), file("etc/c", b"x")];
        let mut writer = Writer::new(Vec::new());
        for (entry, content) in entries.iter().zip(["", "hello and more", "", "x"]) {
            writer.entry(entry, &mut content.as_bytes()).unwrap();
        }
        (entries, writer.finish().unwrap())
    }

    #[test]
    fn gives_back_entries_and_contents() {
        let (entries, bytes) = written();
        let mut reader = Reader::new(&bytes[..]);
        let mut contents = Vec::new();
        for entry in &entries {
            assert_eq!(reader.next_entry().unwrap().as_ref(), Some(entry));
            reader.content().read_to_end(&mut contents).unwrap();
        }
        assert_eq!(reader.next_entry().unwrap(), None);
        assert_eq!(contents, b"hellox");
    }

    #[test]
    fn gives_back_entries_and_places() {
        let entries = [file("etc/a", b"hello"), file("etc/b", b""), file("etc/c", b"x")];
        let mut writer = Writer::new(Vec::new());
        entries.iter().zip(7..).try_for_each(|(entry, place)| writer.placed(entry, place)).unwrap();
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::of_places(&bytes[..]);
        for (entry, place) in entries.iter().zip(7..) {
            assert_eq!(reader.next_entry().unwrap().as_ref(), Some(entry));
            assert_eq!(reader.place(), Some(place));
        }
        assert_eq!(reader.next_entry().unwrap(), None);
        for end in 0..bytes.len() {
            let mut reader = Reader::of_places(&bytes[..end]);
            let read: Result<Vec<_>, _> = std::iter::from_fn(|| reader.next_entry().transpose()).collect();
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut at {end}");
        }
    }

    #[test]
    fn skips_contents_that_nobody_read() {
        let (entries, bytes) = written();
        let mut reader = Reader::new(&bytes[..]);
        let read: Vec<Entry> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
        assert_eq!(read, entries);
    }

    #[test]
    fn refuses_a_stream_cut_short_anywhere() {
        let (_, bytes) = written();
        for end in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..end]);
            let result =
                std::iter::from_fn(|| reader.next_entry().transpose()).collect::<Result<Vec<_>, _>>();
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut at {end}");
        }
    }

    #[test]
    fn refuses_to_write_a_content_shorter_than_its_entry() {
        let mut writer = Writer::new(Vec::new());
        let error = writer.entry(&file("a", b"hello"), &mut &b"hel"[..]).unwrap_err();
        assert_eq!(error.to_string(), "a: the content ends after 3 of 5 bytes");
    }
}
