//! `cargo xtask test`: what CI runs.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::{chores, hoopyd, lint, mirror, processes, setup};

/// Several times what all tests take on two cores without KVM: only a test that hangs gets there.
const TIME_LIMIT: Duration = Duration::from_secs(75 * 60);

/// Format, lints, and all tests, boot tests included.
pub fn run() -> anyhow::Result<()> {
    setup::run()?;
    let mirror = prepare()?;
    // The whole workspace here too: with another choice of packages cargo would make the program anew, under the feet
    // of those that use it.
    let deploys = Run::in_background(cargo(&mirror, &["--workspace", "--test", "ship", "--", "--ignored"]))?;
    let tests = Run::start(cargo(&mirror, &["--workspace"]))?;
    // Each is waited for and shown, whatever became of the other.
    let tests = tests.finish();
    println!("test: the deploys to a virtual machine, which ran in the background");
    let deploys = deploys.finish();
    report([("the tests", tests), ("the deploys to a virtual machine", deploys)])
}

/// Lints and compiles the tests, and beside that makes what they need, which mostly keeps one processor busy. Gives the
/// mirror's directory.
fn prepare() -> anyhow::Result<PathBuf> {
    std::thread::scope(|scope| {
        let needed = scope.spawn(|| {
            let mirror = mirror::for_tests()?;
            hoopyd::run(std::env::consts::ARCH)?;
            anyhow::Ok(mirror)
        });
        let tests =
            lint::run().and_then(|()| chores::run("cargo", &["test", "--quiet", "--workspace", "--no-run"]));
        let needed = needed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        tests.and(needed)
    })
}

/// Succeeds when all runs did; otherwise the error names each that did not.
fn report<const N: usize>(runs: [(&str, anyhow::Result<ExitStatus>); N]) -> anyhow::Result<()> {
    let failed: Vec<String> = runs
        .into_iter()
        .filter_map(|(name, ended)| match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("{name}: {status}")),
            Err(e) => Some(format!("{name}: {e:#}")),
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

fn cargo(mirror: &Path, which: &[&str]) -> Command {
    let apk = mirror.join("apk-root").join(std::env::consts::ARCH);
    let mut command = Command::new("cargo");
    // One failure does not hide the next.
    command.args(["test", "--quiet", "--no-fail-fast"]).args(which).current_dir(chores::root());
    command.env("HOOPY_APK_ROOT", &apk).env("HOOPY_TEST_APK_ROOT", &apk);
    // `setup` installed all that tests need: one that cannot run is a failure.
    command.env("HOOPY_NO_SKIP", "1").stdin(Stdio::null());
    command
}

/// A run of tests.
struct Run {
    child: Child,
    started: Instant,
    /// What it printed, where that does not go to the terminal.
    output: Option<File>,
}

impl Run {
    /// Starts it with its output on the terminal.
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let child = command.spawn().context("start cargo test")?;
        Ok(Self { child, started: Instant::now(), output: None })
    }

    /// Starts it with its output kept until [`Run::finish`]: a long test, which keeps one processor busy.
    fn in_background(mut command: Command) -> anyhow::Result<Self> {
        let output = tempfile::tempfile()?;
        command.arg("--nocapture").stdout(output.try_clone()?).stderr(output.try_clone()?);
        let mut run = Self::start(command)?;
        run.output = Some(output);
        Ok(run)
    }

    /// Waits for its end, and prints what was kept.
    fn finish(mut self) -> anyhow::Result<ExitStatus> {
        let ended = self.wait();
        if let Some(mut output) = self.output.take() {
            let mut text = Vec::new();
            output.rewind()?;
            output.read_to_end(&mut text)?;
            print!("{}", String::from_utf8_lossy(&text));
        }
        ended
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        while self.started.elapsed() < TIME_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let running = processes::kill_tree(self.child.id());
        self.child.wait()?;
        bail!("timed out after {} minutes; still running:\n{}", TIME_LIMIT.as_secs() / 60, running.join("\n"))
    }
}

impl Drop for Run {
    /// Leaves nothing running where starting the other failed: cargo does not take its tests with it.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            processes::kill_tree(self.child.id());
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failing_run_does_not_hide_the_other() {
        let failing = Run::start(shell("exit 1")).unwrap().finish();
        let other = Run::start(shell("exit 3")).unwrap().finish();
        let error = report([("one", failing), ("two", other)]).unwrap_err().to_string();
        assert!(error.contains("one: exit status: 1") && error.contains("two: exit status: 3"), "{error}");
    }

    #[test]
    fn a_run_that_is_dropped_leaves_no_process() {
        let run = Run::start(shell("sleep 987654 & sleep 987654")).unwrap();
        let children = || processes::descendants(run.child.id());
        while children().len() < 3 {
            assert!(run.started.elapsed() < Duration::from_secs(10), "no children");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pids = children();
        drop(run);
        let started = Instant::now();
        let gone = || pids.iter().all(|pid| processes::command_line(*pid).is_none());
        while !gone() {
            assert!(started.elapsed() < Duration::from_secs(10), "{pids:?} are still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
