//! What is done with a machine: checks and scripts, or the parts of one test with reboots between them.

use std::time::{Duration, Instant, SystemTime};

use super::capture::Captured;
use super::checks::{self, Finding};
use super::error::TestRunError;
use super::facts;
use super::machine::{Machine, Trouble, Up};
use super::report::{Origin, TestOutcome, Verdict};
use super::scripts::{Part, Test};
use super::{Ended, SKIPPED, Settings, Watch};

/// What the first of hoopy's checks is called.
const BOOT: &str = "the machine boots";

/// What tests say that are not run.
const GONE: &str = "the machine had stopped";
const NOT_SENT: &str = "tests/ did not reach the machine";

pub(super) struct Session<'a> {
    pub(super) settings: &'a Settings,
    pub(super) watch: &'a dyn Watch,
    /// Devices that the fstab names and the machine has not.
    pub(super) unavailable: Vec<String>,
}

type Started = Result<Machine, Trouble>;

/// Outcomes so far, and who is told of each.
struct Told<'a> {
    watch: &'a dyn Watch,
    ended: Ended,
    /// Put behind every name.
    suffix: &'static str,
    /// When the test that runs was begun.
    since: Instant,
}

impl Told<'_> {
    fn outcome(
        &mut self,
        origin: Origin,
        name: &str,
        verdict: Verdict,
        output: String,
        advice: Option<String>,
    ) {
        let name = format!("{name}{}", self.suffix);
        let outcome = TestOutcome { origin, name, verdict, took: self.since.elapsed(), output, advice };
        // Of a run that is begun again nothing more is told
        if self.ended.falls_back.is_none() {
            self.watch.ended(&outcome);
        }
        self.ended.outcomes.push(outcome);
        self.since = Instant::now();
    }

    fn check(&mut self, name: &str, finding: Finding) {
        self.outcome(Origin::Check, name, finding.verdict, finding.output, finding.advice.map(str::to_owned));
    }

    fn trouble(&mut self, origin: Origin, name: &str, trouble: Trouble) {
        let Trouble { why, mut output, console, hint, falls_back } = trouble;
        self.ended.falls_back = falls_back;
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output += &format!("[the console ended with]\n{console}\n");
        let advice =
            hint.unwrap_or("the whole of it is in the console's log; `hoopy run` shows the machine itself");
        self.outcome(origin, name, Verdict::Failed(why), output, Some(advice.to_owned()));
    }
}

