//! The near side of the sandbox: starts helpers, feeds them, and turns their answers into values and errors.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hoopy_base::digest::{HashingWriter, LayerId};
use hoopy_store::gc::{Tally, UnpackedLayers};
use hoopy_store::layer::stream::{Reader, Writer};
use hoopy_store::layer::{Entry, Kind};
use hoopy_store::spread;

use super::helper::MARK;
use super::identity::Identity;
use super::wire::{self, Failure, Message, Part, Run, Start, Tag, Upper};
use super::{Captured, Ended, Lowers, MAX_ENTRIES, Restriction, SandboxError, Script};

/// Buffers before the pipes: as much as a pipe holds at first.
const BUFFER: usize = 64 << 10;

/// What the pipe to a helper holds where the system allows it, which is the most that it does unless it is told
/// otherwise (`fs.pipe-max-size`).
const PIPE: usize = 1 << 20;

/// Most that is shown of what a dead helper said.
const MAX_LAST_WORDS: u64 = 4 << 10;

/// What was being done when an answer makes no sense.
const ANSWER: &str = "read the sandbox's answer";

/// What a sandbox needs to know.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program to start as a helper: one whose `main` calls [`super::helper_main`] first when its first
    /// argument is `__sandbox`. Usually the running one.
    pub helper: PathBuf,
    /// A directory for unpacked layers. What is in it is owned by subordinate ids, and may go at any time at
    /// which no session is open.
    pub lowers: PathBuf,
}

/// A place to run scripts in, on this machine, as this user.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    identity: Identity,
    boot: String,
}

impl Sandbox {
    /// Finds out whether and how this user can run scripts.
    ///
    /// # Errors
    /// [`SandboxError::NoSubordinateIds`] for an ordinary user without them, and [`SandboxError::Io`].
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let identity = Identity::of_this_process()?;
        let id = "/proc/sys/kernel/random/boot_id";
        let boot = fs::read_to_string(id).map_err(SandboxError::io(id))?.trim().to_owned();
        fs::create_dir_all(&config.lowers).map_err(SandboxError::io(config.lowers.display().to_string()))?;
        let lowers = fs::canonicalize(&config.lowers);
        let lowers = lowers.map_err(SandboxError::io(config.lowers.display().to_string()))?;
        make_own(&lowers, &boot, &identity.name())?;
        Ok(Self { config: SandboxConfig { lowers, ..config }, identity, boot })
    }

    /// Starts a helper. Sessions are independent of each other: several may be open at a time.
    ///
    /// # Errors
    /// [`SandboxError::Restricted`] where user namespaces are forbidden, [`SandboxError::MapTool`] and
    /// [`SandboxError::NoMapTool`] where ids can't be had, and what starting a process fails with.
    pub fn session(&self) -> Result<Session, SandboxError> {
        let helper = &self.config.helper;
        let words =
            tempfile::tempfile_in(&self.config.lowers).map_err(SandboxError::io("make a temporary file"))?;
        let errors = words.try_clone().map_err(SandboxError::io("make a temporary file"))?;
        let mut command = Command::new(helper);
        command.args([MARK, "session"]).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(SandboxError::io(format!("start {}", helper.display())))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SandboxError::HelperDied { helper: helper.clone(), message: String::new() });
        };
        // For speed alone: the two of them then wait less for each other
        let _ = rustix::pipe::fcntl_setpipe_size(&to, PIPE);
        let pipes =
            Pipes { to: BufWriter::with_capacity(BUFFER, to), from: BufReader::with_capacity(BUFFER, from) };
        let identity = self.identity.name();
        let layers = self.config.lowers.join(format!("{}-{identity}", self.boot));
        let mapped = self.is_mapped();
        let start = Start { mapped, lowers: self.config.lowers.clone(), boot: self.boot.clone(), identity };
        let mut session = Session {
            helper: helper.clone(),
            child,
            pipes: Some(pipes),
            words,
            layers,
            lowers: start.lowers.clone(),
            mapped,
        };
        session.start(&start, &self.identity)?;
        Ok(session)
    }
}

