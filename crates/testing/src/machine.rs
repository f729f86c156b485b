//! One machine under test, from its start to its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoopy_vm::{Console, Vm, VmConfig};

use super::bootstrap::PORT;
use super::capture::{Captured, readable};
use super::channel::{Channel, NoAnswer, Silence};
use super::error::TrialError;
use super::facts::{self, Progress};
use super::report::Phases;

/// What a question to the machine may take: it is emulated, on a busy host.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(60);

/// For unpacking all of `tests/`.
const PUT_TIME: Duration = Duration::from_secs(120);

/// A test that runs out of time gets five seconds to end, and the machine some to say so.
const GRACE: Duration = Duration::from_secs(30);

/// For all services to be stopped.
const SHUTDOWN_TIME: Duration = Duration::from_secs(180);

/// How often a machine that boots is asked how far it is.
const POLL: Duration = Duration::from_millis(200);

/// How much of the console a failure shows.
const TAIL: usize = 3000;

/// What a kernel says when it gives up (kernel/panic.c).
const PANIC: &str = "Kernel panic - not syncing";

/// A machine that does not answer any more, in words, with the end of what its console said.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) why: String,
    /// What was said until then.
    pub(super) output: String,
    pub(super) console: String,
}

/// How a boot went.
#[derive(Debug, Clone)]
pub(super) struct Up {
    pub(super) phases: Phases,
    /// The runlevel that was asked for.
    pub(super) runlevel: String,
    /// How far the machine came.
    pub(super) progress: Progress,
}

/// A machine that runs.
pub(super) struct Machine {
    config: VmConfig,
    secret: String,
    log: PathBuf,
    running: Running,
}

/// One boot of it.
struct Running {
    console: Console,
    channel: Channel,
    /// When firmware began.
    since: Instant,
}

/// An error is nobody's fault but the host's; trouble is the machine's.
type Tried<T> = Result<Result<T, Trouble>, TrialError>;

impl Machine {
    /// Starts a machine that ends where it would reboot, and whose console is logged to `log`. Nothing is waited for
    /// but QEMU.
    ///
    /// # Errors
    /// [`TrialError`]; and [`Trouble`] where QEMU ends.
    pub(super) fn start(config: VmConfig, log: &Path, secret: String) -> Tried<Self> {
        let file = File::create(log).map_err(TrialError::io("create", log))?;
        let running = running(&config, file, log, &secret)?;
        let log = log.to_owned();
        Ok(running.map(|running| Self { config, secret, log, running }))
    }

