//! What the processes of the sandbox tell each other through pipes: messages of a tag and byte strings.
//!
//! A message is a frame ([`hoopy_store::layer::frame`]) of its tag, a `u32` count, then each string with a `u32` length before
//! it, little-endian, and nothing behind them. Both ends are the same program, but neither relies on that: everything is
//! bounded, by the same constants where it is written and where it is read.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use hoopy_base::digest::LayerId;
use hoopy_store::layer::frame::{self, Kind};

mod failure;
mod run;

use super::error::Ended;
use super::limits::Limit;
pub(super) use failure::{Doing, Failure, Part};
pub(super) use run::{Run, Upper};

/// Longest string: a script's body, with room for a self-extracting one.
const MAX_STRING: usize = 64 << 20;
/// Most strings in a message: [`Run`] has the most.
const MAX_STRINGS: usize = 16;

/// The first byte of a message: what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// To a session: the first message, [`Start`].
    Start,
    /// To a session: its user namespace has its ids now.
    Mapped,
    /// To a session: unpack the layer with this id; its stream follows.
    Unpack,
    /// To a session: unpack the layer with this id, whose contents are in the file that is handed over; its stream of
    /// places follows.
    UnpackFrom,
    /// To a session: run this, [`Run`].
    Run,
    /// To a session: remove all unpacked layers but these, unless another session uses them.
    Clear,
    /// Answer: done.
    Done,
    /// Answer: not done, since others need what it was about.
    InUse,
    /// Answer: not done, [`Failure`].
    Failed,
    /// Answer: the script ran, and its changes found no room in memory.
    Full,
    /// Answer: the script ended so, and wrote this. After a success the stream of the changes follows.
    Ended,
    /// Answer: the script was ended, since it reached this limit. It wrote this.
    Limited,
}

impl Tag {
    const ALL: [Self; 12] = [
        Self::Start,
        Self::Mapped,
        Self::Unpack,
        Self::UnpackFrom,
        Self::Run,
        Self::Clear,
        Self::InUse,
        Self::Done,
        Self::Failed,
        Self::Full,
        Self::Ended,
        Self::Limited,
    ];
}

/// A message as it came.
pub(super) struct Message {
    pub(super) tag: Tag,
    strings: std::vec::IntoIter<Vec<u8>>,
}

/// Writes a message.
///
/// # Errors
/// `InvalidInput` for one that no reader takes, of which nothing is written, and what `out` fails with.
pub(super) fn send(out: &mut dyn Write, tag: Tag, strings: &[&[u8]]) -> io::Result<()> {
    let longest = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    if strings.len() > MAX_STRINGS || longest > MAX_STRING {
        let what = format!("a message with {longest} bytes in one part: expected at most {MAX_STRING}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut bytes = Vec::with_capacity(5 + strings.iter().map(|string| string.len() + 4).sum::<usize>());
    bytes.push(tag as u8);
    bytes.extend((strings.len() as u32).to_le_bytes());
    for string in strings {
        bytes.extend((string.len() as u32).to_le_bytes());
        bytes.extend_from_slice(string);
    }
    frame::write(out, Kind::Message, &bytes)?;
    out.flush()
}

/// Reads a message, or `None` where the other side has hung up.
///
/// # Errors
/// `InvalidData` for anything that [`send`] does not write. Nobody knows what follows it then.
pub(super) fn receive(from: &mut dyn Read) -> io::Result<Option<Message>> {
    let len = match frame::begin(from)? {
        None => return Ok(None),
        Some((Kind::Message, len)) => len,
        Some((other, _)) => return Err(bad(&format!("unexpected message {other:?}"))),
    };
    parse(&frame::payload(from, len)?).map(Some)
}

fn parse(mut rest: &[u8]) -> io::Result<Message> {
    let bytes = &mut rest;
    let tag = take(bytes, 1)?[0];
    let tag = Tag::ALL.into_iter().find(|t| *t as u8 == tag).ok_or_else(|| bad("of unknown kind"))?;
    let count = bounded(bytes, MAX_STRINGS)?;
    let string = |_| bounded(bytes, MAX_STRING).and_then(|len| take(bytes, len)).map(<[u8]>::to_vec);
    let strings = (0..count).map(string).collect::<io::Result<Vec<_>>>()?;
    if rest.is_empty() {
        Ok(Message { tag, strings: strings.into_iter() })
    } else {
        Err(bad("with more in its frame than its parts"))
    }
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> io::Result<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len).ok_or_else(|| bad("that ends within a part"))?;
    *from = rest;
    Ok(taken)
}

fn bounded(from: &mut &[u8], max: usize) -> io::Result<usize> {
    let bytes = take(from, 4)?.try_into().unwrap_or_default();
    let value = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if value <= max { Ok(value) } else { Err(bad("larger than any that is sent")) }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message {what}"))
}

impl Message {
    pub(super) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        self.strings.next().ok_or_else(|| bad("with a part missing"))
    }

    pub(super) fn text(&mut self) -> io::Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| bad("that is not UTF-8"))
    }

    pub(super) fn path(&mut self) -> io::Result<PathBuf> {
        self.bytes().map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)))
    }

    pub(super) fn number(&mut self) -> io::Result<i32> {
        let bytes = self.bytes()?;
        bytes.try_into().map(i32::from_le_bytes).map_err(|_| bad("with a number of the wrong size"))
    }

    pub(super) fn size(&mut self) -> io::Result<u64> {
        let bytes = self.bytes()?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| bad("with a size of the wrong size"))
    }

    pub(super) fn ids(&mut self) -> io::Result<Vec<LayerId>> {
        let bytes = self.bytes()?;
        let (ids, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() {
            Ok(ids.iter().map(|id| LayerId::from_bytes(*id)).collect())
        } else {
            Err(bad("with half an id"))
        }
    }

    pub(super) fn limit(&mut self) -> io::Result<Limit> {
        let (number, most) = (self.number()?, self.size()?);
        Limit::from_number(number, most).ok_or_else(|| bad("of a limit of unknown kind"))
    }

    pub(super) fn ended(&mut self) -> io::Result<Ended> {
        match (self.number()?, self.number()?) {
            (0, status) => Ok(Ended::Exit(status)),
            (_, signal) => Ok(Ended::Signal(signal)),
        }
    }
}

