//! The host's end of the port: says what is to be run, takes in what comes of it.
//!
//! Whatever the machine does, a call returns: when the time is over, when QEMU is gone, when the kernel panicked.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use hoopy_base::shell::quoted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::bootstrap::UP;
use super::capture::{Capture, Captured};

/// The functions that the machine's shell is given.
const AGENT: &str = include_str!("agent.sh");

/// How often somebody looks whether the machine still runs.
const TICK: Duration = Duration::from_millis(250);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// The time is over.
    Late(Duration),
    /// The port is closed: the machine ended.
    Ended,
    /// The machine said something on its console that it will not get over.
    Broken(String),
}

/// No answer, and what was said until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAnswer {
    pub(super) why: Silence,
    pub(super) output: String,
}

/// The host's end.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    marks: u32,
    /// Part of every mark: random.
    secret: String,
}

/// Looks after the machine while nothing comes from the port: says what it will not get over.
pub(super) type Watch<'a> = &'a mut dyn FnMut() -> Option<String>;

impl Channel {
    /// Waits until QEMU has opened its end.
    pub(super) fn accept(
        listener: &UnixListener,
        secret: String,
        within: Duration,
        watch: Watch<'_>,
    ) -> Result<Self, NoAnswer> {
        let nothing = |why| NoAnswer { why, output: String::new() };
        ready(listener, PollFlags::IN, within, watch).map_err(nothing)?;
        let (stream, _) = listener.accept().map_err(|_| nothing(Silence::Ended))?;
        stream.set_nonblocking(true).map_err(|_| nothing(Silence::Ended))?;
        Ok(Self { stream, marks: 0, secret })
    }

    /// Waits until the machine's shell is there, and gives it what it needs. Before the first request, and again
    /// after every reboot.
    pub(super) fn greet(&mut self, within: Duration, watch: Watch<'_>) -> Result<(), NoAnswer> {
        let deadline = Instant::now() + within;
        let mut said = Vec::new();
        loop {
            self.take(&mut said, deadline, within, watch)
                .map_err(|why| NoAnswer { why, output: String::new() })?;
            let end = said.windows(UP.len() + 1).position(|w| w.strip_suffix(b"\n") == Some(UP.as_bytes()));
            if end.is_some() {
                break;
            }
            // The last words of the boot before are nothing to keep
            said.drain(..said.len().saturating_sub(UP.len() + 1));
        }
        self.say(AGENT, deadline, within, watch).map_err(|why| NoAnswer { why, output: String::new() })
    }

    /// Runs a shell command.
    pub(super) fn ask(
        &mut self,
        command: &str,
        within: Duration,
        watch: Watch<'_>,
    ) -> Result<Captured, NoAnswer> {
        self.request(within, watch, |mark| format!("ask {mark} {}\n", quoted(command)))
    }

    /// Says something that makes a mark, and takes in what comes before the mark.
    pub(super) fn request(
        &mut self,
        within: Duration,
        watch: Watch<'_>,
        text: impl FnOnce(&str) -> String,
    ) -> Result<Captured, NoAnswer> {
        self.marks += 1;
        let mark = format!("{}-{}", self.secret, self.marks);
        let deadline = Instant::now() + within;
        let mut capture = Capture::new(&mark);
        let failed = |why, capture: &Capture| NoAnswer { why, output: capture.shown() };
        self.say(&text(&mark), deadline, within, watch).map_err(|why| failed(why, &capture))?;
        let mut piece = Vec::new();
        loop {
            self.take(&mut piece, deadline, within, watch).map_err(|why| failed(why, &capture))?;
            if let Some(captured) = capture.push(&piece) {
                return Ok(captured);
            }
            piece.clear();
        }
    }

    /// Says something that is not answered.
    pub(super) fn tell(&mut self, text: &str, within: Duration, watch: Watch<'_>) -> Result<(), NoAnswer> {
        let deadline = Instant::now() + within;
        self.say(text, deadline, within, watch).map_err(|why| NoAnswer { why, output: String::new() })
    }

    /// Waits until the machine ends.
    pub(super) fn until_end(&mut self, within: Duration, watch: Watch<'_>) -> Result<(), NoAnswer> {
        let deadline = Instant::now() + within;
        let mut last_words = Vec::new();
        loop {
            last_words.clear();
            match self.take(&mut last_words, deadline, within, watch) {
                Ok(()) => {}
                Err(Silence::Ended) => return Ok(()),
                Err(why) => return Err(NoAnswer { why, output: String::new() }),
            }
        }
    }

    fn take(
        &mut self,
        into: &mut Vec<u8>,
        deadline: Instant,
        within: Duration,
        watch: Watch<'_>,
    ) -> Result<(), Silence> {
        let mut chunk = [0; 16 << 10];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::Late(within));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Silence::Ended),
                Ok(n) => {
                    into.extend_from_slice(chunk.get(..n).unwrap_or_default());
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    ready(&self.stream, PollFlags::IN, left, watch).map_err(|why| late(why, within))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Silence::Ended),
            }
        }
    }

    fn say(
        &mut self,
        text: &str,
        deadline: Instant,
        within: Duration,
        watch: Watch<'_>,
    ) -> Result<(), Silence> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    ready(&self.stream, PollFlags::OUT, left, watch).map_err(|why| late(why, within))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Silence::Ended),
            }
        }
        Ok(())
    }
}

/// The time that was over is that of the whole request.
fn late(why: Silence, within: Duration) -> Silence {
    if matches!(why, Silence::Late(_)) { Silence::Late(within) } else { why }
}

/// Waits for a descriptor, and looks after the machine meanwhile.
fn ready(what: impl AsFd, events: PollFlags, within: Duration, watch: Watch<'_>) -> Result<(), Silence> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Silence::Late(within));
        }
        let tick = Timespec::try_from(left.min(TICK)).unwrap_or_default();
        match poll(&mut [PollFd::new(&what, events)], Some(&tick)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(_) => return Err(Silence::Ended),
        }
        if let Some(broken) = watch() {
            return Err(Silence::Broken(broken));
        }
    }
}

#[cfg(test)]
#[path = "channel/tests.rs"]
mod tests;
