//! A machine's serial console in the hands of a program: wait for text, type lines, run commands.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::error::VmError;
use super::fault::Fault;
use super::process::{Guard, Guarded};
use super::qemu::{Qemu, STDERR};
use super::silence::Silence;

/// The most unread console output that is kept; older text is dropped.
const MAX_KEPT: usize = 4 << 20;

/// How much of the console an error shows.
const TAIL: usize = 2000;

/// How often to check whether a silent machine has ended.
const TICK: Duration = Duration::from_millis(100);

/// Receives everything that a machine's console shows, as it comes.
pub type Log = Box<dyn std::io::Write + Send>;

/// A running machine. Dropping it ends it.
#[derive(Debug)]
pub struct Console {
    runs: Runs,
    keys: Option<ChildStdin>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    words: PathBuf,
    started: Instant,
    commands: u32,
    _dir: TempDir,
}

/// What has the machine's console on its standard streams.
#[derive(Debug)]
enum Runs {
    Qemu(Box<Qemu>),
    Other(Guarded),
}

impl Runs {
    fn child(&mut self) -> &mut Child {
        match self {
            Self::Qemu(qemu) => qemu.child(),
            Self::Other(guarded) => guarded.child(),
        }
    }

    /// What an error says about a running QEMU.
    fn facts(&self) -> String {
        let Self::Qemu(qemu) = self else { return String::new() };
        let said = qemu.telling_line().map_or_else(String::new, |line| format!("; QEMU said: {line}"));
        format!(" ({}){said}", qemu.facts())
    }
}

#[derive(Debug, Default)]
struct Heard {
    /// What was said and not yet waited for.
    text: Vec<u8>,
    /// The end of what was waited for, for errors.
    before: Vec<u8>,
    /// When it last said anything.
    last: Option<Instant>,
    closed: bool,
}

impl Console {
    /// The console of a QEMU that was started with it on its standard streams.
    pub(super) fn new(qemu: Qemu, dir: TempDir, log: Option<Log>) -> Result<Self, VmError> {
        Self::listening(Runs::Qemu(Box::new(qemu)), dir, log)
    }

    fn listening(mut runs: Runs, dir: TempDir, log: Option<Log>) -> Result<Self, VmError> {
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let keys = runs.child().stdin.take();
        if let Some(mut from) = runs.child().stdout.take() {
            let heard = Arc::clone(&heard);
            let listen = move || listen(&mut from, log, &heard);
            let thread = std::thread::Builder::new().name("console".to_owned()).spawn(listen);
            thread.map_err(VmError::start("a thread that listens to the console"))?;
        }
        let words = dir.path().join(STDERR);
        Ok(Self { runs, keys, heard, words, started: Instant::now(), commands: 0, _dir: dir })
    }

    /// Starts a program that has a machine's console on its standard streams. Temporary files go to `temp`.
    ///
    /// # Errors
    /// [`VmError::Start`], [`VmError::Io`].
    pub fn of(program: &Path, temp: &Path, prepare: impl FnOnce(&mut Command)) -> Result<Self, VmError> {
        let dir = tempfile::Builder::new().prefix("hoopy-console-").tempdir_in(temp);
        let dir = dir.map_err(VmError::io("make a directory in", temp))?;
        let words = dir.path().join(STDERR);
        let errors = File::create(&words).map_err(VmError::io("create", &words))?;
        let guard = Guard::new(temp, Some(dir.path()))?;
        let mut command = guard.command(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        prepare(&mut command);
        Self::listening(Runs::Other(guard.spawn(command)?), dir, None)
    }

    /// What the program that runs the machine said beside the console.
    pub fn words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap_or_default()
    }

    /// Waits until the console shows `wanted`. Returns the text before it; the text after it is for the next call.
    ///
    /// # Errors
    /// [`VmError::TimedOut`], [`VmError::Ended`] and [`VmError::Fault`], with the end of what it did say.
    pub fn expect(&mut self, wanted: &str, within: Duration) -> Result<String, VmError> {
        self.expect_telling(wanted, within, &mut |_| {})
    }

