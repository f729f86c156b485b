//! PID 1 of a script's namespaces. It furnishes the root, starts the script in a process that gives up all that scripts
//! don't need, and waits for it. When it ends the kernel kills whatever the script left behind.
//!
//! Nothing of it is the script's to touch: it is not dumpable and has more capabilities, so that `/proc/1` is closed, and
//! what it answers goes through a pipe that nobody else has.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeWriter, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoopy_store::layer::frame::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, setsid, umask, wait};
use rustix::thread::UnshareFlags;
use seccompiler::BpfProgram;

use super::{Result, confine, device_nodes, file, sys, world};
use crate::error::Ended;
use crate::wire::{self, Doing as _, Failure, Part, Run, Tag};
use crate::{Script, descriptors};

/// How often it looks whether processes have ended whose parents are gone.
const SWEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What PID 1 has beside what its parent knew.
pub(super) struct Streams {
    /// Where it says how the script ended.
    pub(super) answers: PipeWriter,
    /// Where the script writes.
    pub(super) output: PipeWriter,
}

/// What it takes to make a script's world.
pub(super) struct World<'a> {
    pub(super) run: &'a Run,
    /// Where its root is mounted, from the working directory.
    pub(super) root: PathBuf,
    /// What it sees at `/mnt`.
    pub(super) lent: Option<PathBuf>,
    pub(super) filter: &'a BpfProgram,
}

/// Runs a script in a process that [`sys::fork`] began.
pub(super) fn main(world: &World<'_>, streams: &Streams) -> Result<()> {
    let null = File::open("/dev/null").doing("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null).doing("read standard input")?;
    rustix::stdio::dup2_stdout(&streams.answers).doing("write standard output")?;
    rustix::stdio::dup2_stderr(&streams.output).doing("write standard error")?;
    // Dropped by the parent alone
    std::mem::forget(null);
    sys::close_what_the_parent_opened()?;
    let mut to = file(io::stdout()).doing("write standard output")?;
    match run_script(world) {
        Ok(ended) => {
            let (how, code) = ended.to_numbers();
            wire::send(&mut to, Tag::Ended, &[&how.to_le_bytes(), &code.to_le_bytes()]).doing("answer")
        }
        Err(failure) => failure.send(&mut to).doing("answer"),
    }
}

fn run_script(world: &World<'_>) -> Result<Ended> {
    let script = &world.run.script;
    sys::unshare(UnshareFlags::NEWNS).doing("make a mount namespace")?;
    bound_processes(world.run.limits.processes);
    let program = world::furnish(script, &world.root, world.lent.as_deref())?;
    world::enter(&world.root)?;
    if !script.network {
        world::bring_loopback_up().doing("bring the loopback device up")?;
    }
    std::env::set_current_dir(&script.cwd).doing(format_args!("enter {}", script.cwd.display()))?;
    let _ = setsid();
    umask(Mode::from_raw_mode(0o022));
    let (pid, listener) = start(world, &program)?;
    wait_for(pid, &listener)
}

/// Bounds how many processes this namespace has at a time, whoever's they are: since Linux 6.14 the highest pid is its own
/// (`kernel.pid_max`). The kernel has a least one of its own.
fn bound_processes(most: u32) {
    let _ = std::fs::write("/proc/sys/kernel/pid_max", most.to_string());
}

/// Starts the script. Gives where its calls are heard of that are answered here.
fn start(world: &World<'_>, program: &Path) -> Result<(Pid, OwnedFd)> {
    let (mut here, there) = UnixStream::pair().doing("make a socket")?;
    let pid = sys::fork(|| {
        let failure = become_script(world, program, &there);
        // Nobody is there to hear of it where this fails
        let _ = failure.send(&mut &there);
        127
    });
    let pid = pid.doing("start a process for the script")?;
    drop(there);
    let listener = descriptors::receive(&here);
    // Nothing comes where the program was started, since that closes the other end
    let mut said = Vec::new();
    let heard = here.read_to_end(&mut said);
    match (listener, said.is_empty()) {
        (Ok(listener), true) => heard.map(|_| (pid, listener)).doing("start the script"),
        (_, _) => Err(failure_of(&said)),
    }
}

/// Turns this process into the script's. Only comes back where that fails.
fn become_script(world: &World<'_>, program: &Path, to: &UnixStream) -> Failure {
    let run = world.run;
    let confined = confine::this_process(&run.limits, world.filter);
    let handed = confined.and_then(|listener| {
        descriptors::send(to, listener.as_fd()).doing("hand over what the script may ask for")
    });
    match handed.and_then(|()| command(&run.script, program).doing("start the script")) {
        Err(failure) => failure,
        Ok(mut command) => {
            let what = format!("start {}", run.script.name);
            Failure { part: Part::Exec, what, source: command.exec(), output: Vec::new() }
        }
    }
}

fn command(script: &Script, program: &Path) -> io::Result<Command> {
    let both = file(io::stderr())?;
    let args = script.args.iter().map(|arg| OsStr::from_bytes(arg));
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(script.env.iter().map(|(key, value)| (key, value)));
    // A group of its own, for shells that signal theirs
    command.process_group(0).stdin(Stdio::null()).stdout(both).stderr(Stdio::inherit());
    Ok(command)
}

/// What the process for the script said that could not become it. Where it handed no file over, the first byte was taken
/// for the one that comes with it.
fn failure_of(said: &[u8]) -> Failure {
    let message = [said.to_vec(), [&[Kind::Message as u8], said].concat()].into_iter().find_map(|bytes| {
        let mut message = wire::receive(&mut &bytes[..]).ok()??;
        Failure::from(&mut message).ok()
    });
    message.unwrap_or_else(|| Failure {
        part: Part::Other,
        what: "start a process for the script".into(),
        source: io::Error::other("it ended unexpectedly"),
        output: Vec::new(),
    })
}

/// Waits for the script, and meanwhile for all whose parents have gone, as PID 1 must.
fn wait_for(script: Pid, listener: &OwnedFd) -> Result<Ended> {
    let exit = pidfd_open(script, PidfdFlags::empty()).doing("watch the script")?;
    // No other process than the script may answer for it, and it is gone with its last one
    let mut listening = true;
    loop {
        let asked = if listening { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [PollFd::new(&exit, PollFlags::IN), PollFd::new(listener, asked)];
        match poll(&mut fds[..if listening { 2 } else { 1 }], Some(&SWEEP)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).doing("wait for the script"),
        }
        if fds[1].revents().contains(PollFlags::IN) {
            let _ = device_nodes::answer(listener);
        }
        listening &= !fds[1].revents().contains(PollFlags::HUP);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(ended) = (pid == script).then(|| ended(status)).flatten() {
                return Ok(ended);
            }
        }
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    status.exit_status().map(Ended::Exit).or_else(|| status.terminating_signal().map(Ended::Signal))
}