/// What a session begins with.
pub(super) struct Start {
    /// Whether the host's root started it, who takes ids of the user namespace instead of its own.
    pub(super) root: bool,
    /// Where an ordinary user keeps unpacked layers: of all boots and mappings of ids. Root removes the other ones itself.
    pub(super) lowers: PathBuf,
    /// The part of the directory's name that says which boot this is.
    pub(super) boot: String,
    /// The part that says which mapping of ids.
    pub(super) identity: String,
}

impl Start {
    pub(super) fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        let lowers = self.lowers.as_os_str().as_bytes();
        send(
            out,
            Tag::Start,
            &[&[u8::from(self.root)], lowers, self.boot.as_bytes(), self.identity.as_bytes()],
        )
    }

    pub(super) fn from(message: &mut Message) -> io::Result<Self> {
        Ok(Self {
            root: message.bytes()? == [1],
            lowers: message.path()?,
            boot: message.text()?,
            identity: message.text()?,
        })
    }
}

/// Reads messages as both sides do, until there is none: what a fuzzer begins with. What is understood is sent again and
/// must be what was read.
#[doc(hidden)]
pub(super) fn read_through(mut bytes: &[u8]) {
    let again = |message: &Message| {
        let strings: Vec<&[u8]> = message.strings.as_slice().iter().map(Vec::as_slice).collect();
        let mut sent = Vec::new();
        send(&mut sent, message.tag, &strings).map(|()| sent)
    };
    loop {
        let before = bytes;
        let Ok(Some(mut message)) = receive(&mut bytes) else { return };
        let read = before.get(..before.len() - bytes.len());
        assert_eq!(again(&message).ok().as_deref(), read, "what was read is not what is sent");
        match message.tag {
            Tag::Start => drop(Start::from(&mut message)),
            Tag::Run => drop(Run::from(&mut message)),
            Tag::Failed => drop(Failure::from(&mut message)),
            Tag::Ended => drop(message.ended()),
            Tag::Limited => drop(message.limit()),
            Tag::Unpack | Tag::UnpackFrom | Tag::Clear => drop(message.ids()),
            Tag::Done => drop(message.size()),
            Tag::Mapped | Tag::InUse | Tag::Full => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_message_cut_short_or_too_large() {
        let mut bytes = Vec::new();
        send(&mut bytes, Tag::Run, &[b"abc"]).unwrap();
        assert_eq!(parse(&bytes[5..]).unwrap().tag, Tag::Run);
        for end in 1..bytes.len() {
            assert!(receive(&mut &bytes[..end]).is_err(), "cut at {end}");
        }
        for end in 5..bytes.len() {
            assert!(parse(&bytes[5..end]).is_err(), "cut at {end} within its frame");
        }
        assert!(parse(&[&bytes[5..], b"x"].concat()).is_err(), "more in its frame");
        let count = 6..10;
        bytes[count].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(receive(&mut &bytes[..]).is_err());
        assert!(receive(&mut &b"M\x05\0\0\0\x63\0\0\0\0"[..]).is_err(), "of unknown kind");
        assert!(receive(&mut &b""[..]).unwrap().is_none());
    }

    #[test]
    fn sends_nothing_of_what_no_reader_takes() {
        let mut bytes = Vec::new();
        let long = vec![0; MAX_STRING + 1];
        assert!(send(&mut bytes, Tag::Run, &[&long]).is_err());
        assert!(send(&mut bytes, Tag::Run, &[&b"x"[..]; MAX_STRINGS + 1]).is_err());
        assert!(send(&mut bytes, Tag::Run, &[&long[1..], &long[1..]]).is_err(), "too long together");
        assert_eq!(bytes, b"");
        send(&mut bytes, Tag::Run, &[&long[1..]]).unwrap();
        assert_eq!(receive(&mut &bytes[..]).unwrap().unwrap().bytes().unwrap().len(), MAX_STRING);
    }

    mod properties {
        use proptest::collection::vec;
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn what_is_sent_is_received(
                tag in 0..Tag::ALL.len(),
                strings in vec(vec(any::<u8>(), 0..200), 0..=MAX_STRINGS),
                behind in vec(any::<u8>(), 0..16),
            ) {
                let parts: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
                let mut bytes = Vec::new();
                send(&mut bytes, Tag::ALL[tag], &parts).unwrap();
                bytes.extend(&behind);
                let mut from = &bytes[..];
                let message = receive(&mut from).unwrap().unwrap();
                prop_assert_eq!(message.tag, Tag::ALL[tag]);
                prop_assert_eq!(message.strings.collect::<Vec<_>>(), strings);
                prop_assert_eq!(from, &behind[..]);
            }

            #[test]
            fn only_what_is_sent_is_received(bytes in vec(any::<u8>(), 0..200)) {
                if let Ok(message) = parse(&bytes) {
                    let strings: Vec<Vec<u8>> = message.strings.collect();
                    let parts: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
                    let mut again = Vec::new();
                    send(&mut again, message.tag, &parts).unwrap();
                    prop_assert_eq!(&again[5..], &bytes[..]);
                }
            }
        }
    }
}