    /// The same; `tell` hears of a machine that has been silent for long.
    ///
    /// # Errors
    /// As [`Console::expect`].
    pub fn expect_telling(
        &mut self,
        wanted: &str,
        within: Duration,
        tell: &mut dyn FnMut(&str),
    ) -> Result<String, VmError> {
        let deadline = Instant::now() + within;
        let mut silence = Silence::new(within);
        let mut searched = 0;
        loop {
            let (lock, signal) = &*self.heard;
            let mut heard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = find(&heard.text, wanted.as_bytes(), searched) {
                return Ok(heard.take(at, wanted.len()));
            }
            searched = heard.text.len().saturating_sub(wanted.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if heard.closed || left.is_zero() {
                let (tail, closed) = (heard.tail(), heard.closed);
                drop(heard);
                return Err(self.failed(wanted, within, tail, closed));
            }
            let kept = heard.text.len();
            let (heard, waited) =
                signal.wait_timeout(heard, left.min(TICK)).unwrap_or_else(PoisonError::into_inner);
            // Old text may have gone meanwhile
            if heard.text.len() < kept || heard.text.len() >= MAX_KEPT {
                searched = 0;
            }
            if !waited.timed_out() {
                continue;
            }
            let tail = heard.tail();
            drop(heard);
            // One that ended closes the console too, and all that it said is to be looked through first
            if let Some(fault) = self.paused() {
                return Err(VmError::Fault { fault, tail });
            }
            if let Some(note) = self.silent(&mut silence) {
                tell(&note);
            }
        }
    }

    fn failed(&mut self, wanted: &str, after: Duration, tail: String, closed: bool) -> VmError {
        let wanted = Some(wanted.to_owned());
        if !closed {
            return match self.paused() {
                Some(fault) => VmError::Fault { fault, tail },
                None => VmError::TimedOut { wanted, after, facts: self.runs.facts(), tail },
            };
        }
        let status = self.runs.child().wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        if let Some(fault) = self.fault() {
            return VmError::Fault { fault, tail };
        }
        let words = self.words().trim().to_owned();
        VmError::Ended { status, wanted, words, tail }
    }

    /// The fault of a machine that stopped by itself, or has shown nothing at all.
    pub fn fault(&mut self) -> Option<Fault> {
        let Runs::Qemu(qemu) = &mut self.runs else { return None };
        if let Some(fault) = qemu.fault() {
            return Some(fault);
        }
        let mute = lock(&self.heard.0).last.is_none() && qemu.exit_status().is_none();
        if mute { qemu.hung(self.started.elapsed()) } else { None }
    }

    /// What an error about a machine that did nothing adds: accelerator, state, and what QEMU said.
    pub fn facts(&self) -> String {
        self.runs.facts()
    }

    /// The fault of a QEMU that still runs.
    fn paused(&mut self) -> Option<Fault> {
        let Runs::Qemu(qemu) = &mut self.runs else { return None };
        if qemu.exit_status().is_some() { None } else { self.fault() }
    }

    /// A note about a silent machine, when it is time for one.
    pub fn silent(&self, silence: &mut Silence) -> Option<String> {
        let Runs::Qemu(qemu) = &self.runs else { return None };
        let last = lock(&self.heard.0).last;
        silence.note(last, || qemu.facts())
    }

    /// Types a line.
    ///
    /// # Errors
    /// [`VmError::Type`].
    pub fn send(&mut self, line: &str) -> Result<(), VmError> {
        let Some(keys) = &mut self.keys else { return Ok(()) };
        keys.write_all(format!("{line}\n").as_bytes()).and_then(|()| keys.flush()).map_err(VmError::Type)
    }

    /// Logs in at the `login:` that was not yet waited for and gets a shell that [`Console::run`] can use.
    ///
    /// # Errors
    /// As [`Console::expect`].
    pub fn login(&mut self, user: &str, password: Option<&str>, within: Duration) -> Result<(), VmError> {
        self.expect("login:", within)?;
        self.send(user)?;
        if let Some(password) = password {
            self.expect("assword:", within)?;
            self.send(password)?;
        }
        self.expect("# ", within)?;
        // Neither an echo nor the kernel may talk into what a command says
        self.run("stty -echo; PS1=; PS2=; dmesg -n 1", within).map(drop)
    }

    /// Runs a command in the shell on the console. Returns its exit status and its output.
    ///
    /// # Errors
    /// As [`Console::expect`].
    pub fn run(&mut self, command: &str, within: Duration) -> Result<(i32, String), VmError> {
        self.commands += 1;
        let n = self.commands;
        // The marks are put together by the shell, so that an echo of the line does not look like them
        self.send(&format!("printf '<%s %s>\\n' begin {n}; {command}\nprintf '<%s %s %s>\\n' end {n} $?"))?;
        self.expect(&format!("<begin {n}>"), within)?;
        let output = self.expect(&format!("<end {n} "), within)?;
        let status = self.expect(">", within)?.trim().parse().unwrap_or(-1);
        Ok((status, output.replace('\r', "").trim_matches('\n').to_owned()))
    }

    /// Waits until the machine ends by itself.
    ///
    /// # Errors
    /// [`VmError::TimedOut`], [`VmError::Fault`].
    pub fn wait(&mut self, within: Duration) -> Result<(), VmError> {
        // Nothing that a console says can hold a text longer than what is kept: only the end ends the wait
        let never = "\0the end of the machine\0";
        match self.expect(never, within) {
            Err(VmError::TimedOut { after, facts, tail, .. }) => {
                Err(VmError::TimedOut { wanted: None, after, facts, tail })
            }
            Err(fault @ VmError::Fault { .. }) => Err(fault),
            _ => Ok(()),
        }
    }
}

impl Heard {
    fn take(&mut self, at: usize, len: usize) -> String {
        let taken: Vec<u8> = self.text.drain(..(at + len).min(self.text.len())).collect();
        self.before = taken.get(taken.len().saturating_sub(TAIL)..).unwrap_or_default().to_vec();
        String::from_utf8_lossy(taken.get(..at).unwrap_or_default()).into_owned()
    }

