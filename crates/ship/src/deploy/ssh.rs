//! The user's own `ssh`: whatever its configuration, agent, jump hosts and known hosts make of a name, counts.
//!
//! One connection is made, which the others share (`ControlMaster`), so that whoever types a password types one. The
//! first process of it is a `cat` on the machine that reads from us: when this process ends, in whatever way, its
//! input ends, and the connection with it.
//!
//! A script goes over standard input, behind a command of one line that reads exactly so many bytes: servers limit
//! the length of a command, some to a few kilobytes. What follows the script is the script's own input.
//!
//! No machine is waited for without an end ([`Limits`]). What `ssh` says on standard error is read, made harmless and
//! told as part of an error; it asks for passwords and about host keys on the terminal itself (/dev/tty), which no pipe
//! changes.

mod error;
mod follow;
mod limits;
mod pipes;
mod stream;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hoopy_base::pace::{Pace, Patience, Stall};
use tempfile::TempDir;

pub use error::SshError;
pub use limits::Limits;
use pipes::{Input, Words};

/// What a socket's path may have (unix(7)), less what ssh adds to it while it makes it, and the NUL.
const MAX_SOCKET_PATH: usize = 108 - 18;

/// Whatever a login shell says before it is ready, and more.
const MAX_GREETING: usize = 64 << 10;

/// Between two looks whether a process has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// Says that the machine is there.
const READY: &str = "hoopy-ready";

/// How ssh is called.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// The program: `ssh`, as PATH has it.
    pub program: PathBuf,
    /// Whether nobody is there to be asked for a password or a host key.
    pub batch: bool,
    /// Where a short-lived private directory is made.
    pub temp: PathBuf,
    /// How long to wait for the machine.
    pub limits: Limits,
}

/// A connection.
#[derive(Debug)]
pub struct Ssh {
    host: String,
    config: SshConfig,
    /// None where the temporary directory has too long a name for a socket.
    socket: Option<PathBuf>,
    sent: AtomicU64,
    _master: Process,
    _input: Option<ChildStdin>,
    _dir: TempDir,
}

/// A process that does not outlive its value.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives a script its input.
pub type Feed<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + Send + 'a;

