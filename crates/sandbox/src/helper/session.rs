//! The helper that lives as long as a session: makes the user namespace, unpacks layers, and starts a helper for
//! each script. It ends, and with it everything below it, when its standard input closes.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use hoopy_base::digest::LayerId;
use hoopy_store::layer::stream::Reader;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Gid, Pid, PidfdFlags, Signal, Uid, kill_process, pidfd_open, set_dumpable_behavior,
};
use rustix::thread::UnshareFlags;
use seccompiler::BpfProgram;

use super::work::Work;
use super::{Result, file, run, status, sys, syscall_filter, unpack, wait_for};
use crate::descriptors;
use crate::wire::{self, Doing as _, Failure, Part, Run, Start, Tag};

/// Buffer before the pipe: as much as a pipe holds.
const BUFFER: usize = 64 << 10;

struct Session {
    from: BufReader<File>,
    /// Where answers go, and files are handed over by.
    to: File,
    /// What scripts may ask of the kernel.
    filter: BpfProgram,
    /// How many scripts were run.
    runs: u64,
}

/// Serves until the other side hangs up.
pub(super) fn main() -> Result<()> {
    // Not in the terminal's group, so that Ctrl-C lets hoopy end it in order
    let _ = rustix::process::setsid();
    sys::keep_descriptors_from_children()?;
    // Named as its file is not; and no keys of whoever started hoopy. A kernel without keyrings has none to leave.
    let _ = rustix::thread::set_name(c"hoopy");
    let _ = sys::leave_session_keyring();
    let from = file(std::io::stdin()).doing("read standard input")?;
    let to = file(std::io::stdout()).doing("write standard output")?;
    let filter = syscall_filter::program().doing("make a filter for system calls")?;
    let mut session = Session { from: BufReader::with_capacity(BUFFER, from), to, filter, runs: 0 };
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

    fn start(&mut self) -> Result<Option<Work>> {
        let Some(mut message) = wire::receive(&mut self.from).doing("read the first message")? else {
            return Ok(None);
        };
        let start = Start::from(&mut message).doing("read the first message")?;
        sys::unshare(UnshareFlags::NEWUSER).doing("make a user namespace").map_err(namespaces)?;
        self.done()?;
        if wire::receive(&mut self.from).doing("wait for ids")?.is_none() {
            return Ok(None);
        }
        // Tried here although each script gets its own: AppArmor lets a user namespace be made and then
        // forbids everything in it, which should be known at once
        rustix::thread::set_thread_groups(&[]).doing("drop supplementary groups").map_err(namespaces)?;
        take_ids(&start)?;
        // The working directory comes along, to which nothing leads for these ids
        sys::unshare(UnshareFlags::NEWNS).doing("make a mount namespace").map_err(namespaces)?;
        // podman's filter lets namespaces be made, and a host name in them not be set. The host's own is not for scripts;
        // their namespaces begin with this one.
        sys::unshare(UnshareFlags::NEWUTS).doing("make a namespace for the host name").map_err(namespaces)?;
        rustix::system::sethostname(b"localhost").doing("set the host name").map_err(namespaces)?;
        // Nobody may look into this process from here on, nor into its copies, whatever ids or rights they have
        set_dumpable_behavior(DumpableBehavior::NotDumpable).doing("close this process to others")?;
        rustix::process::umask(rustix::fs::Mode::empty());
        Work::open(&start).map(Some)
    }

    fn serve(&mut self, work: &Work) -> Result<()> {
        while let Some(mut message) = wire::receive(&mut self.from).doing("read a message")? {
            match message.tag {
                Tag::Unpack => {
                    let ids = message.ids().doing("read a layer's id")?;
                    let reader = Reader::new(&mut self.from);
                    let unpacked = unpack_into(work, &ids, reader, None);
                    self.unpacked(unpacked)?;
                }
                Tag::UnpackFrom => {
                    let ids = message.ids().doing("read a layer's id")?;
                    let contents = descriptors::receive(&self.to).doing("take a layer's contents")?;
                    let reader = Reader::of_places(&mut self.from);
                    let unpacked = unpack_into(work, &ids, reader, Some(&File::from(contents)));
                    self.unpacked(unpacked)?;
                }
                Tag::Run => {
                    let run = Run::from(&mut message).doing("read a script")?;
                    let mount = run.handed.then(|| descriptors::receive(&self.to)).transpose();
                    let mount = mount.doing("take what the script sees")?;
                    if !self.run(&run, mount, work)? {
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

    /// Answers how it went. A stream that is broken ends the session: nobody knows what follows it.
    fn unpacked(&mut self, unpacked: std::result::Result<(), UnpackError>) -> Result<()> {
        match unpacked {
            Ok(()) => self.done(),
            Err(UnpackError::Layer(failure)) => self.fail(&failure),
            Err(UnpackError::Stream(failure)) => {
                self.fail(&failure)?;
                Err(failure)
            }
        }
    }

    /// Runs a script in a helper that answers by itself. False when the other side has hung up meanwhile.
    fn run(&mut self, run: &Run, mount: Option<OwnedFd>, work: &Work) -> Result<bool> {
        let dir = work.own.join(format!("run-{}", self.runs));
        self.runs += 1;
        let job =
            run::Job { run, mount: mount.as_ref(), layers: &work.layers, dir: &dir, filter: &self.filter };
        let pid =
            sys::fork(|| status(run::main(&job, &self.to)).into()).doing("start the helper for a script")?;
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

/// What went wrong with a layer.
enum UnpackError {
    /// It could not be unpacked. All of its stream was read, and the next message is found.
    Layer(Failure),
    /// The stream that it came in is not as it should be.
    Stream(Failure),
}

/// Unpacks the layer that follows in the pipe, with contents of the file `contents` where that is given. It gets its name
/// when it has been found to be what its id says.
fn unpack_into<R: Read>(
    work: &Work,
    ids: &[LayerId],
    mut reader: Reader<R>,
    contents: Option<&File>,
) -> std::result::Result<(), UnpackError> {
    let dir = work.own.join("unpack");
    let unpacked = unpack::unpack(&mut reader, contents, &dir);
    if unpacked.is_err() {
        let _ = fs::remove_dir_all(&dir);
        while !reader.is_broken() && reader.next_entry().is_ok_and(|entry| entry.is_some()) {}
    }
    let kind = if reader.is_broken() { UnpackError::Stream } else { UnpackError::Layer };
    let found = unpacked.map_err(kind)?;
    let published = match ids {
        [id] if *id == found => publish(&dir, &work.layers.join(id.to_string())),
        _ => Err(io::Error::other(format!("it has the digest {found}")))
            .doing("take it for the layer that was asked for"),
    };
    published.map_err(|failure| {
        let _ = fs::remove_dir_all(&dir);
        UnpackError::Layer(failure)
    })
}

/// Takes the ids that root has in the user namespace, in place of the host's root's. An ordinary user's are that already.
fn take_ids(start: &Start) -> Result<()> {
    if !start.root {
        return Ok(());
    }
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(group, group, group).doing("take the ids of the user namespace")?;
    rustix::thread::set_thread_res_uid(user, user, user).doing("take the ids of the user namespace")
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
