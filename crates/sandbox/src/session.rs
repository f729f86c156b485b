//! The near side of the sandbox: starts helpers, feeds them, and turns their answers into values and errors.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use hoopy_base::digest::{HashingWriter, LayerId};
use hoopy_store::layer::stream::{Reader, Writer};
use hoopy_store::layer::{Entry, Kind};

use super::arguments::{MARK, SESSION};
use super::bind_directory::{self, BindDirectory};
use super::control_group::ControlGroup;
use super::explain::{explain, failing_line, general};
use super::identity::Identity;
use super::wire::{self, Failure, Message, Run, Start, Tag, Upper};
use super::{Captured, Ended, Limit, Limits, Lowers, Names, Sandbox, SandboxError, Script, descriptors};

/// Buffers before the pipes: as much as a pipe holds at first.
const BUFFER: usize = 64 << 10;

/// What the pipe to a helper holds where the system allows it, which is the most that it does unless it is told
/// otherwise (`fs.pipe-max-size`).
const PIPE: usize = 1 << 20;

/// Most that is shown of what a dead helper said.
const MAX_LAST_WORDS: u64 = 4 << 10;

/// What was being done when an answer makes no sense.
const ANSWER: &str = "read the sandbox's answer";

/// The ends of the pipes to a helper.
#[derive(Debug)]
struct Pipes {
    to: BufWriter<ChildStdin>,
    from: BufReader<UnixStream>,
}

/// Writes the entries of a layer.
pub type Fill<'a> = &'a mut dyn FnMut(&mut Writer<&mut dyn Write>) -> io::Result<()>;

/// A helper that unpacks layers and runs scripts, one after the other. Dropping it ends all that runs in it.
#[derive(Debug)]
pub struct Session {
    helper: PathBuf,
    child: Child,
    /// Goes after the helper has ended.
    group: ControlGroup,
    /// None after something went wrong half way through a message: then nobody knows where the next begins.
    pipes: Option<Pipes>,
    /// The helper's standard error.
    words: File,
    layers: PathBuf,
    lowers: PathBuf,
    limits: Limits,
    /// The user and group outside that are 0 inside.
    owner: (u32, u32),
    /// Root's: the user namespace, by which directories are lent with their owners mapped.
    namespace: Option<File>,
}

impl Session {
    /// Starts a helper for scripts of `sandbox`.
    ///
    /// # Errors
    /// As [`Sandbox::session`].
    pub(super) fn open(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let helper = sandbox.program.path();
        let words =
            tempfile::tempfile_in(&sandbox.lowers).map_err(SandboxError::io("make a temporary file"))?;
        let errors = words.try_clone().map_err(SandboxError::io("make a temporary file"))?;
        let (from, answers) = UnixStream::pair().map_err(SandboxError::io("make a socket"))?;
        let identity = sandbox.identity.name();
        let layers = sandbox.lowers.join(format!("{}-{identity}", sandbox.boot));
        let mut command = Command::new(sandbox.program.to_start());
        command.arg0("hoopy").args([MARK, SESSION]).env_clear();
        // Where it works, since it can't find the way there: it has none of this user's rights soon
        command.current_dir(&layers);
        command.stdin(Stdio::piped()).stdout(OwnedFd::from(answers)).stderr(errors);
        let started = command.spawn();
        // Its copy of the other end
        drop(command);
        let what = || format!("start {} in {}", helper.display(), layers.display());
        let mut child = started.map_err(|source| SandboxError::Io { what: what(), source })?;
        let Some(to) = child.stdin.take() else {
            return Err(SandboxError::HelperDied { helper: helper.to_owned(), message: String::new() });
        };
        // For speed alone: the two of them then wait less for each other
        let _ = rustix::pipe::fcntl_setpipe_size(&to, PIPE);
        let group = ControlGroup::of(child.id(), &sandbox.limits, &sandbox.program.to_start());
        let pipes =
            Pipes { to: BufWriter::with_capacity(BUFFER, to), from: BufReader::with_capacity(BUFFER, from) };
        let root = sandbox.identity.is_root();
        let start = Start { root, lowers: sandbox.lowers.clone(), boot: sandbox.boot.clone(), identity };
        let mut session = Self {
            helper: helper.to_owned(),
            child,
            group,
            pipes: Some(pipes),
            words,
            layers,
            lowers: sandbox.lowers.clone(),
            limits: sandbox.limits,
            owner: sandbox.identity.owner(),
            namespace: None,
        };
        session.start(&start, &sandbox.identity)?;
        Ok(session)
    }

    fn start(&mut self, start: &Start, identity: &Identity) -> Result<(), SandboxError> {
        self.talk(|pipes| start.send(&mut pipes.to))?;
        self.done()?;
        identity.map(self.child.id())?;
        if start.root {
            let namespace = format!("/proc/{}/ns/user", self.child.id());
            let opened = File::open(&namespace).map_err(SandboxError::io(format!("open {namespace}")))?;
            self.namespace = Some(opened);
        }
        self.talk(|pipes| wire::send(&mut pipes.to, Tag::Mapped, &[]))?;
        self.done()
    }