impl Ssh {
    /// Connects to `host`, which is what the user would type behind `ssh`.
    ///
    /// # Errors
    /// [`SshError`].
    pub fn connect(host: &str, config: &SshConfig) -> Result<Self, SshError> {
        if host.is_empty()
            || host.starts_with('-')
            || host.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(SshError::NoHost(host.to_owned()));
        }
        let dir = private_dir(&config.temp).map_err(SshError::Io)?;
        let socket = Some(dir.path().join("s")).filter(|path| path.as_os_str().len() <= MAX_SOCKET_PATH);
        let mut command = command(config, host, socket.as_deref(), true);
        command.arg(format!("echo {READY} && exec cat >/dev/null"));
        let mut child = Process(command.spawn().map_err(|e| SshError::start(&config.program, e))?);
        let words = Words::listen(child.0.stderr.take());
        let Limits { connect, login, typing, .. } = config.limits;
        let limit = connect + if config.batch { login } else { typing };
        match greeted(&mut child.0, Instant::now() + limit) {
            Ok(true) => {}
            Ok(false) => return Err(SshError::of(host, &words.last(), false)),
            Err(Greeting::Late) => {
                drop(child);
                return Err(SshError::NoLogin { host: host.to_owned(), waited: limit, words: words.last() });
            }
            Err(Greeting::Flood) => return Err(SshError::NoGreeting { host: host.to_owned() }),
            Err(Greeting::Io(e)) => return Err(SshError::Io(e)),
        }
        let input = child.0.stdin.take();
        let sent = AtomicU64::new(0);
        Ok(Self {
            host: host.to_owned(),
            config: config.clone(),
            socket,
            sent,
            _master: child,
            _input: input,
            _dir: dir,
        })
    }

    /// Whom it is connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How many bytes were given to ssh so far: scripts and their input.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How long it waits.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Runs a script that answers a question; gives what it said, of which `limit` bytes are read at most. The script
    /// says itself whether it succeeded.
    ///
    /// # Errors
    /// [`SshError`] when the connection breaks.
    pub fn ask(&self, script: &str, limit: u64) -> Result<Vec<u8>, SshError> {
        let call = Call { script, limit, patience: self.limits().answer(), until: None };
        self.run(&call, &mut |_| Ok(()))
    }

    /// Runs a script with this input. The connection stays, also where the script is not waited for any longer.
    ///
    /// # Errors
    /// [`SshError`]; [`SshError::Late`] when it is not done by the time that was set for it.
    pub fn run(&self, call: &Call<'_>, feed: &mut Feed<'_>) -> Result<Vec<u8>, SshError> {
        let (mut child, words) = self.start_script(call.script)?;
        let (moved, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut said = Vec::new();
        let ended = std::thread::scope(|scope| {
            let input = child.0.stdin.take().map(|pipe| Input::new(pipe, &self.sent, &moved, &stop));
            scope.spawn(|| {
                let Some(Ok(mut input)) = input else { return };
                // An end that is closed early is told by what the script said, or did not say.
                let _ = input.write_all(call.script.as_bytes()).and_then(|()| feed(&mut input));
            });
            let ended = attend(&mut child.0, call, &moved, &mut said);
            if ended.is_err() {
                // With it ends what it reads, and whoever writes that goes on.
                let _ = child.0.kill();
            }
            stop.store(true, Ordering::Relaxed);
            ended
        });
        let host = || self.host.clone();
        let status = match ended {
            Ok(status) => status,
            Err(Ended::Io(e)) => return Err(SshError::Io(e)),
            Err(Ended::Late) => return Err(SshError::Late(host())),
            Err(Ended::Stalled(stall)) => return Err(self.stalled(stall)),
        };
        let words = words.last();
        // No more of it is read, and ssh may have died of that: whoever set the limit says what is too much.
        let full = said.len() as u64 >= call.limit;
        // What ssh itself fails with (ssh(1)); a script of ours never does.
        if !full && status.code().is_none_or(|code| code == 255) {
            return Err(SshError::of(&self.host, &words, true));
        }
        if said.is_empty() && !words.is_empty() {
            return Err(SshError::Words { host: host(), words });
        }
        Ok(said)
    }

    /// Starts a command whose input and output are this computer's to use, for as long as it runs.
    ///
    /// # Errors
    /// [`SshError`] where `ssh` cannot be started.
    pub fn start(&self, remote: &str) -> Result<Child, SshError> {
        let mut command = command(&self.config, &self.host, self.socket.as_deref(), false);
        command.arg(remote).stderr(Stdio::null());
        command.spawn().map_err(|e| SshError::start(&self.config.program, e))
    }

    /// Starts the command that reads `script`.
    fn start_script(&self, script: &str) -> Result<(Process, Words), SshError> {
        let mut command = command(&self.config, &self.host, self.socket.as_deref(), false);
        command.arg(read_script(script));
        let mut child = Process(command.spawn().map_err(|e| SshError::start(&self.config.program, e))?);
        let words = Words::listen(child.0.stderr.take());
        Ok((child, words))
    }

    /// Starts `script`, and gives what it reads after itself.
    fn begin(&self, script: &str) -> Result<(Process, Option<ChildStdin>, Words), SshError> {
        let (mut child, words) = self.start_script(script)?;
        let mut input = child.0.stdin.take();
        if let Some(input) = &mut input {
            // A script that does not start says so by its exit status.
            let _ = input.write_all(script.as_bytes());
        }
        Ok((child, input, words))
    }

    fn stalled(&self, stall: Stall) -> SshError {
        let host = self.host.clone();
        match stall {
            Stall::Silent(waited) => SshError::Silent { host, waited },
            Stall::Slow(bytes, waited) => SshError::Slow { host, bytes, waited },
        }
    }
}

/// The command that reads a script from its input, and runs it.
fn read_script(script: &str) -> String {
    let size = script.len();
    format!("exec sh -c 's=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null) && eval \"$s\"'")
}

/// A script to run.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The script.
    pub script: &'a str,
    /// The most bytes of its answer that are read.
    pub limit: u64,
    /// How long it may be silent or slow.
    pub patience: Patience,
    /// When it is not waited for any longer, whatever it does.
    pub until: Option<Instant>,
}

