//! The same for a person at a terminal.

use std::fmt::Write as _;

use hoopy_base::count::counted;
use hoopy_base::size::show;
use hoopy_base::terminal::harmless_line;

use super::{Changed, Severity, Status};

/// A status as lines: the sentence, what needs doing, and a row for each thing. Nothing in it acts on a terminal.
pub fn text(status: &Status) -> String {
    format!("{}\n{}", verdict(status), rows(status))
}

/// The sentence, and what needs doing.
pub fn verdict(status: &Status) -> String {
    let mut out = format!("{}\n", harmless_line(&status.summary));
    // One alone is in the sentence.
    for problem in status.problems.iter().filter(|_| status.problems.len() > 1) {
        let mark = match problem.severity {
            Severity::Critical => "!!",
            Severity::Warning => "!",
        };
        let _ =
            writeln!(out, "{mark:<3}{}: {}", harmless_line(&problem.what), harmless_line(&problem.remedy));
    }
    out
}

/// The rows alone.
pub fn rows(status: &Status) -> String {
    let mut out = String::new();
    for (name, value) in named(status) {
        let _ = writeln!(out, "{:<11}{}", name, harmless_line(&value));
    }
    out
}

fn named(status: &Status) -> Vec<(&'static str, String)> {
    let Status { image, memory, load, .. } = status;
    let mut rows = vec![("kernel", image.kernel.clone())];
    if let Some(secrets) = &status.secrets {
        rows.push(("secrets", secrets.state.clone()));
    }
    for volume in &status.volumes {
        rows.push(("volume", format!("{}: {}", volume.name, volume_state(volume.open))));
    }
    let used = memory.used_percent();
    rows.push(("memory", format!("{used:.0}% of {} in use", show(memory.total))));
    let [one, five, fifteen] = load;
    rows.push(("load", format!("{one:.2} {five:.2} {fifteen:.2} on {} cores", status.cores)));
    for file in &status.filesystems {
        let access = if file.read_only { ", read-only" } else { "" };
        let used = file.used_percent();
        let text = format!("{} {used:.0}% of {} in use{access}", file.mount, show(file.size));
        rows.push(("filesystem", text));
    }
    for pool in &status.pools {
        rows.push(("pool", format!("{} ({}) {}", pool.name, pool.kind, pool.state)));
    }
    if let Some(hottest) = status.temperatures.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius)) {
        rows.push(("hottest", format!("{:.0} °C ({})", hottest.celsius, hottest.name)));
    }
    for link in &status.interfaces {
        let state = if link.up { "up" } else { "down" };
        let text =
            format!("{} {state}, {} received, {} sent", link.name, show(link.received), show(link.sent));
        rows.push(("network", text));
    }
    if let Some(services) = &status.services {
        rows.push(("services", format!("{} started", services.started)));
    }
    if let Some(changed) = status.changed.as_ref().filter(|changed| changed.files > 0) {
        rows.push(("changed", format!("{}, which the next reboot erases", changed_files(changed))));
    }
    rows
}

/// How many files, and the first of them: `3 files: /etc/motd, /root/x, ...`.
pub fn changed_files(changed: &Changed) -> String {
    let shown = changed.first.join(", ");
    let more =
        if u64::try_from(changed.first.len()).unwrap_or(u64::MAX) < changed.files { ", ..." } else { "" };
    format!("{}: {shown}{more}", counted(changed.files, "file"))
}

/// What is said of a volume.
pub fn volume_state(open: Option<bool>) -> &'static str {
    match open {
        Some(true) => "open",
        Some(false) => "locked",
        None => "unknown",
    }
}

/// A time span in the two largest units that it has.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
