//! The helper for one script: mounts the layers, starts [`super::init`] in new namespaces, and sends what the
//! script wrote and changed. Its mounts are in a namespace of its own and go with it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, PipeReader, Read};
use std::path::{Path, PathBuf};

use hoopy_base::digest::LayerId;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use super::init::{self, Streams};
use super::overlay::{self, Overlay};
use super::{Result, capture, status, sys, wait_for};
use crate::MAX_OUTPUT;
use crate::error::Ended;
use crate::wire::{self, Doing as _, Failure, Part, Run, Tag};

/// Writes to the pipe in pieces of this size: what a pipe holds.
const BUFFER: usize = 64 << 10;

/// Runs a script over layers of the directory `layers`, with its files in the new directory `dir`, in a process that
/// [`sys::fork`] began, and sends the answer to `to`. The directory stays: it is removed when nothing waits for it.
pub(super) fn main(run: &Run, layers: &Path, dir: &Path, to: &File) -> Result<()> {
    match run_in(run, layers, dir, to) {
        Err(failure) => failure.send(&mut &*to).doing("answer"),
        Ok(result) => result,
    }
}

/// The outer result is for the other side; the inner one says that the other side can't be told.
fn run_in(run: &Run, layers: &Path, dir: &Path, to: &File) -> Result<Result<()>> {
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
    let place = |id: &LayerId| layers.join(id.to_string());
    let groups = run.lowers.groups().iter().map(|group| group.iter().map(place).collect());
    let groups: Vec<Vec<PathBuf>> = groups.collect();
    let overlay = overlay::stack(&groups, dir, run.upper, run.script.network)?;
    let (ended, output) = start(run, &overlay)?;
    if overlay.was_too_small(ended, &output) {
        return Ok(wire::send(&mut &*to, Tag::Full, &[]).doing("answer"));
    }
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
    let (reader, output) = io::pipe().doing("make a pipe")?;
    let (mut answers, writer) = io::pipe().doing("make a pipe")?;
    let streams = Streams { answers: writer, output };
    let pid = sys::fork(|| status(init::main(&run.script, &overlay.root, &streams)).into())
        .doing("start the sandbox's PID 1")?;
    drop(streams);
    let output = tail(reader).doing("read what the script writes")?;
    let last = answer(&mut answers);
    wait_for(pid).doing("wait for the sandbox's PID 1")?;
    match last? {
        Some(ended) => Ok((ended, output)),
        None => {
            let said = String::from_utf8_lossy(&output).trim().to_owned();
            Err(io::Error::other(format!("it ended unexpectedly: {said}")))
                .doing("go on without the sandbox's PID 1")
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