    /// Removes all unpacked layers but those of `keep`, as [`Sandbox::clear`] does.
    pub(super) fn clear(&mut self, keep: &[LayerId]) -> Result<Option<(u64, u64)>, SandboxError> {
        let ids: Vec<u8> = keep.iter().flat_map(|id| *id.as_bytes()).collect();
        self.talk(|pipes| wire::send(&mut pipes.to, Tag::Clear, &[&ids]))?;
        let mut answer = self.answer()?.map_err(general)?;
        if answer.tag != Tag::Done {
            return Ok(None);
        }
        let numbers = answer.size().and_then(|layers| Ok((layers, answer.size()?)));
        numbers.map(Some).map_err(SandboxError::io(ANSWER))
    }

    /// Unpacks a layer, unless it is there. `fill` writes its entries, all of them, owners as numbers and directories
    /// before what they hold; it is not called where there is nothing to do. What comes must have the digest `id`.
    ///
    /// # Errors
    /// [`SandboxError::Unpack`] for a layer that can't be unpacked and [`SandboxError::Read`] where `fill` fails;
    /// after that one, the session is of no more use.
    pub fn unpack(&mut self, id: LayerId, fill: Fill<'_>) -> Result<(), SandboxError> {
        self.unpack_from(id, None, fill)
    }

