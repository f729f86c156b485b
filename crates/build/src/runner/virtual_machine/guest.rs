//! The running machine: QEMU, and a virtio port of the guest on QEMU's standard input and output.
//!
//! Reading and writing wait no longer than the deadline. The guest is not trusted: all that comes from it is read
//! by [`super::answer`], bounded.

use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use hoopy_vm::args::Args;
use hoopy_vm::qemu::{Qemu, Start};
use hoopy_vm::silence::Silence;
use hoopy_vm::{Acceleration, Accelerator, Fault, VmError, qmp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use super::MachineConfig;
use super::base::Base;
use super::error::MachineError;

/// Until the guest says that it is there: some seconds, generously for a busy machine without KVM.
const BOOT_TIME: Duration = Duration::from_secs(300);

/// For a script with all that is sent for it. One that takes longer hangs.
pub(super) const JOB_TIME: Duration = Duration::from_secs(3600);

/// What a pipe surely takes once it is ready for more: PIPE_BUF (pipe(7)).
const PIECE: usize = 4096;

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

/// Most that is shown of the console.
const CONSOLE_TAIL: usize = 2 << 10;

/// A line that the guest sends is a word.
const LINE_MAX: u64 = 64;

/// How often to check, while waiting for a guest, whether it still runs.
const TICK: Duration = Duration::from_millis(250);

/// The byte on the console by which init.sh says, every few seconds, that it runs.
const BEAT: u8 = 5;

/// Without a beat for this long the guest has stopped.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(60);

/// The file with what the console said, in the machine's directory.
const CONSOLE: &str = "console";

pub(super) struct Guest {
    to: BufWriter<Timed<ChildStdin>>,
    pub(super) from: BufReader<Timed<ChildStdout>>,
    limit: Duration,
    /// The script that was sent last.
    pub(super) script: String,
    qemu: Qemu,
    /// Kernel, initramfs, what the console said. Goes after QEMU.
    dir: TempDir,
}

impl Guest {
    /// Boots `base` and waits until it takes jobs. `tell` hears that it is silent.
    pub(super) fn start(
        base: &Base,
        memory: u64,
        config: &MachineConfig,
        accelerator: Accelerator,
        tell: &dyn Fn(&str),
    ) -> Result<Self, MachineError> {
        let qemu = config.places.qemu(config.arch)?;
        let dir = tempfile::Builder::new().prefix("hoopy-scripts-").tempdir_in(&config.temp);
        let dir = dir.map_err(VmError::io("make a directory in", &config.temp))?;
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).map_err(VmError::io("write", &path)).map(|()| path)
        };
        let (kernel, initramfs) = (file("kernel", &base.kernel)?, file("initramfs", &base.initramfs)?);
        let console = file(CONSOLE, b"")?;
        let mut args = Args::bare(config.arch, accelerator, memory, CPUS);
        args.push(["-kernel", path(&kernel)?, "-initrd", path(&initramfs)?]);
        let timer = hoopy_vm::kernel_arguments(config.arch);
        let line = format!("{timer}console={} quiet panic=-1 {THRIFT}", config.arch.console());
        args.push(["-append", &line, "-no-reboot"]);
        args.push(["-monitor", "none", "-serial", &format!("file:{}", path(&console)?)]);
        args.push(["-chardev", "stdio,id=jobs,signal=off", "-device", "virtio-serial-pci"]);
        args.push(["-device", "virtserialport,chardev=jobs,name=hoopy"]);
        if config.network {
            args.open_network();
        }
        let start = Start {
            program: &qemu,
            temp: &config.temp,
            dir: dir.path(),
            accelerator,
            may_fall_back: config.acceleration == Acceleration::Auto,
            silent: Duration::ZERO,
        };
        let mut qemu = Qemu::start(&start, |command| {
            command.args(args.finish()).stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        let (Some(to), Some(from)) = (qemu.child().stdin.take(), qemu.child().stdout.take()) else {
            return Err(MachineError::Ended { doing: "start it", console: String::new() });
        };
        let deadline = Instant::now() + BOOT_TIME;
        let state = qemu.state();
        let to = BufWriter::with_capacity(
            BUFFER,
            Timed { pipe: to, deadline, state: state.clone(), console: console.clone() },
        );
        let from = BufReader::with_capacity(BUFFER, Timed { pipe: from, deadline, state, console });
        let mut guest = Self { to, from, limit: BOOT_TIME, script: String::new(), qemu, dir };
        if let Some(fault) = guest.wait(deadline, tell) {
            return Err(guest.stopped(fault));
        }
        guest.expect("ready", "boot it")?;
        Ok(guest)
    }

    /// Waits until there is something to read, or never will be, and tells of silence.
    fn wait(&self, deadline: Instant, tell: &dyn Fn(&str)) -> Option<Fault> {
        let started = Instant::now();
        let mut silence = Silence::new(BOOT_TIME);
        let (mut length, mut last) = (0, None);
        let tick = Timespec::try_from(TICK).unwrap_or_default();
        let from = self.from.get_ref();
        while Instant::now() < deadline && from.state.paused().is_none() {
            match poll(&mut [PollFd::new(&from.pipe, PollFlags::IN)], Some(&tick)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                _ => return None,
            }
            let now = fs::metadata(self.dir.path().join(CONSOLE)).map_or(0, |file| file.len());
            if now != length {
                (length, last) = (now, Some(Instant::now()));
            }
            if let Some(fault) = self.qemu.hung(started.elapsed()) {
                return Some(fault);
            }
            if let Some(note) = silence.note(last, || self.qemu.facts()) {
                tell(&note);
            }
        }
        None
    }

    /// From now on there is so much time.
    pub(super) fn within(&mut self, limit: Duration) {
        self.limit = limit;
        let deadline = Instant::now() + limit;
        self.to.get_mut().deadline = deadline;
        self.from.get_mut().deadline = deadline;
    }

    /// Where to write to.
    pub(super) fn to(&mut self) -> &mut impl Write {
        &mut self.to
    }

    /// Reads a line that is to say `word`.
    pub(super) fn expect(&mut self, word: &str, doing: &'static str) -> Result<(), MachineError> {
        let mut line = Vec::new();
        let read = (&mut self.from).take(LINE_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Err(self.ended(doing)),
            Ok(_) if line.strip_suffix(b"\n") == Some(word.as_bytes()) => Ok(()),
            Ok(_) => Err(MachineError::Answer(format!("{:?} for {word:?}", String::from_utf8_lossy(&line)))),
            Err(e) => Err(self.failed(doing, &e)),
        }
    }

    /// What a failure to read or write means.
    pub(super) fn failed(&mut self, doing: &'static str, error: &io::Error) -> MachineError {
        if error.kind() == STOPPED {
            let (script, console) = (self.script.clone(), self.said());
            return MachineError::Silent { script, after: HEARTBEAT_TIMEOUT, console };
        }
        if error.kind() == io::ErrorKind::TimedOut {
            let facts = self.qemu.facts();
            return MachineError::TimedOut { doing, after: self.limit, facts, console: self.said() };
        }
        self.ended(doing)
    }

    pub(super) fn ended(&mut self, doing: &'static str) -> MachineError {
        // What is on its way to the console's file when the pipe closes
        std::thread::sleep(Duration::from_millis(200));
        match self.qemu.fault() {
            Some(fault) => self.stopped(fault),
            None => MachineError::Ended { doing, console: self.said() },
        }
    }

    fn stopped(&self, fault: Fault) -> MachineError {
        VmError::Fault { fault, tail: self.console() }.into()
    }

    /// The end of what QEMU and the guest's console said.
    fn said(&self) -> String {
        format!("{}\n{}", self.qemu.said(), self.console()).trim().to_owned()
    }

    /// The end of what the guest's console said.
    fn console(&self) -> String {
        let mut said = fs::read(self.dir.path().join(CONSOLE)).unwrap_or_default();
        said.retain(|byte| *byte != BEAT);
        let tail = said.get(said.len().saturating_sub(CONSOLE_TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).replace('\r', "").trim().to_owned()
    }
}

/// What a machine for one's own scripts can do without, and what is dear where it is emulated
/// (Documentation/admin-guide/kernel-parameters.txt).
const THRIFT: &str = "mitigations=off init_on_alloc=0 init_on_free=0 audit=0";

/// What runs beside a script is little, and two processors that are emulated get in each other's way: a build takes
/// a third longer with them.
const CPUS: u32 = 1;

fn path(path: &Path) -> Result<&str, VmError> {
    path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.to_owned()))
}

