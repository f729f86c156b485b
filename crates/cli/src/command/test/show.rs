//! How a test run is shown: a line for each test as it ends, then the output of those that failed.

use std::time::Duration;

use hoopy_base::count::counted;
use hoopy_testing::{self as testing, Origin, Phases, Settings, TestOutcome, Verdict, Watch};

use crate::error::Result;
use crate::output::{Colour, print_painted};

/// Cells of the bar.
const BAR: usize = 40;

/// Most lines of output shown of a failed test; the JUnit file and --json have all.
const MAX_LINES: usize = 60;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing until the end.
    Quiet,
    /// Words.
    Plain,
    /// Words in colours.
    Coloured,
}

impl Style {
    pub(super) fn of(quiet: bool, coloured: bool) -> Self {
        match (quiet, coloured) {
            (true, _) => Self::Quiet,
            (false, false) => Self::Plain,
            (false, true) => Self::Coloured,
        }
    }

    fn paint(self, colour: Colour, text: &str) -> String {
        if self == Self::Coloured { colour.paint(text) } else { text.to_owned() }
    }
}

/// The report on standard output.
pub(super) struct TestsShown {
    style: Style,
}

impl TestsShown {
    pub(super) fn new(style: Style) -> Self {
        Self { style }
    }

    pub(super) fn begin(&self, name: &str, settings: &Settings) {
        let (memory, scripts) = (settings.memory >> 20, settings.tests.tests.len());
        let cpus = match settings.cpus {
            None => String::new(),
            Some(cpus) => format!(" and {}", counted(cpus, "processor")),
        };
        let tests = counted(scripts, "test");
        self.line(&format!("{name}: {tests} of tests/, in a machine with {memory} MiB{cpus}"));
    }

    fn line(&self, text: &str) {
        if self.style != Style::Quiet {
            // A full disk is reported by the end of the report.
            let _ = print(text);
        }
    }

    pub(super) fn end(&self, report: &testing::TestReport) -> Result<()> {
        if self.style == Style::Quiet && !report.failed() {
            return Ok(());
        }
        print(&ending(report, self.style))
    }
}

impl Watch for TestsShown {
    fn note(&self, text: &str) {
        self.line(text);
    }

    fn booted(&self, phases: &Phases) {
        self.line(&bar(phases));
    }

    fn ended(&self, outcome: &TestOutcome) {
        self.line(&line(outcome, self.style));
    }
}

/// What comes from the machine has been made harmless where it was read.
fn print(text: &str) -> Result<()> {
    print_painted(&format!("{text}\n"))
}

/// One test, one line.
fn line(outcome: &TestOutcome, style: Style) -> String {
    let (word, colour, why) = match &outcome.verdict {
        Verdict::Passed => ("ok  ", Colour::Green, ""),
        Verdict::Failed(why) => ("FAIL", Colour::Red, why.as_str()),
        Verdict::Skipped(why) => ("skip", Colour::Yellow, why.as_str()),
    };
    let mut out =
        format!("{} {:>7.2} s  {}", style.paint(colour, word), outcome.took.as_secs_f64(), outcome.name);
    // A passed check of hoopy's own shows what it found, where that is one line.
    let found = outcome.output.trim_end();
    if !why.is_empty() {
        out += &format!(": {why}");
    } else if matches!(outcome.origin, Origin::Check) && !found.is_empty() && !found.contains('\n') {
        out += &format!(": {found}");
    }
    out
}

/// The times of the boot, as a bar.
fn bar(phases: &Phases) -> String {
    let all = [
        ("firmware", phases.firmware, '░'),
        ("kernel", phases.kernel, '▒'),
        ("init", phases.init.unwrap_or_default(), '█'),
    ];
    let total: Duration = all.iter().map(|(_, took, _)| *took).sum();
    let mut cells = String::new();
    let mut so_far = Duration::ZERO;
    for (_, took, cell) in all {
        so_far += took;
        let upto = (so_far.as_secs_f64() / total.as_secs_f64().max(0.001) * BAR as f64).round() as usize;
        while cells.chars().count() < upto.min(BAR) {
            cells.push(cell);
        }
    }
    let legend: Vec<String> =
        all.iter().map(|(name, took, cell)| format!("{cell} {name} {:.1} s", took.as_secs_f64())).collect();
    format!("boot {:>7.2} s  {cells}  {}", total.as_secs_f64(), legend.join("  "))
}

/// The failed tests with their output, and the counts.
fn ending(report: &testing::TestReport, style: Style) -> String {
    let mut out = String::new();
    for outcome in &report.outcomes {
        let Verdict::Failed(why) = &outcome.verdict else { continue };
        out += &format!("\n{}: {why}\n", style.paint(Colour::Bold, &outcome.name));
        let lines: Vec<&str> = outcome.output.lines().collect();
        let hidden = lines.len().saturating_sub(MAX_LINES);
        if hidden > 0 {
            out += &format!("    [{hidden} lines omitted; --json and --junit have them]\n");
        }
        lines.iter().skip(hidden).for_each(|line| out += &format!("    {line}\n"));
        if let Some(advice) = &outcome.advice {
            out += &format!("  hint: {advice}\n");
        }
    }
    let [passed, failed, skipped] = report.counts();
    let mut counts = vec![format!("{passed} passed")];
    if failed > 0 {
        counts.push(style.paint(Colour::Red, &format!("{failed} failed")));
        let logs: Vec<String> = report.logs.iter().map(|log| log.display().to_string()).collect();
        out += &format!("\nconsole logs: {}\n", logs.join(", "));
    }
    if skipped > 0 {
        counts.push(format!("{skipped} skipped"));
    }
    out + &format!("\n{} in {:.1} s", counts.join(", "), report.took.as_secs_f64())
}

#[cfg(test)]
#[path = "show/tests.rs"]
mod tests;
