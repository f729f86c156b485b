//! The helper for one script: mounts the layers, starts [`super::init`] in new namespaces, and sends what the
//! script wrote and changed. Its mounts are in a namespace of its own and go with it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoopy_base::digest::LayerId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags, mount_bind, mount_change, move_mount};
use rustix::process::{Signal, kill_process};
use rustix::thread::UnshareFlags;
use seccompiler::BpfProgram;

use super::init::{self, Streams, World};
use super::limit_watch::{self, LimitWatch};
use super::overlay::{self, Overlay};
use super::{Result, capture, status, sys, wait_for};
use crate::MAX_OUTPUT;
use crate::error::Ended;
use crate::wire::{self, Doing as _, Failure, Part, Run, Tag};

/// Writes to the pipe in pieces of this size: what a pipe holds.
const BUFFER: usize = 64 << 10;

/// A script to run.
pub(super) struct Job<'a> {
    pub(super) run: &'a Run,
    /// What it sees at `/mnt`, where that was handed over.
    pub(super) mount: Option<&'a OwnedFd>,
    /// Where unpacked layers are: the working directory.
    pub(super) layers: &'a Path,
    /// A directory to make for its files. It stays: it is removed when nothing waits for it.
    pub(super) dir: &'a Path,
    pub(super) filter: &'a BpfProgram,
}

/// Runs a script in a process that [`sys::fork`] began, and sends the answer to `to`.
pub(super) fn main(job: &Job<'_>, to: &File) -> Result<()> {
    match run_in(job, to) {
        Err(failure) => failure.send(&mut &*to).doing("answer"),
        Ok(result) => result,
    }
}

