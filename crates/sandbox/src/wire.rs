//! What the processes of the sandbox tell each other through pipes: messages of a tag and byte strings.
//!
//! A message is its tag, a `u32` count, then each string with a `u32` length before it, little-endian. Both
//! ends are the same program, but the side that runs as root does not rely on that: everything is bounded.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use hoopy_base::digest::LayerId;

use super::error::Ended;
use super::{Lowers, Script};

/// Longest string: a script's body, with room for a self-extracting one.
const MAX_STRING: u32 = 64 << 20;
/// Most strings in a message: [`Run`] has the most, eleven.
const MAX_STRINGS: u32 = 16;

/// The first byte of a message: what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// To a session: the first message, [`Start`].
    Start,
    /// To a session: its user namespace has its ids now.
    Mapped,
    /// To a session: unpack the layer with this id; its stream follows.
    Unpack,
    /// To a session: unpack the layer with this id, whose contents are in this file; its stream of places follows.
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
}

impl Tag {
    const ALL: [Self; 11] = [
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
    ];
}

/// A message as it came.
pub(super) struct Message {
    pub(super) tag: Tag,
    strings: std::vec::IntoIter<Vec<u8>>,
}

/// Writes a message.
pub(super) fn send(out: &mut dyn Write, tag: Tag, strings: &[&[u8]]) -> io::Result<()> {
    out.write_all(&[tag as u8])?;
    out.write_all(&(strings.len() as u32).to_le_bytes())?;
    for string in strings {
        out.write_all(&(string.len() as u32).to_le_bytes())?;
        out.write_all(string)?;
    }
    out.flush()
}

/// Reads a message, or `None` where the other side has hung up.
pub(super) fn receive(from: &mut dyn Read) -> io::Result<Option<Message>> {
    let mut tag = [0];
    if from.read(&mut tag)? == 0 {
        return Ok(None);
    }
    let tag = Tag::ALL.into_iter().find(|t| *t as u8 == tag[0]).ok_or_else(|| bad("of unknown kind"))?;
    let count = bounded(from, MAX_STRINGS)?;
    let strings = (0..count).map(|_| string(from)).collect::<io::Result<Vec<_>>>()?;
    Ok(Some(Message { tag, strings: strings.into_iter() }))
}

fn string(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let len = bounded(from, MAX_STRING)?;
    let mut bytes = Vec::new();
    // Grows with what really comes, so that a wrong length allocates nothing
    from.take(len.into()).read_to_end(&mut bytes)?;
    if bytes.len() == len as usize { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn bounded(from: &mut dyn Read, max: u32) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    let value = u32::from_le_bytes(bytes);
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

    fn lowers(&mut self) -> io::Result<Lowers> {
        let (ids, sizes) = (self.ids()?, self.bytes()?);
        let mut rest = &ids[..];
        let mut groups = Vec::new();
        for size in sizes.as_chunks::<4>().0 {
            let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
            let (group, others) = rest.split_at_checked(size).ok_or_else(|| bad("with a layer missing"))?;
            groups.push(group.to_vec());
            rest = others;
        }
        Ok(Lowers::from_groups(groups))
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
    /// Whether to make a user namespace.
    pub(super) mapped: bool,
    /// Where unpacked layers are kept: of all boots and mappings of ids.
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
            &[&[u8::from(self.mapped)], lowers, self.boot.as_bytes(), self.identity.as_bytes()],
        )
    }

    pub(super) fn from(message: &mut Message) -> io::Result<Self> {
        Ok(Self {
            mapped: message.bytes()? == [1],
            lowers: message.path()?,
            boot: message.text()?,
            identity: message.text()?,
        })
    }
}

/// Where a script's changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upper {
    /// To a tmpfs of bounded size: fast, and nothing is left that must be removed.
    Memory,
    /// To the store's filesystem.
    Disk,
}

/// A script, the layers below it, and where its changes go.
pub(super) struct Run {
    pub(super) script: Script,
    pub(super) lowers: Lowers,
    pub(super) upper: Upper,
}

