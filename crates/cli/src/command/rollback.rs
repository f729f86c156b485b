//! `hoopy rollback`.

use std::process::ExitCode;
use std::time::Duration;

use hoopy_ship::deploy::{self, Machine, Ssh};

use super::deploy::{back, told};
use crate::args::{Global, Rollback};
use crate::ui::put;

pub fn run(global: &Global, own: &Rollback) -> anyhow::Result<ExitCode> {
    let super::remote::Remote { host, esp, .. } =
        super::remote::find(&own.host, None, own.far.esp.as_deref(), global)?;
    let config = super::ssh();
    let ssh = Ssh::connect(&host, &config)?;
    let (steps, image) = deploy::rollback(&ssh, esp.as_deref(), own.dry_run)?;
    let say = |text: String| if global.quiet { Ok(()) } else { put(&text) };
    say(told(&steps))?;
    let next = match (own.dry_run, own.reboot) {
        (true, _) => "would start with the next boot",
        (false, true) => "rebooting",
        (false, false) => "starts with the next boot",
    };
    say(format!("{image}: {next}\n"))?;
    if own.reboot {
        let before = Machine::ask(&ssh, esp.as_deref())?;
        deploy::reboot(&ssh)?;
        drop(ssh);
        let within = Duration::from_secs(own.far.within);
        say(back(&host, &deploy::wait(&before, &image, esp.as_deref(), &config, within)?))?;
    }
    Ok(ExitCode::SUCCESS)
}