    fn tail(&self) -> String {
        let all = [self.before.as_slice(), self.text.as_slice()].concat();
        let tail = all.get(all.len().saturating_sub(TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).replace('\r', "").trim().to_owned()
    }
}

fn listen(from: &mut dyn std::io::Read, mut log: Option<Log>, heard: &(Mutex<Heard>, Condvar)) {
    let mut chunk = [0; 4096];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => chunk.get(..n).unwrap_or_default(),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if let Some(log) = &mut log {
            let _ = log.write_all(read);
        }
        let mut heard_now = lock(&heard.0);
        heard_now.text.extend_from_slice(read);
        heard_now.last = Some(Instant::now());
        let over = heard_now.text.len().saturating_sub(MAX_KEPT);
        heard_now.text.drain(..over);
        heard.1.notify_all();
    }
    lock(&heard.0).closed = true;
    heard.1.notify_all();
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let at = text.get(from..)?.windows(wanted.len().max(1)).position(|w| w == wanted)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// A shell is as good as a machine with a console.
    fn shell(script: &str) -> Console {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(STDERR), "no such device\n").unwrap();
        let guard = Guard::new(&std::env::temp_dir(), None).unwrap();
        let mut command = guard.command(Path::new("/bin/sh"));
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Console::listening(Runs::Other(guard.spawn(command).unwrap()), dir, None).unwrap()
    }

    #[test]
    fn waits_for_text_and_answers() {
        let mut console = shell("printf 'hello login: '; read name; echo \"hi $name.\"; sleep 0.2; echo bye");
        assert_eq!(console.expect("login:", SOON).unwrap(), "hello ");
        console.send("root").unwrap();
        assert_eq!(console.expect(".", SOON).unwrap(), " hi root");
        console.expect("bye", SOON).unwrap();
        console.wait(SOON).unwrap();
    }

    #[test]
    fn runs_commands_and_tells_how_they_ended() {
        let mut console = shell("exec sh");
        assert_eq!(console.run("echo one; echo two", SOON).unwrap(), (0, "one\ntwo".to_owned()));
        assert_eq!(console.run("(exit 3)", SOON).unwrap(), (3, String::new()));
    }

    #[test]
    fn says_what_it_heard_when_the_machine_ends_or_is_silent() {
        let mut console = shell("echo Kernel panic; exit 4");
        let error = console.expect("login:", SOON).unwrap_err().to_string();
        assert_eq!(
            error,
            "the machine stopped (exit status: 4) before its console showed \"login:\": no such device; \
             its console ended with:\nKernel panic"
        );
        let mut console = shell("echo hm; sleep 100");
        let error = console.expect("login:", Duration::from_millis(300)).unwrap_err().to_string();
        assert_eq!(
            error,
            "timed out: the console did not show \"login:\" within 0 s; its console ended with:\nhm"
        );
    }
}