impl Session<'_> {
    fn told(&self) -> Told<'_> {
        Told { watch: self.watch, ended: Ended::default(), suffix: "", since: Instant::now() }
    }

    /// hoopy's checks, then the scripts; all once more after a reboot where that is wanted.
    pub(super) fn all(&self, machine: Started, scripts: &[Test]) -> Result<Ended, TestRunError> {
        let mut told = self.told();
        let mut left = scripts;
        let done = machine.map_err(|trouble| told.trouble(Origin::Check, BOOT, trouble));
        let Ok(mut machine) = done else { return Ok(self.gone(told, left, GONE)) };
        for boot in 1..=if self.settings.reboot { 2 } else { 1 } {
            if boot == 2 {
                (told.suffix, told.since, left) = (" (after a reboot)", Instant::now(), scripts);
                if let Err(trouble) = machine.reboot()? {
                    told.trouble(Origin::Check, BOOT, trouble);
                    return Ok(self.gone(told, left, GONE));
                }
            }
            if self.look(&mut machine, &mut told, boot).is_err() {
                return Ok(self.gone(told, left, GONE));
            }
            if let Err(why) = self.scripts(&mut machine, &mut told, &mut left, boot)? {
                return Ok(self.gone(told, left, why));
            }
            match machine.ask(facts::CRASHED) {
                Ok(listed) => told.check("no service crashed", crashed(&listed)),
                Err(trouble) => told.trouble(Origin::Check, "no service crashed", trouble),
            }
        }
        Ok(told.ended)
    }

    /// What was not run any more.
    fn gone(&self, mut told: Told<'_>, left: &[Test], why: &str) -> Ended {
        for test in left {
            let verdict = Verdict::Skipped(why.to_owned());
            told.outcome(Origin::Script, &test.name, verdict, String::new(), None);
        }
        told.ended
    }

    /// Waits for the boot and makes hoopy's checks. An error is told already.
    fn look(&self, machine: &mut Machine, told: &mut Told<'_>, boot: u32) -> Result<(), ()> {
        let within = self.settings.limits.boot(machine.accelerator());
        let up = match machine.up(within, &|text| self.watch.note(text)) {
            Ok(up) => up,
            Err(trouble) => {
                told.trouble(Origin::Check, BOOT, trouble);
                return Err(());
            }
        };
        if boot == 1 {
            told.ended.boot = Some(up.phases);
            told.watch.booted(&up.phases);
        }
        told.outcome(Origin::Check, BOOT, Verdict::Passed, String::new(), None);
        self.checks(machine, told, &up)
            .map_err(|trouble| told.trouble(Origin::Check, "the machine answers", trouble))
    }

    fn checks(&self, machine: &mut Machine, told: &mut Told<'_>, up: &Up) -> Result<(), Trouble> {
        let reached =
            checks::runlevel(&up.runlevel, &up.progress, self.settings.limits.boot(machine.accelerator()));
        told.check(&format!("runlevel {} is reached", up.runlevel), reached);
        let openrc = up.progress.runlevel != "none";
        let services = if openrc {
            checks::services(&machine.ask(&facts::services(&up.runlevel))?.output)
        } else {
            checks::no_openrc()
        };
        told.check("services are up", services);
        let (table, mounted) = (machine.ask(facts::FSTAB)?.output, machine.ask(facts::MOUNTS)?.output);
        let swaps = machine.ask(facts::SWAPS)?.output;
        told.check("fstab is mounted", checks::mounts(&table, &mounted, &swaps, &self.unavailable));
        let clock = machine.ask(facts::CLOCK)?.output;
        told.check("the clock is set", checks::clock(&clock, SystemTime::now()));
        told.check("the root filesystem is in memory", checks::root(&mounted));
        let memory = machine.ask(facts::MEMORY)?.output;
        told.check("memory is left", checks::memory(&memory, self.settings.memory));
        if self.settings.tpm {
            told.check("secrets are open", checks::secrets(&machine.ask(facts::SECRETS)?.output));
        }
        Ok(())
    }

    /// Runs the scripts, or says why the rest are not run. `left` becomes those.
    fn scripts(
        &self,
        machine: &mut Machine,
        told: &mut Told<'_>,
        left: &mut &[Test],
        boot: u32,
    ) -> Result<Result<(), &'static str>, TestRunError> {
        if left.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(trouble) = self.put(machine)? {
            told.trouble(Origin::Check, "the tests reach the machine", trouble);
            return Ok(Err(NOT_SENT));
        }
        told.since = Instant::now();
        while let Some((test, rest)) = left.split_first() {
            *left = rest;
            let Some(part) = test.parts.first() else { continue };
            let limit = self.settings.limits.script(machine.accelerator());
            match machine.run(&part.command(), boot, limit) {
                Ok(captured) => {
                    let verdict = verdict(&captured, limit);
                    let advice = advice(&verdict, part);
                    told.outcome(Origin::Script, &test.name, verdict, captured.output, advice);
                }
                Err(trouble) => {
                    told.trouble(Origin::Script, &test.name, trouble);
                    return Ok(Err(GONE));
                }
            }
        }
        Ok(Ok(()))
    }

    fn put(&self, machine: &mut Machine) -> Result<Result<(), Trouble>, TestRunError> {
        let text = self.settings.tests.put(&self.settings.directory)?;
        Ok(machine.put(text).and_then(|put| {
            if put.status == "0" {
                return Ok(());
            }
            let why =
                "the image cannot unpack tests/: it needs base64 and cpio, as Alpine's BusyBox has them";
            let (output, console) = (put.output, String::new());
            Err(Trouble { why: why.to_owned(), output, console, hint: None, falls_back: None })
        }))
    }

    /// Runs a test whose parts have reboots between them.
    pub(super) fn parts(&self, machine: Started, test: &Test) -> Result<Ended, TestRunError> {
        let mut told = self.told();
        let mut output = String::new();
        let ended = match machine {
            Ok(machine) => self.each_part(machine, test, &mut output)?,
            Err(trouble) => Err(trouble),
        };
        match ended {
            Ok((verdict, part)) => {
                let advice = part.and_then(|part| advice(&verdict, part));
                told.outcome(Origin::Script, &test.name, verdict, output, advice);
            }
            Err(trouble) => {
                let output = output + &trouble.output;
                told.trouble(Origin::Script, &test.name, Trouble { output, ..trouble });
            }
        }
        Ok(told.ended)
    }

    /// The verdict, and the part that it is of unless all passed.
    fn each_part<'t>(
        &self,
        mut machine: Machine,
        test: &'t Test,
        output: &mut String,
    ) -> Result<Result<(Verdict, Option<&'t Part>), Trouble>, TestRunError> {
        for (boot, part) in (1..).zip(&test.parts) {
            let up = if boot == 1 { Ok(()) } else { machine.reboot()? };
            let within = self.settings.limits.boot(machine.accelerator());
            let up = up.and_then(|()| machine.up(within, &|text| self.watch.note(text)));
            if let Err(trouble) = up {
                return Ok(Err(trouble));
            }
            if let Err(trouble) = self.put(&mut machine)? {
                return Ok(Err(trouble));
            }
            *output += &format!("[{}]\n", part.file);
            let limit = self.settings.limits.script(machine.accelerator());
            let captured = match machine.run(&part.command(), boot, limit) {
                Ok(captured) => captured,
                Err(trouble) => return Ok(Err(trouble)),
            };
            *output += &captured.output;
            let verdict = verdict(&captured, limit);
            match verdict {
                Verdict::Passed => {}
                Verdict::Failed(why) => {
                    return Ok(Ok((Verdict::Failed(format!("{}: {why}", part.file)), Some(part))));
                }
                Verdict::Skipped(_) => return Ok(Ok((verdict, Some(part)))),
            }
        }
        Ok(Ok((Verdict::Passed, None)))
    }
}

