//! A layer with its contents, in one stream of frames: what goes through the sandbox's pipe.
//!
//! For each entry one frame ([`super::frame`]) with the entry as [`Entry::encode`] writes it, for a regular file as many
//! frames of content as it takes, and at the end a frame that says so. A stream without that was cut short, so a writer
//! that stops half way is noticed.
//!
//! Where both sides know a file that has the contents, the stream is one of places: instead of its content, an entry has
//! behind it where that begins in the file, eight bytes.

use std::io::{self, Read, Write};

use super::entry::Entry;
use super::frame::{self, Kind, MAX_CONTENT, invalid};

/// Writes a layer.
pub struct Writer<W> {
    out: W,
    /// A piece of content on its way.
    piece: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, in small pieces: give it a buffered one.
    pub fn new(out: W) -> Self {
        Self { out, piece: Vec::new() }
    }

    /// Writes one entry, with its content if it is a regular file: exactly as much as it says its size is.
    ///
    /// # Errors
    /// What `out` or `content` fails with; `InvalidData` for an entry that no reader takes, of which nothing is written,
    /// and when `content` is shorter than the entry says. Then the stream is good for nothing and its reader will
    /// notice.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        self.frame(entry, &[])?;
        let (size, mut copied) = (entry.size(), 0);
        while copied < size {
            let wanted = (size - copied).min(MAX_CONTENT as u64);
            self.piece.clear();
            content.take(wanted).read_to_end(&mut self.piece)?;
            if self.piece.is_empty() {
                let what = format!("{}: the content ends after {copied} of {size} bytes", entry.path);
                return Err(invalid(what));
            }
            copied += self.piece.len() as u64;
            frame::write(&mut self.out, Kind::Content, &self.piece)?;
        }
        Ok(())
    }

    /// Writes one entry of a stream of places: its content begins at `place`.
    ///
    /// # Errors
    /// What `out` fails with, and `InvalidData` for an entry that no reader takes.
    pub fn placed(&mut self, entry: &Entry, place: u64) -> io::Result<()> {
        self.frame(entry, &place.to_le_bytes())
    }

    fn frame(&mut self, entry: &Entry, behind: &[u8]) -> io::Result<()> {
        self.piece.clear();
        encode(entry, behind, &mut self.piece)?;
        frame::write(&mut self.out, Kind::Entry, &self.piece)
    }

    /// Ends the stream and gives back what it was written to.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn finish(mut self) -> io::Result<W> {
        frame::write(&mut self.out, Kind::End, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Whether a reader takes this entry.
///
/// # Errors
/// `InvalidData` where not: the message says what it has too much of.
pub fn check(entry: &Entry) -> io::Result<()> {
    // Without attributes it is far from the bound of a frame
    if entry.xattrs.is_empty() {
        return entry.check().map_err(|e| invalid(e.to_string()));
    }
    encode(entry, &[], &mut Vec::new())
}

fn encode(entry: &Entry, behind: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    entry.check().map_err(|e| invalid(e.to_string()))?;
    entry.encode(to);
    to.extend(behind);
    let (len, most) = (to.len(), Kind::Entry.most());
    if len > most {
        let what = format!("{}: its attributes have {len} bytes, expected at most {most}", entry.path);
        return Err(invalid(what));
    }
    Ok(())
}

/// Reads a layer. Frames are bounded ([`Kind::most`]); contents are passed on, never held.
pub struct Reader<R> {
    from: R,
    /// Bytes of the current entry's content that are still to come.
    left: u64,
    /// Bytes of those that the current frame has.
    piece: usize,
    /// Where the current entry's content begins, in a stream of places.
    place: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Ended,
    /// Something was not as it should be: nobody knows what follows.
    Broken,
}

impl<R: Read> Reader<R> {
    /// Reads from `from`, in small pieces: give it a buffered one.
    pub fn new(from: R) -> Self {
        Self { from, left: 0, piece: 0, place: None, state: State::Going }
    }

    /// Reads a stream of places.
    pub fn of_places(from: R) -> Self {
        Self { place: Some(0), ..Self::new(from) }
    }

    /// Where the content of the entry that was read last begins; nothing where it is in the stream.
    pub fn place(&self) -> Option<u64> {
        self.place
    }

    /// Whether the stream itself failed: then what it comes from is of no more use.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// The next entry, or `None` at the end. What was not read of the last one's content is skipped.
    ///
    /// # Errors
    /// What `from` fails with, `UnexpectedEof` for a stream that was cut short and `InvalidData` for anything
    /// that [`Writer`] does not write. After an error it gives errors alone.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        io::copy(&mut self.content(), &mut io::sink())?;
        match self.state {
            State::Going => {}
            State::Ended => return Ok(None),
            State::Broken => return Err(invalid("a layer stream that is broken already")),
        }
        self.state = State::Broken;
        let found = self.entry()?;
        self.state = if found.is_some() { State::Going } else { State::Ended };
        Ok(found)
    }

    fn entry(&mut self) -> io::Result<Option<Entry>> {
        let bytes = match frame::begin(&mut self.from)? {
            Some((Kind::Entry, len)) => frame::payload(&mut self.from, len)?,
            Some((Kind::End, _)) => return Ok(None),
            Some((other, _)) => return Err(invalid(format!("{other:?} where an entry should begin"))),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let mut rest = &bytes[..];
        // What ends too early within its frame is wrong, not cut short
        let entry = Entry::read(&mut rest).map_err(|e| invalid(e.to_string()))?;
        match (&mut self.place, rest.try_into()) {
            (None, _) if rest.is_empty() => self.left = entry.size(),
            (Some(place), Ok(behind)) => *place = u64::from_le_bytes(behind),
            _ => return Err(invalid(format!("{}: more in its frame than an entry", entry.path))),
        }
        Ok(Some(entry))
    }

    /// The content of the entry that was read last. In a stream that was cut short it ends with an error.
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
        let reader = &mut *self.reader;
        if reader.state != State::Going || reader.left == 0 || buf.is_empty() {
            return Ok(0);
        }
        // Whatever is returned early is an error
        reader.state = State::Broken;
        if reader.piece == 0 {
            reader.piece = match frame::begin(&mut reader.from)? {
                Some((Kind::Content, len)) if len > 0 && len as u64 <= reader.left => len,
                Some((kind, len)) => {
                    return Err(invalid(format!("{kind:?} of {len} bytes within a content")));
                }
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let most = reader.piece.min(buf.len());
        let n = reader.from.read(&mut buf[..most]).inspect_err(|e| {
            if e.kind() == io::ErrorKind::Interrupted {
                reader.state = State::Going;
            }
        })?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.state = State::Going;
        reader.piece -= n;
        reader.left -= n as u64;
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

    #[test]
    fn an_entry_that_no_reader_takes_is_not_begun() {
        let too_large: [fn(&mut Entry); 4] = [
            |entry| drop(entry.xattrs.insert(b"user.a".to_vec(), vec![b'x'; 65537])),
            |entry| drop(entry.xattrs.insert(vec![b'a'; 65537], Vec::new())),
            |entry| entry.user.name = Some("u".repeat(65537)),
            |entry| entry.xattrs.extend((0..257).map(|n: u32| (n.to_le_bytes().to_vec(), Vec::new()))),
        ];
        for change in too_large {
            let mut entry = file("a", b"");
            change(&mut entry);
            let mut writer = Writer::new(Vec::new());
            let error = writer.entry(&entry, &mut io::empty()).unwrap_err();
            assert!(error.to_string().contains(", expected at most "), "{error}");
            assert_eq!(writer.out, b"");
        }
        let link = Kind::Symlink(vec![b'x'; 65537]);
        let link = Entry::new(EntryPath::new("l").unwrap(), link, 0o777);
        assert!(Writer::new(Vec::new()).entry(&link, &mut io::empty()).is_err());
        // Each within bounds, and too much together
        let mut entry = file("a", b"");
        entry.xattrs.extend((0..20_u32).map(|n| (n.to_le_bytes().to_vec(), vec![0; 65536])));
        let error = Writer::new(Vec::new()).entry(&entry, &mut io::empty()).unwrap_err();
        assert!(error.to_string().ends_with("expected at most 1048576"), "{error}");
    }

    #[test]
    fn a_content_is_never_read_as_anything_else() {
        // A content that is a stream by itself, with a message behind it
        let (_, mut inner) = written();
        frame::write(&mut inner, frame::Kind::Message, b"run this").unwrap();
        let entry = file("evil", &inner);
        let mut writer = Writer::new(Vec::new());
        writer.entry(&entry, &mut &inner[..]).unwrap();
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(&bytes[..]);
        assert_eq!(reader.next_entry().unwrap().unwrap(), entry);
        assert_eq!(reader.next_entry().unwrap(), None);
        // One that is longer or shorter than its entry says ends the stream
        for size in [inner.len() - 1, inner.len() + 1] {
            let wrong = file("evil", &vec![0; size]);
            let mut bytes = Vec::new();
            let mut encoded = Vec::new();
            wrong.encode(&mut encoded);
            frame::write(&mut bytes, frame::Kind::Entry, &encoded).unwrap();
            frame::write(&mut bytes, frame::Kind::Content, &inner).unwrap();
            frame::write(&mut bytes, frame::Kind::End, b"").unwrap();
            let mut reader = Reader::new(&bytes[..]);
            reader.next_entry().unwrap();
            assert_eq!(reader.next_entry().unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert!(reader.is_broken() && reader.next_entry().is_err());
        }
    }

    mod properties {
        use proptest::collection::{btree_map, vec};
        use proptest::prelude::*;

        use super::*;
        use crate::layer::Owner;

        fn path() -> impl Strategy<Value = EntryPath> {
            "[a-z]{1,8}(/[a-z]{1,8}){0,3}".prop_map(|text| EntryPath::new(text).unwrap())
        }

        fn owner() -> impl Strategy<Value = Owner> {
            (any::<u32>(), proptest::option::of("[a-z]{1,32}")).prop_map(|(id, name)| Owner { id, name })
        }

        fn kind(content: &[u8]) -> impl Strategy<Value = Kind> + use<> {
            let file = Kind::File { size: content.len() as u64, content: ContentId::of(content) };
            prop_oneof![
                4 => Just(file),
                1 => any::<bool>().prop_map(|opaque| Kind::Dir { opaque }),
                1 => vec(any::<u8>(), 0..5000).prop_map(Kind::Symlink),
                1 => path().prop_map(Kind::Hardlink),
                1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::Char { major, minor }),
                1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::Block { major, minor }),
                1 => Just(Kind::Fifo),
                1 => Just(Kind::Whiteout),
            ]
        }

        /// Any entry that there may be, with attributes up to just over the bound, and its content.
        fn entries() -> impl Strategy<Value = Vec<(Entry, Vec<u8>)>> {
            let length = prop_oneof![0..100_usize, 65_530..65_540_usize];
            let value = (any::<u8>(), length).prop_map(|(byte, len)| vec![byte; len]);
            let xattrs = btree_map(vec(any::<u8>(), 1..40), value, 0..4);
            let content =
                prop_oneof![vec(any::<u8>(), 0..300), (65_530..65_540_usize).prop_map(|n| vec![7; n])];
            let entry = content.prop_flat_map(move |content| {
                let kind = kind(&content);
                (path(), kind, any::<(u32, u64)>(), owner(), owner(), xattrs.clone()).prop_map(
                    move |(path, kind, (mode, mtime), user, group, xattrs)| {
                        (Entry { path, kind, mode, user, group, mtime, xattrs }, content.clone())
                    },
                )
            });
            vec(entry, 0..6)
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(256))]

            #[test]
            fn what_is_written_is_read(entries in entries(), behind in vec(any::<u8>(), 0..64)) {
                let mut writer = Writer::new(Vec::new());
                let written = entries.iter().try_for_each(|(entry, content)| {
                    writer.entry(entry, &mut &content[..])
                });
                // Whatever was begun when one was refused is no whole stream
                let refused = entries.iter().any(|(entry, _)| entry.check().is_err());
                prop_assert_eq!(written.is_err(), refused);
                let mut bytes = if refused { writer.out } else { writer.finish().unwrap() };
                let len = bytes.len();
                if !refused {
                    bytes.extend(&behind);
                }
                let mut reader = Reader::new(&bytes[..]);
                let mut read = Vec::new();
                let ended = loop {
                    match reader.next_entry() {
                        Ok(Some(entry)) => {
                            let mut content = Vec::new();
                            reader.content().read_to_end(&mut content).unwrap();
                            read.push((entry, content));
                        }
                        ended => break ended.map(drop),
                    }
                };
                let expected: Vec<_> = entries
                    .into_iter()
                    .map(|(entry, content)| if entry.size() > 0 { (entry, content) } else { (entry, Vec::new()) })
                    .take(read.len())
                    .collect();
                prop_assert_eq!(&read, &expected);
                prop_assert_eq!(ended.is_err(), refused);
                // What follows it is left alone
                prop_assert_eq!(reader.into_inner().len(), if refused { 0 } else { bytes.len() - len });
            }

            #[test]
            fn nothing_that_is_damaged_is_read_as_something_else(at in any::<proptest::sample::Index>(), to in any::<u8>()) {
                let (entries, mut bytes) = written();
                let at = at.index(bytes.len());
                bytes[at] = to;
                let mut reader = Reader::new(&bytes[..]);
                let mut count = 0;
                while let Ok(Some(_)) = reader.next_entry() {
                    count += 1;
                }
                prop_assert!(count <= entries.len());
            }
        }
    }
}
