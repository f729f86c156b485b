//! The pipes to and from `ssh`, none of which is ever waited for without an end: a process that `ssh` started (a proxy
//! command, say) may hold them open after `ssh` itself is gone.

use std::io::{self, Read as _, Write};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoopy_base::terminal::harmless;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How often to check whether to wait any longer.
pub const TICK: Duration = Duration::from_millis(50);

/// How long words on standard error may come behind the end of the process that said them.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How much of the standard error of ssh and the machine is kept: its end, where ssh says why it failed.
const MAX_WORDS: usize = 4 << 10;

/// How many lines of that are shown: all that ssh says of a host key that has changed, and no endless banner.
const MAX_LINES: usize = 20;

fn ready(fd: impl AsFd, flags: PollFlags) -> io::Result<bool> {
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    match poll(&mut [PollFd::new(&fd, flags)], Some(&tick)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Reads what there is; nothing where none came within a tick.
pub fn read(from: &mut ChildStdout, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    if !ready(&*from, PollFlags::IN)? {
        return Ok(None);
    }
    from.read(buffer).map(Some)
}

/// Standard input of `ssh`: what is written is counted, and a reader that takes nothing is waited for until `stop`.
pub struct Input<'a> {
    pipe: ChildStdin,
    /// Bytes of all scripts of a connection.
    sent: &'a AtomicU64,
    /// Bytes of this one, in both directions.
    moved: &'a AtomicU64,
    stop: &'a AtomicBool,
}

impl<'a> Input<'a> {
    pub fn new(
        pipe: ChildStdin,
        sent: &'a AtomicU64,
        moved: &'a AtomicU64,
        stop: &'a AtomicBool,
    ) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self { pipe, sent, moved, stop })
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.pipe.write(bytes) {
                Ok(n) => {
                    self.sent.fetch_add(n as u64, Ordering::Relaxed);
                    self.moved.fetch_add(n as u64, Ordering::Relaxed);
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            if self.stop.load(Ordering::Relaxed) {
                // As if the other side had closed it: whoever set `stop` knows why.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            ready(&self.pipe, PollFlags::OUT)?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said on standard error, read while it is said.
pub struct Words {
    said: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Words {
    pub fn listen(from: Option<ChildStderr>) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel();
        let kept = Arc::clone(&said);
        // Ends with the last process that holds the pipe; nobody waits for it longer than for last words.
        std::thread::spawn(move || {
            let Some(mut from) = from else { return };
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(buffer.get(..n).unwrap_or_default());
                let excess = kept.len().saturating_sub(MAX_WORDS);
                kept.drain(..excess);
            }
            let _ = end.send(());
        });
        Self { said, ended }
    }

    /// The end of it, made harmless: ssh passes on what a server says, banners too.
    pub fn last(self) -> String {
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = harmless(&String::from_utf8_lossy(&said).replace("\r\n", "\n"));
        let lines: Vec<&str> = text.trim().lines().collect();
        lines.get(lines.len().saturating_sub(MAX_LINES)..).unwrap_or_default().join("\n")
    }
}