/// What a script's end means, which had so long.
fn verdict(captured: &Captured, limit: Duration) -> Verdict {
    match captured.status.as_str() {
        "0" => Verdict::Passed,
        SKIPPED => {
            let last = captured.output.lines().rfind(|line| !line.trim().is_empty());
            Verdict::Skipped(last.unwrap_or("no reason given").trim().to_owned())
        }
        "late" => Verdict::Failed(format!("timed out after {} s", limit.as_secs())),
        "lost" => Verdict::Failed("tests/ was gone in the machine".to_owned()),
        "126" | "127" => Verdict::Failed(format!("exit status {}: not to be run", captured.status)),
        other => Verdict::Failed(match other.parse::<u32>() {
            Ok(status @ 129..=192) => format!("ended by signal {}", status - 128),
            Ok(status) => format!("exit status {status}"),
            Err(_) => format!("the machine gave {other:?} for an exit status"),
        }),
    }
}

fn crashed(listed: &Captured) -> Finding {
    // Not there, or not BusyBox's shell's to find: an image without OpenRC
    if listed.status == "127" { checks::no_openrc() } else { checks::crashed(&listed.output) }
}

/// What to do about a script that failed.
fn advice(verdict: &Verdict, part: &Part) -> Option<String> {
    let Verdict::Failed(why) = verdict else { return None };
    Some(if why.contains("timed out") {
        "--timeout gives scripts more time".to_owned()
    } else if why.contains("not to be run") {
        format!("tests/{}: is the interpreter of its first line in the image, and what it calls?", part.file)
    } else {
        "its output tells more with `set -x`; `hoopy run` boots the same image to try by hand".to_owned()
    })
}
