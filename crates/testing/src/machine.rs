//! One machine under test, from its start to its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoopy_vm::{Accelerator, Console, Fault, Vm, VmConfig, VmError, silence};

use super::bootstrap::PORT;
use super::capture::{Captured, readable};
use super::channel::{Channel, NoAnswer, Silence};
use super::error::TestRunError;
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
    /// What to do about it, where more is known than that the console's log may tell.
    pub(super) hint: Option<&'static str>,
    /// Where KVM failed, and the machine is to be started again under TCG: what to tell the user.
    pub(super) falls_back: Option<String>,
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
    accelerator: Accelerator,
    channel: Channel,
    /// When firmware began.
    since: Instant,
}

/// An error is nobody's fault but the host's; trouble is the machine's.
type Tried<T> = Result<Result<T, Trouble>, TestRunError>;

impl Machine {
    /// Starts a machine that ends where it would reboot, and whose console is logged to `log`. Nothing is waited for
    /// but QEMU.
    ///
    /// # Errors
    /// [`TestRunError`]; and [`Trouble`] where QEMU ends.
    pub(super) fn start(config: VmConfig, log: &Path, secret: String) -> Tried<Self> {
        let file = File::create(log).map_err(TestRunError::io("create", log))?;
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
        let answer = work(&mut self.running.channel, &mut || broken(console));
        answer.map_err(|silent| trouble(silent, doing, &self.log, console))
    }

    /// What the machine runs with.
    pub(super) fn accelerator(&self) -> Accelerator {
        self.running.accelerator
    }

    /// Waits until the machine is there and the runlevel reached, or `within` is over. `tell` hears that it is silent.
    pub(super) fn up(&mut self, within: Duration, tell: &dyn Fn(&str)) -> Result<Up, Trouble> {
        let deadline = Instant::now() + within;
        self.greet(within, tell)?;
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
                return Err(trouble(silent, "mount /proc", &self.log, &mut self.running.console));
            }
            std::thread::sleep(POLL);
        }
    }

    fn greet(&mut self, within: Duration, tell: &dyn Fn(&str)) -> Result<(), Trouble> {
        let Running { console, channel, .. } = &mut self.running;
        let mut silence = silence::Silence::new(within);
        let mut watch = || {
            console.silent(&mut silence).iter().for_each(|note| tell(note));
            broken(console)
        };
        let greeted = channel.greet(within, &mut watch);
        greeted.map_err(|silent| trouble(silent, "reach init", &self.log, console))
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
        let file =
            File::options().append(true).open(&self.log).map_err(TestRunError::io("open", &self.log))?;
        let running = running(&self.config, file, &self.log, &self.secret)?;
        Ok(running.map(|running| self.running = running))
    }
}

fn running(config: &VmConfig, to: File, log: &Path, secret: &str) -> Tried<Running> {
    let mut vm = Vm::prepare(config)?;
    let accelerator = vm.choice().accelerator;
    let port = vm.port(PORT)?;
    let since = Instant::now();
    let mut console = vm.console(Some(Box::new(to)))?;
    let channel = Channel::accept(&port, secret.to_owned(), ANSWER_TIME, &mut || gone(&mut console));
    Ok(match channel {
        Ok(channel) => Ok(Running { console, accelerator, channel, since }),
        Err(silent) => {
            let mut trouble = trouble(silent, "start", log, &mut console);
            trouble.output = readable(console.words().as_bytes());
            Err(trouble)
        }
    })
}

fn runs_openrc(progress: &Progress) -> bool {
    progress.runlevel != "none"
}

/// What the machine will not get over: a panic, or a QEMU that has paused it.
fn broken(console: &mut Console) -> Option<String> {
    match console.expect(PANIC, Duration::ZERO) {
        Ok(_) => Some("the kernel panicked".to_owned()),
        Err(VmError::Fault { fault, .. }) => Some(fault.to_string()),
        Err(_) => None,
    }
}

/// The same while nobody is at the other end of the port: QEMU's end shows as the console's.
fn gone(console: &mut Console) -> Option<String> {
    match console.expect(PANIC, Duration::ZERO) {
        Err(VmError::Ended { .. }) => Some("QEMU ended".to_owned()),
        Err(VmError::Fault { fault, .. }) => Some(fault.to_string()),
        _ => None,
    }
}

fn trouble(silent: NoAnswer, doing: &str, log: &Path, console: &mut Console) -> Trouble {
    if !matches!(silent.why, Silence::Late(_)) {
        // What is on its way to the log
        std::thread::sleep(Duration::from_millis(300));
    }
    let fault = console.fault();
    let why = match (&silent.why, &fault) {
        (_, Some(fault)) => format!("{fault}; the machine was to {doing}"),
        (Silence::Late(after), None) => {
            format!("the machine did not {doing} within {} s{}", after.as_secs(), console.facts())
        }
        (Silence::Ended, None) => format!("the machine ended; it was to {doing}"),
        (Silence::Broken(why), None) => format!("{why}; the machine was to {doing}"),
    };
    let said = fs::read(log).unwrap_or_default();
    let console = readable(said.get(said.len().saturating_sub(TAIL)..).unwrap_or_default());
    let falls_back = fault.as_ref().filter(|fault| fault.falls_back).map(Fault::fall_back);
    Trouble { why, output: silent.output, console, hint: fault.and_then(|fault| fault.hint()), falls_back }
}