    fn talk<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&mut Channel, &mut dyn FnMut() -> Option<String>) -> Result<T, NoAnswer>,
    ) -> Result<T, Trouble> {
        let console = &mut self.running.console;
        let answer = work(&mut self.running.channel, &mut || panicked(console));
        answer.map_err(|silent| trouble(silent, doing, &self.log))
    }

    /// Waits until the machine is there and the runlevel reached, or `within` is over.
    pub(super) fn up(&mut self, within: Duration) -> Result<Up, Trouble> {
        let deadline = Instant::now() + within;
        self.talk("reach init", |channel, watch| channel.greet(within, watch))?;
        let (mut known, mut before) = (None, Progress::default());
        loop {
            let asked = if known.is_none() { facts::STARTED } else { facts::PROGRESS };
            let said = self.ask(asked)?.output;
            if known.is_none() {
                known = facts::started(&said).map(|(init, now, runlevel)| {
                    (init, self.running.since.elapsed().saturating_sub(now), runlevel)
                });
            } else {
                before = Progress::read(&said);
            }
            let late = Instant::now() >= deadline;
            if let Some((init, firmware, runlevel)) = known.clone().filter(|k| late || before.is(&k.2)) {
                // Between two runlevels there is a moment without either
                let progress = Progress::read(&self.ask(facts::PROGRESS)?.output);
                if late || progress.is(&runlevel) {
                    let reached = before.uptime.filter(|_| before.is(&runlevel) && runs_openrc(&before));
                    let init_took = reached.map(|at| at.saturating_sub(init));
                    let phases = Phases { firmware, kernel: init, init: init_took };
                    return Ok(Up { phases, runlevel, progress });
                }
            }
            if late {
                let silent = NoAnswer { why: Silence::Late(within), output: String::new() };
                return Err(trouble(silent, "mount /proc", &self.log));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Runs a command.
    pub(super) fn ask(&mut self, command: &str) -> Result<Captured, Trouble> {
        self.talk("answer", |channel, watch| channel.ask(command, ANSWER_TIME, watch))
    }

    /// Sends what [`super::scripts::Directory::put`] made.
    pub(super) fn put(&mut self, text: impl FnOnce(&str) -> String) -> Result<Captured, Trouble> {
        self.talk("take the tests", |channel, watch| channel.request(PUT_TIME, watch, text))
    }

    /// Runs a program of `tests/`.
    pub(super) fn run(&mut self, command: &str, boot: u32, limit: Duration) -> Result<Captured, Trouble> {
        let text = |mark: &str| format!("run {mark} {} {boot} {command}\n", limit.as_secs());
        self.talk("end the test", |channel, watch| channel.request(limit + GRACE, watch, text))
    }

    /// Reboots it; [`Machine::up`] waits for it to come back. It is the same machine by its disks alone: QEMU is
    /// started anew, so that a machine that reboots unasked is a machine that ended.
    pub(super) fn reboot(&mut self) -> Tried<()> {
        let text = "(sleep 1; reboot) </dev/null >/dev/null 2>&1 &\n";
        let told = self.talk("reboot", |channel, watch| {
            channel.tell(text, ANSWER_TIME, watch)?;
            channel.until_end(SHUTDOWN_TIME, watch)
        });
        if let Err(trouble) = told {
            return Ok(Err(trouble));
        }
        let file = File::options().append(true).open(&self.log).map_err(TrialError::io("open", &self.log))?;
        let running = running(&self.config, file, &self.log, &self.secret)?;
        Ok(running.map(|running| self.running = running))
    }
}

fn running(config: &VmConfig, to: File, log: &Path, secret: &str) -> Tried<Running> {
    let mut vm = Vm::prepare(config)?;
    let port = vm.port(PORT)?;
    let since = Instant::now();
    let mut console = vm.console(Some(to))?;
    let channel = Channel::accept(&port, secret.to_owned(), ANSWER_TIME, &mut || gone(&mut console));
    Ok(match channel {
        Ok(channel) => Ok(Running { console, channel, since }),
        Err(silent) => {
            let mut trouble = trouble(silent, "start", log);
            trouble.output = readable(console.words().as_bytes());
            Err(trouble)
        }
    })
}

fn runs_openrc(progress: &Progress) -> bool {
    progress.runlevel != "none"
}

fn panicked(console: &mut Console) -> Option<String> {
    console.expect(PANIC, Duration::ZERO).is_ok().then(|| "the kernel panicked".to_owned())
}

/// QEMU's end shows as the console's.
fn gone(console: &mut Console) -> Option<String> {
    let ended = console.expect(PANIC, Duration::ZERO);
    matches!(ended, Err(hoopy_vm::VmError::Ended { .. })).then(|| "QEMU ended".to_owned())
}

fn trouble(silent: NoAnswer, doing: &str, log: &Path) -> Trouble {
    if !matches!(silent.why, Silence::Late(_)) {
        // What is on its way to the log
        std::thread::sleep(Duration::from_millis(300));
    }
    let why = match silent.why {
        Silence::Late(after) => format!("the machine did not {doing} within {} s", after.as_secs()),
        Silence::Ended => format!("the machine ended; it was to {doing}"),
        Silence::Broken(why) => format!("{why}; the machine was to {doing}"),
    };
    let said = fs::read(log).unwrap_or_default();
    let console = readable(said.get(said.len().saturating_sub(TAIL)..).unwrap_or_default());
    Trouble { why, output: silent.output, console }
}
