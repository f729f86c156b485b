//! `hoopy rollback`.

use std::time::Duration;

use hoopy_ship::deploy::{self, BootResult, Machine, PreviousSystem, Return, Ssh};
use serde::Serialize;

use super::host::{self, Host};
use super::steps;
use crate::args::{Global, Rollback};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    image: &'a str,
    came: Option<&'a BootResult>,
}

pub fn run(global: &Global, own: &Rollback) -> Result<Exit> {
    let Host { name: host, esp, .. } = host::find(own.host.host.as_deref(), own.host.esp.as_deref(), global)?;
    let config = super::ssh();
    let ssh = Ssh::connect(&host, &config)?;
    let to = if own.to_diskless { PreviousSystem::Diskless } else { PreviousSystem::Image };
    let Return { name: image, steps: changes, earlier } =
        deploy::rollback(&ssh, esp.as_deref(), to, own.dry_run)?;
    let say = |text: String| if global.quiet || own.json { Ok(()) } else { print(text) };
    say(steps::list(&changes))?;
    if let Some(earlier) = earlier {
        note(format!("warning: {earlier}"));
    }
    let next = match (own.dry_run, own.reboot) {
        (true, _) => "would start with the next boot",
        (false, true) => "rebooting",
        (false, false) => "starts with the next boot",
    };
    say(format!("{image}: {next}\n"))?;
    let mut came = None;
    if own.reboot {
        let machine = Machine::ask(&ssh, esp.as_deref())?;
        deploy::reboot(&ssh)?;
        drop(ssh);
        let within = Duration::from_secs(own.wait.within);
        let back = deploy::wait(&machine, &image, esp.as_deref(), &config, within)?;
        say(steps::came_back(&host, &back))?;
        came = Some(back);
    }
    if own.json {
        print_json(&Answer { image: &image, came: came.as_ref() })?;
    }
    Ok(Exit::Success)
}
