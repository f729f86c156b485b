//! PID 1 of a script's namespaces. It furnishes the root, gives up what scripts don't need, starts the script and
//! waits for it. When it ends the kernel kills whatever the script left behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, setrlimit, setsid, umask, wait};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

use super::{Result, file, sys, world};
use crate::Script;
use crate::wire::{self, Doing as _, Failure, Part, Tag};

/// What root inside may do: what install scripts are about (owners, modes, users, device nodes), and what daemons
/// want when they are tried out. Nothing that reaches the host where its root runs this: no mounts, modules, clock,
/// kernel log or network configuration.
const KEPT: [CapabilitySet; 13] = [
    CapabilitySet::CHOWN,
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::FOWNER,
    CapabilitySet::FSETID,
    CapabilitySet::KILL,
    CapabilitySet::SETGID,
    CapabilitySet::SETUID,
    CapabilitySet::SETFCAP,
    CapabilitySet::SETPCAP,
    CapabilitySet::MKNOD,
    CapabilitySet::SYS_CHROOT,
    CapabilitySet::NET_BIND_SERVICE,
];

/// What PID 1 has beside what its parent knew.
pub(super) struct Streams {
    /// Where it says how the script ended.
    pub(super) answers: PipeWriter,
    /// Where the script writes.
    pub(super) output: PipeWriter,
}

/// Runs `script` in `root`, in a process that [`sys::fork`] began.
pub(super) fn main(script: &Script, root: &Path, streams: &Streams) -> Result<()> {
    let null = File::open("/dev/null").doing("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null).doing("read standard input")?;
    rustix::stdio::dup2_stdout(&streams.answers).doing("write standard output")?;
    rustix::stdio::dup2_stderr(&streams.output).doing("write standard error")?;
    // Dropped by the parent alone
    std::mem::forget(null);
    sys::close_what_the_parent_opened()?;
    let mut to = file(io::stdout()).doing("write standard output")?;
    match run_script(script, root) {
        Ok((how, code)) => {
            wire::send(&mut to, Tag::Ended, &[&how.to_le_bytes(), &code.to_le_bytes()]).doing("answer")
        }
        Err(failure) => failure.send(&mut to).doing("answer"),
    }
}

fn run_script(script: &Script, root: &Path) -> Result<(i32, i32)> {
    sys::unshare(UnshareFlags::NEWNS).doing("make a mount namespace")?;
    let program = world::furnish(script, root)?;
    world::enter(root)?;
    if !script.network {
        world::bring_loopback_up().doing("bring the loopback device up")?;
    }
    std::env::set_current_dir(&script.cwd).doing(format_args!("enter {}", script.cwd.display()))?;
    let _ = setsid();
    umask(Mode::from_raw_mode(0o022));
    // A crash leaves no core file in what is captured
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    drop_capabilities()?;
    set_no_new_privs(true).doing("give up new privileges")?;
    let pid = start(script, &program).map_err(|source| Failure {
        part: Part::Exec,
        what: format!("start {}", script.name),
        source,
    })?;
    wait_for(pid)
}

fn start(script: &Script, program: &Path) -> io::Result<u32> {
    let both = file(io::stderr())?;
    let args = script.args.iter().map(|arg| OsStr::from_bytes(arg));
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(script.env.iter().map(|(key, value)| (key, value)));
    // A group of its own, for shells that signal theirs
    command.process_group(0).stdin(Stdio::null()).stdout(both).stderr(Stdio::inherit());
    Ok(command.spawn()?.id())
}

/// Waits for the script, and meanwhile for all whose parents have gone, as PID 1 must.
fn wait_for(script: u32) -> Result<(i32, i32)> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(Pid::as_raw_pid(pid)) == Ok(script) => {
                if let Some(code) = status.exit_status() {
                    return Ok((0, code));
                }
                if let Some(signal) = status.terminating_signal() {
                    return Ok((1, signal));
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).doing("wait for the script"),
        }
    }
}

/// Takes all but [`KEPT`] away for good. The bounding set is what counts: a root's exec takes what it holds.
fn drop_capabilities() -> Result<()> {
    let kept: CapabilitySet = KEPT.into_iter().collect();
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(e) => return Err(e).doing("give up capabilities"),
        }
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    match set_capabilities(None, sets) {
        // The host's root may have lost some already; what is left is bounded by the above
        Ok(()) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(e) => Err(e).doing("give up capabilities"),
    }
}
