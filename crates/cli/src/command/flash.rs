//! `hoopy flash`.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_ship::flash::{self, Device, Kernel, Phase};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};

use super::disk;
use crate::args::{Flash, Global};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{print, print_json, prompt};

pub fn run(global: &Global, own: &Flash) -> Result<Exit> {
    let target = super::target(super::HERE.as_ref(), global, Overrides::default())?;
    let device = flash::look(&own.device, &Kernel::default())?;
    // The device is checked before anything is made, and shown before the question.
    if !global.quiet {
        prompt(about(&device));
    }
    flash::admit(&device, own.fixed_disk)?;
    let config = disk::config(&target, global, &own.content)?;
    if !own.yes && !confirmed(&device, &config.image.display().to_string())? {
        return Err(CommandError::failed("not confirmed: nothing was written"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    super::owner::leave_signals();
    for signal in [SIGINT, SIGTERM, SIGQUIT] {
        // The second one ends it at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals")?;
    }
    let bar = Bar::new(!global.quiet && io::stderr().is_terminal());
    let how = flash::Flash {
        fixed_disk: own.fixed_disk,
        stop: &stop,
        progress: &|p, done, all| bar.show(p, done, all),
    };
    let written = flash::flash(&own.device, &device, config, &super::temp(), &how);
    bar.end();
    let written = written?;
    if own.json {
        print_json(&written)?;
    } else if !global.quiet {
        print(
            format!("device     {}, written and verified\n", own.device.display()) + &disk::table(&written),
        )?;
    }
    Ok(Exit::Success)
}

/// What is about to be overwritten.
fn about(device: &Device) -> String {
    let kind = if device.removable { "removable" } else { "built in" };
    let model = if device.model.is_empty() { "unknown model" } else { &device.model };
    let mut out = format!("device     /dev/{}: {model}, {}, {kind}\n", device.name, size::show(device.size));
    if !device.partitions.is_empty() {
        out += &format!("partitions {}\n", device.partitions.join(", "));
    }
    for used in &device.uses {
        out += &format!("in use     {used}\n");
    }
    out
}

fn confirmed(device: &Device, image: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage(format!(
            "no terminal to confirm that /dev/{} may be overwritten",
            device.name
        ))
        .hint("skip the confirmation with --yes"));
    }
    prompt(format!(
        "Everything on /dev/{} will be erased, and {image} written to it. Type the name of the device to continue: ",
        device.name
    ));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim().trim_start_matches("/dev/") == device.name)
}

/// A bar for each phase, on a terminal.
struct Bar {
    shown: bool,
    bar: RefCell<Option<(Phase, ProgressBar)>>,
}

impl Bar {
    fn new(shown: bool) -> Self {
        Self { shown, bar: RefCell::new(None) }
    }

    fn show(&self, phase: Phase, done: u64, total: u64) {
        if !self.shown {
            return;
        }
        let mut bar = self.bar.borrow_mut();
        let (_, bar) = match bar.take().filter(|(old, _)| *old == phase) {
            Some(same) => bar.insert(same),
            None => bar.insert((phase, started(phase, total))),
        };
        bar.set_position(done);
    }

    fn end(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

fn started(phase: Phase, total: u64) -> ProgressBar {
    let label = match phase {
        Phase::Writing => "writing",
        Phase::Verifying => "verifying",
    };
    let style =
        ProgressStyle::with_template("{msg:12} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(label);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
