//! The helper that lives as long as a session: makes the user namespace, unpacks layers, and starts a helper for
//! each script. It ends, and with it everything below it, when its standard input closes.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use hoopy_base::digest::LayerId;
use hoopy_store::layer::stream::Reader;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::thread::UnshareFlags;

use super::work::Work;
use super::{Result, file, run, status, sys, unpack, wait_for};
use crate::wire::{self, Doing as _, Failure, Part, Run, Start, Tag};

/// Buffer before the pipe: as much as a pipe holds.
const BUFFER: usize = 64 << 10;

struct Session {
    from: BufReader<File>,
    to: File,
    /// How many scripts were run.
    runs: u64,
}

/// Serves until the other side hangs up.
pub(super) fn main() -> Result<()> {
    // Not in the terminal's group, so that Ctrl-C lets hoopy end it in order
    let _ = rustix::process::setsid();
    sys::keep_descriptors_from_children()?;
    let from = file(std::io::stdin()).doing("read standard input")?;
    let to = file(std::io::stdout()).doing("write standard output")?;
    let mut session = Session { from: BufReader::with_capacity(BUFFER, from), to, runs: 0 };
    match session.start() {
        Ok(Some(work)) => {
            let result = session.done().and_then(|()| session.serve(&work));
            work.remove();
            result
        }
        Ok(None) => Ok(()),
        Err(failure) => session.fail(&failure),
    }
}

impl Session {
    fn done(&mut self) -> Result<()> {
        wire::send(&mut self.to, Tag::Done, &[]).doing("answer")
    }

    fn fail(&mut self, failure: &Failure) -> Result<()> {
        failure.send(&mut self.to).doing("answer")
    }

    fn answer(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) => self.done(),
            Err(failure) => self.fail(&failure),
        }
    }

    fn start(&mut self) -> Result<Option<Work>> {
        let Some(mut message) = wire::receive(&mut self.from).doing("read the first message")? else {
            return Ok(None);
        };
        let start = Start::from(&mut message).doing("read the first message")?;
        if start.mapped {
            sys::unshare(UnshareFlags::NEWUSER).doing("make a user namespace").map_err(namespaces)?;
            self.done()?;
            if wire::receive(&mut self.from).doing("wait for ids")?.is_none() {
                return Ok(None);
            }
        }
        // Tried here although each script gets its own: AppArmor lets a user namespace be made and then
        // forbids everything in it, which should be known at once
        rustix::thread::set_thread_groups(&[]).doing("drop supplementary groups").map_err(namespaces)?;
        sys::unshare(UnshareFlags::NEWNS).doing("make a mount namespace").map_err(namespaces)?;
        rustix::process::umask(rustix::fs::Mode::empty());
        Work::open(&start).map(Some)
    }

    fn serve(&mut self, work: &Work) -> Result<()> {
        while let Some(mut message) = wire::receive(&mut self.from).doing("read a message")? {
            match message.tag {
                Tag::Unpack => {
                    let ids = message.ids().doing("read a layer's id")?;
                    let unpacked = unpack_into(work, &ids, Reader::new(&mut self.from), None);
                    self.answer(unpacked)?;
                }
                Tag::UnpackFrom => {
                    let ids = message.ids().doing("read a layer's id")?;
                    let path = message.path().doing("read where a layer's contents are")?;
                    let reader = Reader::of_places(&mut self.from);
                    let unpacked = unpack_into(work, &ids, reader, Some(&path));
                    self.answer(unpacked)?;
                }
                Tag::Run => {
                    let run = Run::from(&mut message).doing("read a script")?;
                    if !self.run(&run, work)? {
                        return Ok(());
                    }
                }
                Tag::Clear => {
                    match message.ids().doing("read layers' ids").and_then(|keep| work.clear(&keep)) {
                        Ok(Some((layers, bytes))) => {
                            let numbers = [layers.to_le_bytes(), bytes.to_le_bytes()];
                            wire::send(&mut self.to, Tag::Done, &[&numbers[0], &numbers[1]])
                                .doing("answer")?;
                        }
                        Ok(None) => wire::send(&mut self.to, Tag::InUse, &[]).doing("answer")?,
                        Err(failure) => self.fail(&failure)?,
                    }
                }
                _ => return Err(io::Error::from(io::ErrorKind::InvalidData)).doing("read a message"),
            }
        }
        Ok(())
    }

    /// Runs a script in a helper that answers by itself. False when the other side has hung up meanwhile.
    fn run(&mut self, run: &Run, work: &Work) -> Result<bool> {
        let dir = work.own.join(format!("run-{}", self.runs));
        self.runs += 1;
        let pid = sys::fork(|| status(run::main(run, &work.layers, &dir, &self.to)).into())
            .doing("start the helper for a script")?;
        let exit = pidfd_open(pid, PidfdFlags::empty()).doing("watch the helper for a script")?;
        // No events asked for: poll always reports a hang-up
        let mut fds =
            [PollFd::new(self.from.get_ref(), PollFlags::empty()), PollFd::new(&exit, PollFlags::IN)];
        while let Err(e) = poll(&mut fds, None) {
            if e != rustix::io::Errno::INTR {
                return Err(e).doing("wait for a script");
            }
        }
        let hung_up = !fds[0].revents().is_empty() && fds[1].revents().is_empty();
        finish(pid, hung_up)
    }
}

/// Unpacks the layer that follows in the pipe, with contents of the file `contents` where that is given. All of it is
/// read, whatever happens, so that the next message is found.
fn unpack_into<R: Read>(
    work: &Work,
    ids: &[LayerId],
    mut reader: Reader<R>,
    contents: Option<&Path>,
) -> Result<()> {
    let dir = work.own.join("unpack");
    let opened = contents.map(|path| File::open(path).doing(format_args!("open {}", path.display())));
    let result = opened.transpose().and_then(|contents| unpack::unpack(&mut reader, contents.as_ref(), &dir));
    if result.is_err() {
        while reader.next_entry().doing("read a layer")?.is_some() {}
    }
    let result = result.and_then(|()| match ids {
        [id] => publish(&dir, &work.layers.join(id.to_string())),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)).doing("read a layer's id"),
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&dir);
    }
    result
}

fn finish(pid: Pid, kill: bool) -> Result<bool> {
    if kill {
        let _ = kill_process(pid, Signal::KILL);
    }
    let status = wait_for(pid).doing("wait for the helper for a script")?;
    if kill || status.exit_status() == Some(0) {
        return Ok(!kill);
    }
    let how = status
        .terminating_signal()
        .map_or_else(|| "failed".to_owned(), |signal| format!("was killed by signal {signal}"));
    Err(io::Error::other(format!("it {how}"))).doing("go on without the helper for a script")
}

fn publish(dir: &Path, to: &Path) -> Result<()> {
    match fs::rename(dir, to) {
        // Another session was faster with the same layer
        Err(_) if to.is_dir() => fs::remove_dir_all(dir).doing("remove a layer that was unpacked twice"),
        result => result.doing(format_args!("move a layer to {}", to.display())),
    }
}

fn namespaces(failure: Failure) -> Failure {
    Failure { part: Part::Namespaces, ..failure }
}
