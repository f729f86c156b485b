//! The helper for one script: mounts the layers, starts [`super::init`] in new namespaces, and sends what the
//! script wrote and changed. Its mounts are in a namespace of its own and go with it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::overlay::{self, Overlay};
use super::{Result, again, capture, file, sys};
use crate::sandbox::MAX_OUTPUT;
use crate::sandbox::error::Ended;
use crate::sandbox::wire::{self, Doing as _, Failure, Part, Run, Tag};

/// Writes to the pipe in pieces of this size: what a pipe holds.
const BUFFER: usize = 64 << 10;

/// Runs the script that comes through standard input, for the session helper `parent`.
pub(super) fn main(parent: Option<i32>) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).doing("tie the helper to its session")?;
    if getppid().map(Pid::as_raw_pid) != parent {
        // The session ended before the line above
        return Ok(());
    }
    let mut message =
        file(io::stdin()).and_then(|mut from| wire::receive(&mut from)).doing("read a script")?;
    let Some(message) = &mut message else { return Ok(()) };
    let run = Run::from(message).doing("read a script")?;
    let to = file(io::stdout()).doing("write standard output")?;
    let dir = run.dir.join("run");
    let _ = fs::remove_dir_all(&dir);
    let result = run_in(&run, &dir, &to);
    let _ = std::env::set_current_dir("/");
    let _ = fs::remove_dir_all(&dir);
    match result {
        Err(failure) => failure.send(&mut &to).doing("answer"),
        Ok(result) => result,
    }
}

/// The outer result is for the other side; the inner one says that the other side can't be told.
fn run_in(run: &Run, dir: &Path, to: &File) -> Result<Result<()>> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !run.script.network {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags)
        .doing("make namespaces")
        .map_err(|failure| Failure { part: Part::Namespaces, ..failure })?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .doing("make mounts private")?;
    fs::create_dir(dir).doing(format_args!("make {}", dir.display()))?;
    let store = run.dir.parent().unwrap_or(&run.dir);
    let layers: Vec<PathBuf> = run.layers.iter().map(|id| store.join(id.to_string())).collect();
    let overlay = overlay::stack(&layers, dir, run.script.network)?;
    let (ended, output) = start(run, &overlay)?;
    unmount(&overlay.root, UnmountFlags::DETACH).doing("unmount the layers")?;
    let paths = if ended == Ended::Exit(0) { Some(capture::list(&overlay.upper)?) } else { None };
    let (how, code) = match ended {
        Ended::Exit(status) => (0_i32, status),
        Ended::Signal(signal) => (1, signal),
    };
    let mut to = BufWriter::with_capacity(BUFFER, to);
    let sent =
        wire::send(&mut to, Tag::Ended, &[&how.to_le_bytes(), &code.to_le_bytes(), &output]).doing("answer");
    Ok(sent.and_then(|()| paths.map_or(Ok(()), |paths| capture::send(&overlay.upper, &paths, to))))
}

/// Starts PID 1 and waits until nothing in its namespace is left.
fn start(run: &Run, overlay: &Overlay) -> Result<(Ended, Vec<u8>)> {
    let (reader, writer) = io::pipe().doing("make a pipe")?;
    let mut child =
        again("init").stdout(Stdio::piped()).stderr(writer).spawn().doing("start the sandbox's PID 1")?;
    let (Some(mut input), Some(mut answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe)).doing("talk to the sandbox's PID 1");
    };
    // It answers first, once it is sure to die with this process
    answer(&mut answers)?;
    Run::send(&mut input, &run.script, &[], &overlay.root).doing("hand on the script")?;
    let output = tail(reader).doing("read what the script writes")?;
    let last = answer(&mut answers);
    child.wait().doing("wait for the sandbox's PID 1")?;
    match last? {
        Some(ended) => Ok((ended, output)),
        None => {
            let said = String::from_utf8_lossy(&output).trim().to_owned();
            Err(io::Error::other(format!("it ended unexpectedly: {said}")))
                .doing("go on without the sandbox's PID 1")
        }
    }
}

fn answer(answers: &mut ChildStdout) -> Result<Option<Ended>> {
    let message = wire::receive(answers).doing("listen to the sandbox's PID 1")?;
    let Some(mut message) = message else { return Ok(None) };
    match message.tag {
        Tag::Ended => message.ended().map(Some).doing("read how the script ended"),
        Tag::Failed => Err(Failure::from(&mut message).doing("read what failed")?),
        _ => Ok(None),
    }
}

/// All that comes, but of too much only the end.
fn tail(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut kept = VecDeque::new();
    let mut buffer = vec![0; BUFFER];
    loop {
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
        let kept = tail(&long[..]).unwrap();
        assert_eq!(kept.len(), MAX_OUTPUT);
        assert!(kept.ends_with(b"the end"));
    }
}
