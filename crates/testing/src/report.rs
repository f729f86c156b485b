//! What a test run found.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use hoopy_vm::Accelerator;

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "why")]
pub enum Verdict {
    /// All is well.
    Passed,
    /// It is not, and why.
    Failed(String),
    /// Nothing was found out, and why.
    Skipped(String),
}

/// Where a test comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// hoopy itself.
    Check,
    /// `tests/`.
    Script,
}

/// A test that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestOutcome {
    /// Where it comes from.
    pub origin: Origin,
    /// What it is called.
    pub name: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took.
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub took: Duration,
    /// What was found, or what the script said.
    pub output: String,
    /// What to do about it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How long the boot took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// Until the kernel runs: firmware, loading and unpacking the kernel.
    #[serde(serialize_with = "seconds")]
    pub firmware: Duration,
    /// Until init is started: the kernel, and unpacking the initramfs.
    #[serde(serialize_with = "seconds")]
    pub kernel: Duration,
    /// Until the runlevel is reached; none where it never was.
    #[serde(serialize_with = "maybe_seconds")]
    pub init: Option<Duration>,
}

/// What a test run found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TestReport {
    /// hoopy's checks and the scripts, in the order in which they are shown.
    pub outcomes: Vec<TestOutcome>,
    /// How long the first boot of the first machine took.
    pub boot: Option<Phases>,
    /// What the machines ran with; none where none was started.
    pub accelerator: Option<Accelerator>,
    /// What the consoles said, a file for each machine.
    #[serde(serialize_with = "hoopy_base::report::shown_paths")]
    pub logs: Vec<PathBuf>,
    /// How long it all took.
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub took: Duration,
}

impl TestReport {
    /// How many passed, failed and were skipped.
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for outcome in &self.outcomes {
            match outcome.verdict {
                Verdict::Passed => counts[0] += 1,
                Verdict::Failed(_) => counts[1] += 1,
                Verdict::Skipped(_) => counts[2] += 1,
            }
        }
        counts
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.counts()[1] > 0
    }
}

fn seconds<S: serde::Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are all that a machine that is emulated is worth
    to.serialize_f64((took.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn maybe_seconds<S: serde::Serializer>(took: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match took {
        Some(took) => seconds(took, to),
        None => to.serialize_none(),
    }
}
