//! The user's own `ssh`: whatever its configuration, agent, jump hosts and known hosts make of a name, counts.
//!
//! One connection is made, which the others share (`ControlMaster`), so that whoever types a password types one. The
//! first process of it is a `cat` on the far side that reads from us: when this process ends, in whatever way, its
//! input ends, and the connection with it.
//!
//! A script goes over standard input, behind a command of one line that reads exactly so many bytes: servers limit
//! the length of a command, some to a few kilobytes. What follows the script is the script's own input.

mod error;
mod follow;

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use error::SshError;

/// What a socket's path may have (unix(7)), less what ssh adds to it while it makes it, and the NUL.
const MAX_SOCKET_PATH: usize = 108 - 18;

/// So much of what ssh and the far side say on standard error is kept.
const MAX_WORDS: u64 = 64 << 10;

/// Says that the far side is there.
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
    /// How long to wait for an answer to the first packet; ssh's own time where there is none.
    pub patience: Option<Duration>,
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
        let words = listen(child.0.stderr.take());
        let mut said = String::new();
        if let Some(out) = child.0.stdout.take() {
            // A login shell may greet first.
            for line in BufReader::new(out.take(MAX_WORDS)).lines() {
                said = line.unwrap_or_default();
                if said == READY {
                    break;
                }
            }
        }
        if said != READY {
            let _ = child.0.wait();
            return Err(SshError::of(host, &words.join().unwrap_or_default(), false));
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

    /// Runs a script with this input; gives what it said, of which `limit` bytes are read at most. The script says
    /// itself whether it succeeded.
    ///
    /// # Errors
    /// [`SshError`] when the connection breaks.
    pub fn run(&self, script: &str, limit: u64, feed: &mut Feed<'_>) -> Result<Vec<u8>, SshError> {
        self.run_until(None, script, limit, feed)
    }

    /// The same, with an instant after which nobody waits for it any more. The connection stays.
    ///
    /// # Errors
    /// [`SshError`]; [`SshError::Late`] when it is not done then.
    pub fn run_until(
        &self,
        until: Option<Instant>,
        script: &str,
        limit: u64,
        feed: &mut Feed<'_>,
    ) -> Result<Vec<u8>, SshError> {
        let mut command = command(&self.config, &self.host, self.socket.as_deref(), false);
        let size = script.len();
        command.arg(format!(
            "exec sh -c 's=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null) && eval \"$s\"'"
        ));
        let mut child = Process(command.spawn().map_err(|e| SshError::start(&self.config.program, e))?);
        let words = listen(child.0.stderr.take());
        let (input, output) = (child.0.stdin.take(), child.0.stdout.take());
        let mut said = Vec::new();
        let (done, waiting) = mpsc::channel::<()>();
        let (read, _, late) = std::thread::scope(|scope| {
            let (process, mut late) = (&mut child.0, None);
            if let Some(until) = until {
                late = Some(scope.spawn(move || {
                    let left = until.saturating_duration_since(Instant::now());
                    let is_late = waiting.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout);
                    // With it ends what it says, and whoever reads that goes on.
                    is_late && process.kill().is_ok()
                }));
            }
            let writer = scope.spawn(|| {
                let mut input = Counting { inner: input, sent: &self.sent };
                // An end that is closed early is told by what the script said, or did not say.
                let _ = input.write_all(script.as_bytes()).and_then(|()| feed(&mut input));
                drop(input);
            });
            let read = output.map_or(Ok(0), |out| out.take(limit).read_to_end(&mut said));
            drop(done);
            let late = late.is_some_and(|late| late.join().unwrap_or(false));
            (read, writer.join(), late)
        });
        let status = child.0.wait().map_err(SshError::Io)?;
        let words = words.join().unwrap_or_default();
        if late {
            return Err(SshError::Late(self.host.clone()));
        }
        read.map_err(SshError::Io)?;
        // What ssh itself fails with (ssh(1)); a script of ours never does.
        if status.code().is_none_or(|code| code == 255) {
            return Err(SshError::of(&self.host, &words, true));
        }
        if said.is_empty() && !words.is_empty() {
            return Err(SshError::Words { host: self.host.clone(), words });
        }
        Ok(said)
    }
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
    if let Some(patience) = config.patience {
        command.arg("-o").arg(format!("ConnectTimeout={}", patience.as_secs().max(1)));
    }
    if config.batch {
        command.args(["-o", "BatchMode=yes"]);
    }
    command.arg("--").arg(host);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads what is said on standard error, while it is said.
fn listen(from: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut words = Vec::new();
        if let Some(mut from) = from {
            let _ = from.by_ref().take(MAX_WORDS).read_to_end(&mut words);
            // The rest is read too: nobody must wait for it to be.
            let _ = io::copy(&mut from, &mut io::sink());
        }
        String::from_utf8_lossy(&words).trim().to_owned()
    })
}

struct Counting<'a> {
    inner: Option<ChildStdin>,
    sent: &'a AtomicU64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(bytes.len()) };
        let n = inner.write(bytes)?;
        self.sent.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}