    /// The same, but where `contents` are given, files have theirs in that file, and `fill` writes where.
    ///
    /// # Errors
    /// As [`Session::unpack`]; [`SandboxError::Unpack`], too, where `contents` cannot be read.
    pub fn unpack_from(
        &mut self,
        id: LayerId,
        contents: Option<&Path>,
        fill: Fill<'_>,
    ) -> Result<(), SandboxError> {
        if self.has(id) {
            return Ok(());
        }
        let contents = contents.map(|path| {
            let message = |e: io::Error| format!("cannot open {}: {e}", path.display());
            File::open(path).map_err(|e| SandboxError::Unpack { id, kind: e.kind(), message: message(e) })
        });
        let contents = contents.transpose()?;
        let mut failed = None;
        let sent = self.talk(|pipes| {
            let tag = if contents.is_some() { Tag::UnpackFrom } else { Tag::Unpack };
            wire::send(&mut pipes.to, tag, &[id.as_bytes()])?;
            if let Some(contents) = &contents {
                descriptors::send(pipes.from.get_ref(), contents.as_fd())?;
            }
            let mut writer = Writer::new(&mut pipes.to as &mut dyn Write);
            fill(&mut writer).inspect_err(|e| failed = Some(io::Error::new(e.kind(), e.to_string())))?;
            writer.finish().map(drop)
        });
        match (sent, failed) {
            (Err(died), Some(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(died),
            (Err(_), Some(source)) => Err(SandboxError::Read { id, source }),
            (Err(died), None) => Err(died),
            (Ok(()), _) => self.answer()?.map(drop).map_err(|failure| SandboxError::Unpack {
                id,
                kind: failure.source.kind(),
                message: failure.to_string(),
            }),
        }
    }

    /// Whether a layer is unpacked.
    pub fn has(&self, id: LayerId) -> bool {
        self.layers.join(id.to_string()).is_dir()
    }

    /// Runs a script over layers and captures what it changes. They stay as they are.
    ///
    /// # Errors
    /// [`SandboxError::ScriptFailed`] and its like for a script that does not end well; the session goes on.
    /// [`SandboxError::MissingLayer`], and whatever keeps a sandbox from being made.
    pub fn run(&mut self, lowers: &Lowers, script: &Script) -> Result<Captured, SandboxError> {
        if !script.body.starts_with(b"#!") && !script.body.starts_with(b"\x7fELF") {
            return Err(SandboxError::NoShebang { name: script.name.clone() });
        }
        if let Some(missing) = lowers.layers().find(|id| !self.has(*id)) {
            return Err(SandboxError::MissingLayer(missing));
        }
        // What packages' scripts change is little. setup.sh does whatever its author likes, and may reach the network:
        // it is not run twice.
        let upper = if script.bind.is_none() { Upper::Memory } else { Upper::Disk };
        self.group.settle();
        let counts = (self.group.out_of_memory(), self.group.out_of_processes());
        let mut message = self.ask(lowers, script, upper)?;
        if message.tag == Tag::Full {
            message = self.ask(lowers, script, Upper::Disk)?;
        }
        if message.tag == Tag::Limited {
            let parts = message.limit().and_then(|limit| Ok((limit, message.bytes()?)));
            let (limit, output) = parts.map_err(SandboxError::io(ANSWER))?;
            return Err(SandboxError::LimitReached { name: script.name.clone(), limit, output });
        }
        let parts = message.ended().and_then(|ended| Ok((ended, message.bytes()?)));
        let (ended, output) = parts.map_err(SandboxError::io(ANSWER))?;
        if ended == Ended::Exit(0) {
            return self.receive(&script.name, output);
        }
        if let Some(limit) = self.reached_meanwhile(counts) {
            return Err(SandboxError::LimitReached { name: script.name.clone(), limit, output });
        }
        let line = failing_line(&output, &script.name);
        Err(SandboxError::ScriptFailed { name: script.name.clone(), ended, line, output })
    }

    /// The limit of the control group that a script which failed ran into.
    fn reached_meanwhile(&self, (memory, processes): (u64, u64)) -> Option<Limit> {
        if self.group.out_of_memory() > memory {
            Some(Limit::Memory(self.limits.memory))
        } else if self.group.out_of_processes() > processes {
            Some(Limit::Processes(self.limits.processes))
        } else {
            None
        }
    }

    fn ask(&mut self, lowers: &Lowers, script: &Script, upper: Upper) -> Result<Message, SandboxError> {
        let lent = bind_directory::prepare(script, self.namespace.as_ref(), self.owner, &self.layers)?;
        let (mount, script) = match &lent {
            BindDirectory::ByPath => (None, script),
            BindDirectory::Mount(mount) => (Some(mount), script),
            BindDirectory::Copy(copy) => (None, copy.script()),
        };
        let limits = self.limits;
        self.talk(|pipes| {
            Run::send(&mut pipes.to, script, lowers, upper, limits, mount.is_some())?;
            mount.map_or(Ok(()), |mount| descriptors::send(pipes.from.get_ref(), mount.as_fd()))
        })?;
        self.answer()?.map_err(|failure| explain(failure, script))
    }

    fn receive(&mut self, name: &str, output: Vec<u8>) -> Result<Captured, SandboxError> {
        let contents =
            tempfile::tempfile_in(&self.lowers).map_err(SandboxError::io("make a temporary file"))?;
        let mut contents = BufWriter::with_capacity(BUFFER, contents);
        let mut failed = None;
        let entries = self.talk(|pipes| {
            let mut reader = Reader::new(&mut pipes.from);
            receive_entries(&mut reader, &mut contents)
                .inspect_err(|e| failed = Some(io::Error::new(e.kind(), e.to_string())))
        });
        let error = |source, output| {
            let (name, what) = (name.to_owned(), "take what it changed".to_owned());
            SandboxError::AroundScript { name, what, source, output }
        };
        let entries = match failed {
            Some(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(error(source, output));
            }
            _ => entries?,
        };
        let rewound = contents.into_inner().map_err(io::IntoInnerError::into_error).and_then(|mut file| {
            file.rewind()?;
            Ok(file)
        });
        match rewound {
            Ok(contents) => Ok(Captured { entries, contents, output }),
            Err(source) => Err(error(source, output)),
        }
    }

    /// Does something with the pipes. After a failure they are closed, which ends the helper.
    fn talk<T>(&mut self, with: impl FnOnce(&mut Pipes) -> io::Result<T>) -> Result<T, SandboxError> {
        let result = self.pipes.as_mut().map(with);
        match result {
            Some(Ok(value)) => Ok(value),
            _ => Err(self.died()),
        }
    }

    /// What the helper answers. The inner error is one that it sent itself.
    fn answer(&mut self) -> Result<Result<Message, Failure>, SandboxError> {
        match self.talk(|pipes| wire::receive(&mut pipes.from))? {
            None => Err(self.died()),
            Some(mut message) if message.tag == Tag::Failed => {
                Failure::from(&mut message).map(Err).map_err(SandboxError::io(ANSWER))
            }
            Some(message) => Ok(Ok(message)),
        }
    }

    fn done(&mut self) -> Result<(), SandboxError> {
        self.answer()?.map(drop).map_err(general)
    }

    fn died(&mut self) -> SandboxError {
        self.end();
        let mut said = Vec::new();
        let _ = self.words.rewind();
        let _ = (&mut self.words).take(MAX_LAST_WORDS).read_to_end(&mut said);
        let message = String::from_utf8_lossy(&said).trim().to_owned();
        SandboxError::HelperDied { helper: self.helper.clone(), message }
    }

    fn end(&mut self) {
        // What is still in the buffer would be written on drop, to nobody's use
        if let Some(pipes) = self.pipes.take() {
            let (to, _) = pipes.to.into_parts();
            drop((to, pipes.from));
        }
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

fn receive_entries<R: Read>(reader: &mut Reader<R>, contents: &mut dyn Write) -> io::Result<Vec<Entry>> {
    let (mut entries, mut names) = (Vec::new(), Names::default());
    while let Some(mut entry) = reader.next_entry()? {
        names.entry(&entry)?;
        if let Kind::File { size, content } = &mut entry.kind {
            let mut hashing = HashingWriter::new(&mut *contents);
            io::copy(&mut reader.content(), &mut hashing)?;
            let (_, id, passed) = hashing.finish();
            if passed != *size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *content = id;
        }
        entries.push(entry);
    }
    Ok(entries)
}