/// How a script ended that was not waited for to its end.
enum Ended {
    Late,
    Stalled(Stall),
    Io(io::Error),
}

/// Reads the answer and waits for the end of the process, as long as bytes move.
fn attend(
    child: &mut Child,
    call: &Call<'_>,
    moved: &AtomicU64,
    said: &mut Vec<u8>,
) -> Result<ExitStatus, Ended> {
    let mut pace = Pace::new(call.patience, Instant::now());
    let mut output = child.stdout.take();
    let mut exited = false;
    let mut buffer = vec![0; 64 << 10];
    loop {
        if let Some(out) = &mut output {
            let room =
                usize::try_from(call.limit - said.len() as u64).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..room).unwrap_or_default();
            match pipes::read(out, part).map_err(Ended::Io)? {
                Some(n) => {
                    said.extend(part.get(..n).unwrap_or_default());
                    moved.fetch_add(n as u64, Ordering::Relaxed);
                    if n == 0 || said.len() as u64 >= call.limit {
                        output = None;
                    }
                }
                // What it started may hold the pipe; what it said itself has been read by now.
                None if exited => output = None,
                None => exited = child.try_wait().map_err(Ended::Io)?.is_some(),
            }
        } else {
            match child.try_wait().map_err(Ended::Io)? {
                Some(status) => return Ok(status),
                None => std::thread::sleep(PAUSE),
            }
        }
        let now = Instant::now();
        if call.until.is_some_and(|until| now >= until) {
            return Err(Ended::Late);
        }
        if let Some(stall) = pace.check(now, moved.load(Ordering::Relaxed)) {
            return Err(Ended::Stalled(stall));
        }
    }
}

/// Why not to wait for a greeting any longer.
enum Greeting {
    Late,
    /// [`MAX_GREETING`] came, and the greeting did not.
    Flood,
    Io(io::Error),
}

/// Waits until the machine says that it is there; false where the connection ends before.
fn greeted(child: &mut Child, until: Instant) -> Result<bool, Greeting> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    let ready = format!("{READY}\n");
    if let Some(out) = &mut child.stdout {
        // A login shell may greet first.
        loop {
            match pipes::read(out, &mut buffer).map_err(Greeting::Io)? {
                Some(0) => break,
                Some(n) => said.extend(buffer.get(..n).unwrap_or_default()),
                None => {}
            }
            let text = String::from_utf8_lossy(&said).replace("\r\n", "\n");
            if text == ready || text.ends_with(&format!("\n{ready}")) {
                return Ok(true);
            }
            if said.len() >= MAX_GREETING {
                return Err(Greeting::Flood);
            }
            if Instant::now() >= until {
                return Err(Greeting::Late);
            }
        }
    }
    // It ends by itself, with what it has to say about it.
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= until {
            return Err(Greeting::Late);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}

/// A directory with a short name, for this user alone.
fn private_dir(temp: &Path) -> io::Result<TempDir> {
    let long = temp.as_os_str().len() + "/hoopy-XXXXXX/s".len() > MAX_SOCKET_PATH;
    tempfile::Builder::new().prefix("hoopy-").tempdir_in(if long { Path::new("/tmp") } else { temp })
}

fn command(config: &SshConfig, host: &str, socket: Option<&Path>, master: bool) -> Command {
    let mut command = Command::new(&config.program);
    // Forwardings of the user's configuration are none of ours, and their ports may be taken. A network that is cut
    // is noticed after 20 seconds.
    command.args(["-T", "-x", "-a", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"]);
    command.args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4"]);
    if let Some(socket) = socket {
        command.arg("-o").arg(format!("ControlPath={}", socket.display()));
        command.args(["-o", if master { "ControlMaster=yes" } else { "ControlMaster=no" }]);
        command.args(["-o", "ControlPersist=no"]);
    }
    command.arg("-o").arg(format!("ConnectTimeout={}", config.limits.connect.as_secs().max(1)));
    if config.batch {
        command.args(["-o", "BatchMode=yes"]);
    }
    command.arg("--").arg(host);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[cfg(test)]
mod tests;