impl Sandbox {
    /// Removes all unpacked layers but those of `keep`; gives how many and their size in bytes. The user's own tools
    /// can't, since most are owned by subordinate ids. None when a session uses them: then they stay.
    ///
    /// # Errors
    /// As [`Sandbox::session`], and [`SandboxError::Setup`] for what can't be removed.
    pub fn clear(&self, keep: &[LayerId]) -> Result<Option<(u64, u64)>, SandboxError> {
        let mut session = self.session()?;
        let ids: Vec<u8> = keep.iter().flat_map(|id| *id.as_bytes()).collect();
        session.talk(|pipes| wire::send(&mut pipes.to, Tag::Clear, &[&ids]))?;
        let mut answer = session.answer()?.map_err(|failure| general(failure, self.is_mapped()))?;
        if answer.tag != Tag::Done {
            return Ok(None);
        }
        let numbers = answer.size().and_then(|layers| Ok((layers, answer.size()?)));
        numbers.map(Some).map_err(SandboxError::io(ANSWER))
    }

    fn is_mapped(&self) -> bool {
        matches!(self.identity, Identity::Mapped { .. })
    }
}

impl UnpackedLayers for Sandbox {
    fn clear(&self, keep: &[LayerId]) -> Result<Tally, Box<dyn std::error::Error + Send + Sync>> {
        let (files, bytes) = Self::clear(self, keep)?.unwrap_or_default();
        Ok(Tally { files, bytes })
    }
}

/// Makes this user's own lock and directory for unpacked layers, in a directory that users may share: the helper
/// gives up its groups, which may be what lets this user write there. The directory has this user's own group, and
/// does not hand that on (inode(7), set-group-ID of directories): what is made in it must have the owners that
/// scripts give.
fn make_own(lowers: &Path, boot: &str, identity: &str) -> Result<(), SandboxError> {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let dir = lowers.join(format!("{boot}-{identity}"));
    let make = || -> io::Result<()> {
        drop(File::create(lowers.join(format!("lock-{identity}")))?);
        if !dir.is_dir() {
            fs::create_dir(&dir)?;
            chown(&dir, None, Some(rustix::process::getegid().as_raw()))?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
            spread(&dir);
        }
        Ok(())
    };
    match make() {
        // Made by another session at the same time.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A store that cannot be written to: no script needs to run, or the helper will say so.
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Ok(())
        }
        made => made.map_err(SandboxError::io(format!("make {}", dir.display()))),
    }
}

/// The ends of the pipes to a helper.
#[derive(Debug)]
struct Pipes {
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// Writes the entries of a layer.
pub type Fill<'a> = &'a mut dyn FnMut(&mut Writer<&mut dyn Write>) -> io::Result<()>;

/// A helper that unpacks layers and runs scripts, one after the other. Dropping it ends all that runs in it.
#[derive(Debug)]
pub struct Session {
    helper: PathBuf,
    child: Child,
    /// None after something went wrong half way through a message: then nobody knows where the next begins.
    pipes: Option<Pipes>,
    /// The helper's standard error.
    words: File,
    layers: PathBuf,
    lowers: PathBuf,
    mapped: bool,
}

impl Session {
    fn start(&mut self, start: &Start, identity: &Identity) -> Result<(), SandboxError> {
        self.talk(|pipes| start.send(&mut pipes.to))?;
        if start.mapped {
            self.done()?;
            identity.map(self.child.id())?;
            self.talk(|pipes| wire::send(&mut pipes.to, Tag::Mapped, &[]))?;
        }
        self.done()
    }

    /// Unpacks a layer, unless it is there. `fill` writes its entries, owners as numbers and directories before
    /// what they hold; it is not called where there is nothing to do.
    ///
    /// # Errors
    /// [`SandboxError::Unpack`] for a layer that can't be unpacked and [`SandboxError::Io`] where `fill` fails;
    /// after that one, the session is of no more use.
    pub fn unpack(&mut self, id: LayerId, fill: Fill<'_>) -> Result<(), SandboxError> {
        self.unpack_from(id, None, fill)
    }

