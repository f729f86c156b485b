//! A program whose output goes to a client while it runs.

use std::io::{self, PipeReader, Read as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;

use crate::program;

/// How long a program may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The most of a program's output that is passed on.
pub const MAX_OUTPUT: usize = 1 << 20;

/// How many run at once.
pub const AT_ONCE: usize = 4;

/// How long is waited for the end of a program that has closed its output.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pipe: PipeReader,
    taken: usize,
    closed: bool,
    /// When it is ended.
    pub until: Instant,
}

/// Why a program says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has ended.
    Exited(ExitStatus),
    /// It took too long.
    Late,
    /// It said too much.
    TooLong,
}

impl End {
    /// The status of the response, where its head has not been sent.
    pub fn status(self) -> u16 {
        match self {
            Self::Exited(status) if status.success() => 200,
            Self::Exited(_) | Self::TooLong => 500,
            Self::Late => 504,
        }
    }

    /// What a reader should know; nothing where all is well.
    pub fn remark(self) -> String {
        match self {
            Self::Exited(status) if status.success() => String::new(),
            Self::Exited(status) => format!("[the script ended with {status}]\n"),
            Self::Late => format!("\n[the script was ended: it took more than {} s]\n", LIMIT.as_secs()),
            Self::TooLong => {
                format!("\n[the script was ended: it printed more than {} KiB]\n", MAX_OUTPUT >> 10)
            }
        }
    }
}

impl Running {
    /// Starts a program: no arguments, nothing to read, and both outputs as one.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(path: &Path) -> io::Result<Self> {
        let (pipe, output) = io::pipe()?;
        ioctl_fionbio(&pipe, true)?;
        let errors = output.try_clone()?;
        let mut command = program::command(path);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()?;
        Ok(Self { child, pipe, taken: 0, closed: false, until: Instant::now() + LIMIT })
    }

    /// What to wait on for more; nothing once it has closed its output.
    pub fn pipe(&self) -> Option<&PipeReader> {
        (!self.closed).then_some(&self.pipe)
    }

    /// Reads what is there. The end comes once.
    pub fn turn(&mut self, out: &mut Vec<u8>, room: usize) -> Option<End> {
        // Asked first: what it said before it ended is read then.
        let exited = self.child.try_wait().ok().flatten();
        let mut buffer = [0; 8192];
        while out.len() < room && !self.closed {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.close(),
                Ok(read) => {
                    let part = read.min(MAX_OUTPUT - self.taken);
                    self.taken += part;
                    out.extend(buffer.get(..part).unwrap_or_default());
                    if part < read {
                        return Some(End::TooLong);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.close(),
            }
        }
        // What it leaves running may hold the pipe open; nobody waits for that.
        if let Some(status) = exited.filter(|_| out.len() < room) {
            return Some(End::Exited(status));
        }
        (Instant::now() >= self.until).then_some(End::Late)
    }

    fn close(&mut self) {
        self.closed = true;
        // It may end in its own time, but not much later.
        self.until = self.until.min(Instant::now() + LAST_BREATH);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        program::end(&mut self.child);
    }
}
