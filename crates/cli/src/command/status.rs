//! `hoopy status`.

use std::time::{Duration, Instant};

use hoopy_base::size;
use hoopy_boot::layout::Layout;
use hoopy_ship::deploy::{self, MachineImages, Ssh, Status};
use serde::Serialize;

use super::{drift, host};
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
}

pub fn run(global: &Global, own: &args::Status) -> Result<Exit> {
    let host = host::find(own.host.host.as_deref(), own.host.esp.as_deref(), global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let seen = MachineImages::ask(&ssh, host.esp.as_deref())?;
    let within = Duration::from_secs(own.drift_within);
    let drift = (!within.is_zero()).then(|| {
        let until = Instant::now() + within;
        drift::count(global, &host, &ssh, &seen, until).map_err(|e| why(&e, until, within))
    });
    let status = deploy::status(seen);
    if own.json {
        let (drift, drift_unknown) = match drift {
            Some(Ok(count)) => (Some(count), None),
            Some(Err(reason)) => (None, Some(reason)),
            None => (None, None),
        };
        print_json(&Answer { status: &status, drift, drift_unknown })?;
    } else {
        print(text(&status, drift.as_ref()))?;
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

fn text(status: &Status, drift: Option<&std::result::Result<usize, String>>) -> String {
    let dirty = if status.dirty { ", with changes" } else { "" };
    let commit = status.commit.as_ref().map(|commit| format!("{commit}{dirty}"));
    let layout = match status.layout {
        Some(Layout::Single) => "single",
        Some(Layout::Ab) => "ab",
        None => "unknown",
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
    let rows = [
        ("image", Some(status.image.clone().unwrap_or_else(|| "unknown: not an image of hoopy".to_owned()))),
        ("commit", commit),
        ("up", Some(up(status.uptime))),
        ("health", health),
        ("failed", failure),
        ("slot", status.slot.as_ref().map(|slot| format!("{slot}{tries}"))),
        ("next", status.staged.clone()),
        ("drift", drift),
        ("layout", Some(layout.to_owned())),
        ("partition", Some(format!("{}, {} free", status.esp, size::show(status.free)))),
    ];
    let rows = rows.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let mut text: String = rows.map(|(key, value)| format!("{key:<11}{value}\n")).collect();
    for kept in &status.images {
        let tries = kept.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
        let name = kept.image.as_deref().unwrap_or("unknown");
        text += &format!("{:<11}{} ({name}, {}{tries})\n", "on disk", kept.file, size::show(kept.size));
    }
    text
}

fn up(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