    /// The same, but where `contents` are given, files have theirs in that file, and `fill` writes where.
    ///
    /// # Errors
    /// As [`Session::unpack`]; [`SandboxError::Unpack`], too, where the helper cannot read `contents`.
    pub fn unpack_from(
        &mut self,
        id: LayerId,
        contents: Option<&Path>,
        fill: Fill<'_>,
    ) -> Result<(), SandboxError> {
        if self.has(id) {
            return Ok(());
        }
        let mut failed = None;
        let sent = self.talk(|pipes| {
            let path = contents.map(|path| path.as_os_str().as_bytes());
            let tag = if path.is_some() { Tag::UnpackFrom } else { Tag::Unpack };
            wire::send(&mut pipes.to, tag, &[id.as_bytes(), path.unwrap_or_default()])?;
            let mut writer = Writer::new(&mut pipes.to as &mut dyn Write);
            fill(&mut writer).inspect_err(|e| failed = Some(io::Error::new(e.kind(), e.to_string())))?;
            writer.finish().map(drop)
        });
        match (sent, failed) {
            (Err(died), Some(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(died),
            (Err(_), Some(source)) => Err(SandboxError::Io { what: format!("read layer {id}"), source }),
            (Err(died), None) => Err(died),
            (Ok(()), _) => self
                .answer()?
                .map(drop)
                .map_err(|failure| SandboxError::Unpack { id, message: failure.to_string() }),
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
        let mut message = self.ask(lowers, script, upper)?;
        if message.tag == Tag::Full {
            message = self.ask(lowers, script, Upper::Disk)?;
        }
        let parts = message.ended().and_then(|ended| Ok((ended, message.bytes()?)));
        let (ended, output) = parts.map_err(SandboxError::io(ANSWER))?;
        if ended == Ended::Exit(0) {
            return self.receive(output);
        }
        let line = failing_line(&output, &script.name);
        Err(SandboxError::ScriptFailed { name: script.name.clone(), ended, line, output })
    }

    fn ask(&mut self, lowers: &Lowers, script: &Script, upper: Upper) -> Result<Message, SandboxError> {
        self.talk(|pipes| Run::send(&mut pipes.to, script, lowers, upper))?;
        self.answer()?.map_err(|failure| explain(failure, script, self.mapped))
    }

    fn receive(&mut self, output: Vec<u8>) -> Result<Captured, SandboxError> {
        let contents =
            tempfile::tempfile_in(&self.lowers).map_err(SandboxError::io("make a temporary file"))?;
        let mut contents = BufWriter::with_capacity(BUFFER, contents);
        let mut failed = None;
        let entries = self.talk(|pipes| {
            let mut reader = Reader::new(&mut pipes.from);
            receive_entries(&mut reader, &mut contents)
                .inspect_err(|e| failed = Some(io::Error::new(e.kind(), e.to_string())))
        });
        let what = "take what a script changed";
        let entries = match failed {
            Some(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                Err(SandboxError::io(what)(source))?
            }
            _ => entries?,
        };
        let mut contents = contents.into_inner().map_err(|e| SandboxError::io(what)(e.into_error()))?;
        contents.rewind().map_err(SandboxError::io(what))?;
        Ok(Captured { entries, contents, output })
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
        self.answer()?.map(drop).map_err(|failure| general(failure, self.mapped))
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
    let mut entries = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        if entries.len() >= MAX_ENTRIES {
            return Err(io::Error::other(format!("a script changed more than {MAX_ENTRIES} paths")));
        }
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

fn general(failure: Failure, mapped: bool) -> SandboxError {
    match failure.part {
        Part::Namespaces if mapped => Restriction::of_this_system().into(),
        _ => SandboxError::Setup { what: failure.what, source: failure.source },
    }
}

/// The start of a script fails in ways that have names.
fn explain(failure: Failure, script: &Script, mapped: bool) -> SandboxError {
    if failure.part != Part::Exec {
        return general(failure, mapped);
    }
    let name = script.name.clone();
    let line = script.body.split(|&b| b == b'\n').next().unwrap_or_default();
    let interpreter = line.strip_prefix(b"#!").unwrap_or(b"its loader");
    let interpreter = String::from_utf8_lossy(interpreter).trim().to_owned();
    match failure.source {
        source if source.kind() == io::ErrorKind::NotFound => {
            SandboxError::NoInterpreter { name, interpreter }
        }
        source => SandboxError::CannotExecute { name, interpreter, source },
    }
}

/// The line that a BusyBox shell names last in its complaints: `PATH/NAME: line 3: no: not found`.
pub fn failing_line(output: &[u8], name: &str) -> Option<u32> {
    let text = String::from_utf8_lossy(output);
    let mark = format!("{name}: line ");
    text.lines().rev().find_map(|line| line.split_once(&mark)?.1.split(':').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_line_that_the_shell_complained_about() {
        let output = b"/dev/.hoopy/a.post-install: line 2: x: not found\n\
                       /dev/.hoopy/a.post-install: line 14: y: not found\nbye\n";
        assert_eq!(failing_line(output, "a.post-install"), Some(14));
        assert_eq!(failing_line(output, "b.post-install"), None);
    }
}