/// The kind of error for a guest that has stopped.
pub(super) const STOPPED: io::ErrorKind = io::ErrorKind::NotConnected;

/// A pipe that fails with `TimedOut` instead of waiting longer, with `BrokenPipe` when QEMU has paused the guest, and with
/// [`STOPPED`] when the console has been silent for [`HEARTBEAT_TIMEOUT`].
pub(super) struct Timed<P> {
    pipe: P,
    deadline: Instant,
    state: qmp::Shared,
    console: PathBuf,
}

impl<P: AsFd> Timed<P> {
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        let said = || fs::metadata(&self.console).map_or(0, |file| file.len());
        // Turns are counted, not time: a computer that slept, or a hoopy that was stopped, has missed no beat
        let (mut silent, mut length) = (Duration::ZERO, None);
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let tick = Timespec::try_from(left.min(TICK)).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.pipe, events)], Some(&tick)) {
                Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) if self.state.paused().is_some() => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(0) => {
                    let now = Some(said());
                    silent = if now == length { silent + TICK } else { Duration::ZERO };
                    length = now;
                    if silent >= HEARTBEAT_TIMEOUT {
                        return Err(STOPPED.into());
                    }
                }
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl<P: AsFd + Read> Read for Timed<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN)?;
        self.pipe.read(into)
    }
}

impl<P: AsFd + Write> Write for Timed<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT)?;
        self.pipe.write(bytes.get(..PIECE).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_serves_times_out() {
        let (reader, writer) = io::pipe().unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        let mut from =
            Timed { pipe: reader, deadline, state: qmp::Shared::default(), console: PathBuf::new() };
        assert_eq!(from.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut to = Timed { pipe: writer, deadline, state: qmp::Shared::default(), console: PathBuf::new() };
        let error = io::copy(&mut io::repeat(0).take(1 << 21), &mut to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
