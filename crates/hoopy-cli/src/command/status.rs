//! `hoopy status`.

use std::process::ExitCode;

use hoopy::config::{Layout, size};
use hoopy::ship::deploy::{self, Ssh};

use crate::args::{self, Global};
use crate::ui::{put, put_json};

pub fn run(global: &Global, own: &args::Status) -> anyhow::Result<ExitCode> {
    let (host, esp) = super::far(&own.host, own.esp.as_deref(), global)?;
    let ssh = Ssh::connect(&host, &super::ssh())?;
    let status = deploy::status(&ssh, esp.as_deref())?;
    if own.json {
        put_json(&status)?
    } else {
        put(&text(&status))?
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &deploy::Status) -> String {
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
    let rows = [
        ("image", Some(status.image.clone().unwrap_or_else(|| "none of hoopy's".to_owned()))),
        ("commit", commit),
        ("up", Some(up(status.uptime))),
        ("health", health),
        ("slot", status.slot.as_ref().map(|slot| format!("{slot}{tries}"))),
        ("next", status.staged.clone()),
        ("layout", Some(layout.to_owned())),
        ("partition", Some(format!("{}, {} free", status.esp, size::show(status.free)))),
    ];
    let rows = rows.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let mut text: String = rows.map(|(key, value)| format!("{key:<11}{value}\n")).collect();
    for kept in &status.images {
        let tries = kept.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
        let name = kept.image.as_deref().unwrap_or("no name");
        text += &format!("{:<11}{} ({name}, {}{tries})\n", "there", kept.file, size::show(kept.size));
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