impl Run {
    pub(super) fn send(
        out: &mut dyn Write,
        script: &Script,
        lowers: &Lowers,
        upper: Upper,
    ) -> io::Result<()> {
        let args: Vec<u8> = script.args.iter().flat_map(|arg| arg.iter().copied().chain([0])).collect();
        let env: Vec<u8> =
            script.env.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect();
        let layers: Vec<u8> = lowers.layers().flat_map(|id| *id.as_bytes()).collect();
        let groups: Vec<u8> = lowers.groups().iter().flat_map(|g| (g.len() as u32).to_le_bytes()).collect();
        let bind = script.bind.as_ref().map_or(&b""[..], |path| path.as_os_str().as_bytes());
        let hidden: Vec<u8> =
            script.hidden.iter().flat_map(|p| p.as_os_str().as_bytes().iter().copied().chain([0])).collect();
        let strings = [
            script.name.as_bytes(),
            &script.body,
            &args,
            &env,
            script.cwd.as_os_str().as_bytes(),
            bind,
            &hidden,
            &[u8::from(script.network)],
            &layers,
            &groups,
            &[u8::from(upper == Upper::Memory)],
        ];
        send(out, Tag::Run, &strings)
    }

    pub(super) fn from(message: &mut Message) -> io::Result<Self> {
        let (name, body) = (message.text()?, message.bytes()?);
        let args = split(&message.bytes()?).map(<[u8]>::to_vec).collect();
        let env = message.text()?;
        let env = split(env.as_bytes()).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let cwd = message.path()?;
        let bind = Some(message.path()?).filter(|path| !path.as_os_str().is_empty());
        let hidden = message.bytes()?;
        let hidden = split(&hidden).map(|p| OsStr::from_bytes(p).into()).collect();
        let network = message.bytes()? == [1];
        let script = Script { name, body, args, env, cwd, bind, hidden, network };
        let lowers = message.lowers()?;
        let upper = if message.bytes()? == [1] { Upper::Memory } else { Upper::Disk };
        Ok(Self { script, lowers, upper })
    }
}

fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(&[0]).into_iter().flat_map(|bytes| bytes.split(|&b| b == 0))
}

/// Which part of the work failed, where the other side does more than pass the message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Making namespaces.
    Namespaces,
    /// Starting the script itself.
    Exec,
    /// Anything else.
    Other,
}

/// A helper's error on its way to the program that knows the user.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) part: Part,
    /// What it was doing: "mount /proc".
    pub(super) what: String,
    pub(super) source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.source)
    }
}

impl Failure {
    pub(super) fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        let part = match self.part {
            Part::Namespaces => 0_i32,
            Part::Exec => 1,
            Part::Other => 2,
        };
        let errno = self.source.raw_os_error().unwrap_or(0);
        let message = self.source.to_string();
        let strings =
            [&part.to_le_bytes()[..], self.what.as_bytes(), &errno.to_le_bytes(), message.as_bytes()];
        send(out, Tag::Failed, &strings)
    }

    pub(super) fn from(message: &mut Message) -> io::Result<Self> {
        let part = match message.number()? {
            0 => Part::Namespaces,
            1 => Part::Exec,
            _ => Part::Other,
        };
        let what = message.text()?;
        let (errno, text) = (message.number()?, message.text()?);
        let source = if errno == 0 { io::Error::other(text) } else { io::Error::from_raw_os_error(errno) };
        Ok(Self { part, what, source })
    }
}

/// Says what was being done when something failed.
pub(super) trait Doing<T> {
    /// Completes the sentence "cannot ...".
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure { part: Part::Other, what: what.to_string(), source: e.into() })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn gives_back_a_run_as_it_was_sent() {
        let script = Script {
            name: "x.post-install".into(),
            body: b"#!/bin/sh\n\0".to_vec(),
            args: vec![b"1.0".to_vec(), Vec::new(), vec![0xff]],
            env: vec![("A".into(), "b=c".into()), ("D".into(), String::new())],
            cwd: "/mnt".into(),
            bind: None,
            hidden: vec!["images".into()],
            network: true,
        };
        let mut bytes = Vec::new();
        let [a, b, c] = [b"a", b"b", b"c"].map(|id| LayerId::of(id));
        let lowers = Lowers::from_groups(vec![vec![a, b], vec![c]]);
        Run::send(&mut bytes, &script, &lowers, Upper::Memory).unwrap();
        let mut message = receive(&mut &bytes[..]).unwrap().unwrap();
        let run = Run::from(&mut message).unwrap();
        assert_eq!(format!("{:?}", run.script), format!("{script:?}"));
        assert_eq!((run.lowers, run.upper), (lowers, Upper::Memory));
    }

    #[test]
    fn refuses_a_message_cut_short_or_too_large() {
        let mut bytes = Vec::new();
        send(&mut bytes, Tag::Run, &[b"abc"]).unwrap();
        assert!(receive(&mut &bytes[..bytes.len() - 1]).is_err());
        bytes[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(receive(&mut &bytes[..]).is_err());
        assert!(receive(&mut &[99, 0, 0, 0, 0][..]).is_err());
        assert!(receive(&mut &b""[..]).unwrap().is_none());
    }
}
