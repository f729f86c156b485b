//! `hoopy status`.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use hoopy_base::size;
use hoopy_boot::diskless;
use hoopy_boot::status::{self as machine, duration};
use hoopy_ship::deploy::{self, Machine, MachineImages, Ssh, Status};
use serde::Serialize;

use super::{agent, drift, host};
use crate::args::{self, Global};
use crate::error::{CommandError, Exit, Result};
use crate::output::{print, print_json};

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// How many paths the next reboot erases.
    drift: Option<usize>,
    /// Why that is unknown.
    drift_unknown: Option<String>,
    /// What its page shows; nothing where it has none.
    machine: Option<machine::Status>,
    /// Why that is unknown.
    machine_unknown: Option<String>,
}

/// Between two looks of `--watch`: the machine itself looks no more often than every ten seconds.
const WATCH: Duration = Duration::from_secs(5);

pub fn run(global: &Global, own: &args::Status) -> Result<Exit> {
    let host = host::find(own.host.host.as_deref(), own.host.esp.as_deref(), global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let seen = MachineImages::ask(&ssh, host.esp.as_deref())?;
    let within = Duration::from_secs(own.drift_within);
    let drift = (!within.is_zero()).then(|| {
        let until = Instant::now() + within;
        drift::count(global, &host, &ssh, &seen, until).map_err(|e| why(&e, until, within))
    });
    let mut status = deploy::status(seen);
    let mut machine = agent::status(&ssh)?;
    if own.watch {
        loop {
            print(frame(&text(&status, drift.as_ref(), &machine)))?;
            std::thread::sleep(WATCH);
            let now = Machine::peek(&ssh)?;
            if now.image != status.image {
                status = deploy::status(MachineImages::ask(&ssh, host.esp.as_deref())?);
            }
            status.health = now.health;
            machine = agent::status(&ssh)?;
            if let agent::Answer::Status(machine) = &machine {
                status.uptime = machine.uptime;
            } else {
                status.uptime += WATCH.as_secs();
            }
        }
    }
    if own.json {
        let (drift, drift_unknown) = match drift {
            Some(Ok(count)) => (Some(count), None),
            Some(Err(reason)) => (None, Some(reason)),
            None => (None, None),
        };
        let (machine, machine_unknown) = match machine {
            agent::Answer::Status(machine) => (Some(*machine), None),
            agent::Answer::Unknown(reason) => (None, Some(reason)),
            agent::Answer::NoAgent => (None, None),
        };
        print_json(&Answer { status: &status, drift, drift_unknown, machine, machine_unknown })?;
    } else {
        print(text(&status, drift.as_ref(), &machine))?;
    }
    Ok(Exit::Success)
}

/// The reason in one line.
fn why(error: &CommandError, until: Instant, within: Duration) -> String {
    if Instant::now() >= until {
        return format!("counting takes longer than {} s; `hoopy drift` has no time limit", within.as_secs());
    }
    error.to_string().lines().collect::<Vec<_>>().join(" ")
}

/// In place of what the terminal shows; below it where this is no terminal.
fn frame(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\u{1b}[H\u{1b}[2J{text}") } else { format!("{text}\n") }
}

fn text(
    status: &Status,
    drift: Option<&std::result::Result<usize, String>>,
    machine: &agent::Answer,
) -> String {
    let (top, below) = match machine {
        agent::Answer::NoAgent => (String::new(), String::new()),
        agent::Answer::Unknown(reason) => (String::new(), format!("{:<11}unknown: {reason}\n", "page")),
        agent::Answer::Status(machine) => {
            (format!("{}\n", machine::verdict(machine)), machine::rows(machine))
        }
    };
    top + &images(status, drift) + &below
}

fn images(status: &Status, drift: Option<&std::result::Result<usize, String>>) -> String {
    let dirty = if status.dirty { ", with changes" } else { "" };
    let commit = status.commit.as_ref().map(|commit| format!("{commit}{dirty}"));
    let layout = match status.layout {
        Some(layout) => layout.to_string(),
        None => "unknown".to_owned(),
    };
    let tries = status.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
    let health = status.health.as_ref().map(|health| {
        let reason = if health.reason.is_empty() { String::new() } else { format!(": {}", health.reason) };
        format!("{}{reason}", health.state)
    });
    let failure = status.failure.as_ref().map(|failure| {
        let image = failure.image.as_deref().unwrap_or("an image that is not known");
        let after = failure.seconds.map_or_else(String::new, |seconds| format!(" after {seconds} s"));
        format!("{image}{after}: {}", failure.reason)
    });
    let drift = drift.map(|drift| match drift {
        Ok(0) => "none".to_owned(),
        Ok(1) => "1 path that the next reboot erases".to_owned(),
        Ok(count) => format!("{count} paths that the next reboot erases"),
        Err(reason) => format!("unknown: {reason}"),
    });
    let other = match &status.diskless {
        Some(release) => format!("none: {} {release} runs", diskless::NAME),
        None => "unknown: not an image of hoopy".to_owned(),
    };
    let rows = [
        ("image", Some(status.image.clone().unwrap_or(other))),
        ("commit", commit),
        ("up", Some(duration(status.uptime))),
        ("health", health),
        ("failed", failure),
        ("slot", status.slot.as_ref().map(|slot| format!("{slot}{tries}"))),
        ("next", status.staged.clone()),
        ("drift", drift),
        ("layout", Some(layout)),
        ("partition", Some(format!("{}, {} free", status.esp, size::show(status.free)))),
    ];
    let rows = rows.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let mut text: String = rows.map(|(key, value)| format!("{key:<11}{value}\n")).collect();
    if let Some(file) = &status.keeps_diskless {
        text += &format!("{:<11}{file} ({})\n", "on disk", diskless::NAME);
    }
    for kept in &status.images {
        let tries = kept.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
        let name = kept.image.as_deref().unwrap_or("unknown");
        text += &format!("{:<11}{} ({name}, {}{tries})\n", "on disk", kept.file, size::show(kept.size));
    }
    text
}
