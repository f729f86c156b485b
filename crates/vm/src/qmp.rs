//! QEMU's machine protocol (QMP): one connection to each machine, for as long as it runs.
//!
//! ```text
//! QEMU ──connects──▶ Qmp: a thread that listens ──▶ State: running? paused, and why? reset? switched off?
//! ```
//!
//! It is the only place where some ends show. A QEMU that cannot go on does not end: it pauses, with a word on its
//! standard error, and the console just stays silent. That is so of an instruction that KVM does not carry
//! (`internal-error`), and of a disk of the host that is full (`io-error`). And only here a machine that was reset
//! is told from one that was switched off.
//!
//! Until the greetings are exchanged QEMU reports nothing, so the state is asked for right behind them. What ends
//! in the few milliseconds before is known by the end of the process alone.
//!
//! Source: QEMU `docs/interop/qmp-spec.rst`, `qapi/run-state.json` (`RunState`, `STOP`, `RESUME`, `SHUTDOWN`),
//! `qapi/block-core.json` (`BLOCK_IO_ERROR`).

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::error::VmError;
use super::escape::escaped;

/// Ends QEMU's negotiation: before this command, it reports nothing.
const HELLO: &[u8] = b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n";
const ASK: &[u8] = b"{\"execute\":\"query-status\"}\n";

/// The states in which a machine stands still until a fault is fixed. `paused` is not among them: that is what
/// `stop` in QEMU's own monitor does.
const PAUSED: [&str; 4] = ["internal-error", "io-error", "guest-panicked", "watchdog"];

/// What QEMU calls a KVM that cannot go on.
pub(super) const INTERNAL_ERROR: &str = "internal-error";

/// How long to wait for the last message of a QEMU that has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection.
#[derive(Debug)]
pub(super) struct Qmp {
    path: PathBuf,
    state: Shared,
}

/// The state of the machine, shared between threads.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    /// QEMU's word for what the machine does: `running`.
    status: Option<String>,
    /// Why a disk could not be written to, or read.
    disk_error: Option<String>,
    ended: Option<Ended>,
    closed: bool,
}

/// Why QEMU ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The machine was reset, and QEMU was told to end then.
    Reset,
    /// The machine was switched off, or QEMU told to end.
    Off,
}

/// A machine that stands still until a fault is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// QEMU's word for it: `internal-error`, `io-error`, `guest-panicked`, `watchdog`.
    pub status: String,
    /// What was wrong with a disk.
    pub disk_error: Option<String>,
}

impl Qmp {
    /// Listens in the directory `dir`, where no other listener is left, and says nothing to QEMU for the time `silent`.
    ///
    /// # Errors
    /// [`VmError::Io`], [`VmError::Start`].
    pub fn listen(dir: &Path, silent: Duration) -> Result<Self, VmError> {
        let path = dir.join("qmp");
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(VmError::io("listen at", &path))?;
        let state = Shared::default();
        let heard = state.clone();
        let listen = move || {
            let _ = hear(&listener, &heard, silent);
            heard.lock().closed = true;
            heard.0.1.notify_all();
        };
        let thread = std::thread::Builder::new().name("qmp".to_owned()).spawn(listen);
        thread.map_err(VmError::start("a thread that listens to QEMU"))?;
        Ok(Self { path, state })
    }

    /// QEMU's options for this connection.
    ///
    /// # Errors
    /// [`VmError::PathNotUtf8`].
    pub fn args(&self) -> Result<[String; 2], VmError> {
        let socket = self.path.to_str().ok_or_else(|| VmError::PathNotUtf8(self.path.clone()))?;
        Ok(["-qmp".to_owned(), format!("unix:{}", escaped(socket))])
    }

    /// The current state.
    pub fn state(&self) -> Shared {
        self.state.clone()
    }

    /// Why the process of QEMU ended; `None` where it did not say.
    pub fn ended(&self) -> Option<Ended> {
        // A QEMU that did not come so far never called.
        drop(UnixStream::connect(&self.path));
        let closed = self.state.0.1.wait_timeout_while(self.state.lock(), LAST_WORDS, |state| !state.closed);
        closed.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        // The thread may still wait for a call
        drop(UnixStream::connect(&self.path));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the machine does, in QEMU's words; none before QEMU has said.
    pub fn status(&self) -> Option<String> {
        self.lock().status.clone()
    }

    /// Whether the machine stands still until a fault is fixed.
    pub fn paused(&self) -> Option<Paused> {
        let state = self.lock();
        let status = state.status.clone().filter(|status| PAUSED.contains(&status.as_str()))?;
        Some(Paused { status, disk_error: state.disk_error.clone() })
    }

    fn take(&self, message: Message) {
        let mut state = self.lock();
        let data = message.data.unwrap_or_default();
        match message.event.as_deref() {
            Some("RESUME") => state.status = Some("running".to_owned()),
            Some("BLOCK_IO_ERROR") => state.disk_error = data.reason,
            Some("SHUTDOWN") => {
                let reset = data.reason.as_deref() == Some("guest-reset");
                state.ended = Some(if reset { Ended::Reset } else { Ended::Off });
            }
            _ => {}
        }
        if let Some(status) = message.returned.and_then(|returned| returned.status) {
            state.status = Some(status);
        }
    }
}

/// One line of QEMU's.
#[derive(Deserialize)]
struct Message {
    event: Option<String>,
    data: Option<Data>,
    #[serde(rename = "return")]
    returned: Option<Returned>,
}

#[derive(Default, Deserialize)]
struct Data {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Returned {
    status: Option<String>,
}

fn hear(listener: &UnixListener, state: &Shared, silent: Duration) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    std::thread::sleep(silent);
    stream.write_all(HELLO)?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line?) else { continue };
        // The event does not say why
        let stopped = message.event.as_deref() == Some("STOP");
        state.take(message);
        if stopped {
            stream.write_all(ASK)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