/// The outer result is for the other side; the inner one says that the other side can't be told.
fn run_in(job: &Job<'_>, to: &File) -> Result<Result<()>> {
    let run = job.run;
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !run.script.network {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags)
        .doing("make namespaces")
        .map_err(|failure| Failure { part: Part::Namespaces, ..failure })?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .doing("make mounts private")?;
    // As this mount namespace has it, and for whoever cannot find the way there
    let here =
        rustix::fs::open(job.layers, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let here = here.doing("open the directory of unpacked layers")?;
    let layers = PathBuf::from(format!("/proc/self/fd/{}", here.as_raw_fd()));
    let dir = layers.join(job.dir);
    fs::create_dir(&dir).doing(format_args!("make {}", job.dir.display()))?;
    let place = |id: &LayerId| layers.join(id.to_string());
    let groups = run.lowers.groups().iter().map(|group| group.iter().map(place).collect());
    let groups: Vec<Vec<PathBuf>> = groups.collect();
    let overlay = overlay::stack(&groups, &dir, run.upper, run.script.network)?;
    let lent = lent(job, &layers)?;
    let mut watch = LimitWatch::new(&run.limits, &overlay);
    let (ended, output) = start(job, &overlay, lent, &mut watch)?;
    if overlay.was_too_small(ended, &output) {
        return Ok(wire::send(&mut &*to, Tag::Full, &[]).doing("answer"));
    }
    let listed = (ended == Ended::Exit(0)).then(|| capture::list(&overlay.upper)).transpose();
    let paths = listed.map_err(|failure| failure.after(&output))?;
    if let Some(limit) = watch.reached().or_else(|| watch.explains(ended, &output, paths.as_deref())) {
        let (number, most) = limit.to_numbers();
        let strings = [&number.to_le_bytes()[..], &most.to_le_bytes(), &output];
        return Ok(wire::send(&mut &*to, Tag::Limited, &strings).doing("answer"));
    }
    let (how, code) = ended.to_numbers();
    let mut to = BufWriter::with_capacity(BUFFER, to);
    let sent =
        wire::send(&mut to, Tag::Ended, &[&how.to_le_bytes(), &code.to_le_bytes(), &output]).doing("answer");
    Ok(sent.and_then(|()| paths.map_or(Ok(()), |paths| capture::send(&overlay.upper, &paths, to))))
}

/// Where the directory is that the script sees at `/mnt`: the host's own; a mount that was handed over, or a copy among
/// the layers, which get a place that PID 1 finds.
fn lent(job: &Job<'_>, layers: &Path) -> Result<Option<PathBuf>> {
    let bind = match &job.run.script.bind {
        None => return Ok(None),
        Some(bind) if bind.is_absolute() && job.mount.is_none() => return Ok(Some(bind.clone())),
        Some(bind) => bind,
    };
    let place = PathBuf::from("lent");
    fs::create_dir(&place).doing("make a place for what the script sees")?;
    let mounted = match job.mount {
        Some(mount) => move_mount(mount, c"", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH),
        None => mount_bind(layers.join(bind), &place),
    };
    mounted.doing("mount what the script sees")?;
    Ok(Some(place))
}

/// Starts PID 1 and waits until nothing in its namespace is left, or ends it where a limit is reached.
fn start(
    job: &Job<'_>,
    overlay: &Overlay,
    lent: Option<PathBuf>,
    watch: &mut LimitWatch<'_>,
) -> Result<(Ended, Vec<u8>)> {
    let (reader, output) = io::pipe().doing("make a pipe")?;
    let (mut answers, writer) = io::pipe().doing("make a pipe")?;
    let streams = Streams { answers: writer, output };
    let world = World { run: job.run, root: overlay.root.clone(), lent, filter: job.filter };
    let pid = sys::fork(|| status(init::main(&world, &streams)).into()).doing("start the sandbox's PID 1")?;
    drop(streams);
    let output = tail(reader, || watch.look().is_some_and(|_| kill_process(pid, Signal::KILL).is_ok()));
    let output = output.doing("read what the script writes")?;
    let last = if watch.reached().is_some() { None } else { Some(answer(&mut answers)) };
    wait_for(pid).doing("wait for the sandbox's PID 1")?;
    match last.transpose().map_err(|failure| failure.after(&output))? {
        None => Ok((Ended::Signal(Signal::KILL.as_raw()), output)),
        Some(Some(ended)) => Ok((ended, output)),
        Some(None) => {
            let ended: Result<_> =
                Err(io::Error::other("it ended unexpectedly")).doing("go on without the sandbox's PID 1");
            ended.map_err(|failure| failure.after(&output))
        }
    }
}

fn answer(answers: &mut PipeReader) -> Result<Option<Ended>> {
    let message = wire::receive(answers).doing("listen to the sandbox's PID 1")?;
    let Some(mut message) = message else { return Ok(None) };
    match message.tag {
        Tag::Ended => message.ended().map(Some).doing("read how the script ended"),
        Tag::Failed => Err(Failure::from(&mut message).doing("read what failed")?),
        _ => Ok(None),
    }
}

/// All that comes, but of too much only the end. Meanwhile looks, now and then, whether it must `stop`, and then takes what
/// there still is.
fn tail(mut from: impl Read + AsFd, mut stop: impl FnMut() -> bool) -> io::Result<Vec<u8>> {
    let mut kept = VecDeque::new();
    let mut buffer = vec![0; BUFFER];
    let (mut looked, mut stopped) = (Instant::now(), false);
    loop {
        let comes = match poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&limit_watch::TICK)) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled? > 0,
        };
        if !stopped && (!comes || looked.elapsed() > Duration::from_millis(100)) {
            looked = Instant::now();
            stopped = stop();
        }
        if !comes {
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok(kept.into()),
            Ok(n) => {
                kept.extend(buffer.get(..n).unwrap_or_default());
                kept.drain(..kept.len().saturating_sub(MAX_OUTPUT));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_of_too_much_output() {
        let mut long = vec![b'a'; MAX_OUTPUT];
        long.extend(b"the end");
        let (reader, mut writer) = io::pipe().unwrap();
        let written = std::thread::spawn(move || io::Write::write_all(&mut writer, &long));
        let kept = tail(reader, || false).unwrap();
        written.join().unwrap().unwrap();
        assert_eq!(kept.len(), MAX_OUTPUT);
        assert!(kept.ends_with(b"the end"));
    }
}
