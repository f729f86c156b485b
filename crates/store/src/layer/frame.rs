//! Frames: what goes through the sandbox's pipes, so that no content is ever read as a message.
//!
//! ```text
//! kind (1 byte) │ length (u32, little-endian) │ payload
//! ```
//!
//! A reader says which kinds it takes where it is; any other byte there is an error. What a payload says about itself
//! (the strings of a message, the fields of an entry) is read from within its frame and must fill it. Both sides
//! bound a frame by [`Kind::most`]: a writer refuses, before it writes a byte, what a reader would refuse.

use std::io::{self, Read, Write};

/// What a frame holds: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message.
    Message = b'M',
    /// One entry of a layer.
    Entry = b'E',
    /// A piece of the content of the entry before it.
    Content = b'C',
    /// The end of a layer.
    End = b'.',
}

/// Longest message: a script's body of 64 MiB with all that is said about it.
pub const MAX_MESSAGE: usize = 65 << 20;

/// Longest entry: twice what Linux lets a file have of names and values of attributes at the least favourable
/// filesystem, which are 64 KiB each, with room for many small ones.
pub const MAX_ENTRY: usize = 1 << 20;

/// Longest piece of content: what a pipe holds.
pub const MAX_CONTENT: usize = 64 << 10;

impl Kind {
    const ALL: [Self; 4] = [Self::Message, Self::Entry, Self::Content, Self::End];

    /// Most bytes that its payload has.
    pub const fn most(self) -> usize {
        match self {
            Self::Message => MAX_MESSAGE,
            Self::Entry => MAX_ENTRY,
            Self::Content => MAX_CONTENT,
            Self::End => 0,
        }
    }
}

/// What a stream breaks its own rules with.
pub(super) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Writes a frame.
///
/// # Errors
/// `InvalidInput` for a payload that is longer than a reader takes, and what `out` fails with.
pub fn write(out: &mut dyn Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= kind.most());
    let Some(len) = len else {
        let (len, most) = (payload.len(), kind.most());
        let what = format!("{kind:?} of {len} bytes: expected at most {most}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    };
    out.write_all(&[kind as u8])?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(payload)
}

/// Reads the beginning of a frame: its kind and the length of its payload, within bounds. `None` where nothing comes any
/// more.
///
/// # Errors
/// `InvalidData` for what no frame begins with, `UnexpectedEof` for half a beginning, and what `from` fails with.
pub fn begin(from: &mut dyn Read) -> io::Result<Option<(Kind, usize)>> {
    let mut first = [0];
    loop {
        match from.read(&mut first) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == first[0]);
    let kind = kind.ok_or_else(|| invalid(format!("byte {} where a frame should begin", first[0])))?;
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len > kind.most() {
        return Err(invalid(format!("{kind:?} of {len} bytes: expected at most {}", kind.most())));
    }
    Ok(Some((kind, len)))
}

/// Reads a payload of `len` bytes.
///
/// # Errors
/// `UnexpectedEof` where fewer come, and what `from` fails with.
pub fn payload(from: &mut dyn Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Grows with what really comes, so that a wrong length allocates nothing
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_writer_refuses_what_a_reader_would() {
        for kind in Kind::ALL {
            let most = vec![0; kind.most()];
            let mut bytes = Vec::new();
            write(&mut bytes, kind, &most).unwrap();
            let mut from = &bytes[..];
            assert_eq!(begin(&mut from).unwrap(), Some((kind, most.len())));
            assert_eq!(payload(&mut from, most.len()).unwrap(), most);
            let mut nothing = Vec::new();
            let more = vec![0; kind.most() + 1];
            assert_eq!(write(&mut nothing, kind, &more).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(nothing, [0; 0], "{kind:?}");
            bytes[1..5].copy_from_slice(&(kind.most() as u32 + 1).to_le_bytes());
            assert_eq!(begin(&mut &bytes[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn an_end_within_a_frame_is_noticed() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Content, b"content").unwrap();
        assert_eq!(begin(&mut &b""[..]).unwrap(), None);
        for end in 1..5 {
            assert_eq!(begin(&mut &bytes[..end]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(payload(&mut &bytes[5..9], 7).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
