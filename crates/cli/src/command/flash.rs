//! `hoopy flash`.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, bail};
use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_ship::flash::{self, Device, Kernel, Phase};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::disk;
use crate::args::{Flash, Global};
use crate::ui::put;

pub fn run(global: &Global, own: &Flash) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.dir, global, Overrides::default())?;
    let device = flash::look(&own.device, &Kernel::default())?;
    // What is wrong with the device is told before anything is made, and what would be lost before it is asked for.
    if !global.quiet {
        eprint!("{}", about(&device));
    }
    flash::admit(&device, own.fixed_disk)?;
    let config = disk::config(&target, global, &own.content)?;
    if !own.yes && !asked(&device, &config.image.display().to_string())? {
        bail!("nothing was written");
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second one ends it at once
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
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
    if !global.quiet {
        put(&(format!("device     {}, written and read back\n", own.device.display())
            + &disk::table(&written)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is about to be overwritten.
fn about(device: &Device) -> String {
    let kind = if device.removable { "removable" } else { "built in" };
    let model = if device.model.is_empty() { "no model" } else { &device.model };
    let mut out = format!("device     /dev/{}: {model}, {}, {kind}\n", device.name, size::show(device.size));
    if !device.partitions.is_empty() {
        out += &format!("partitions {}\n", device.partitions.join(", "));
    }
    for used in &device.uses {
        out += &format!("in use     {used}\n");
    }
    out
}

fn asked(device: &Device, image: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody to ask whether /dev/{} may be overwritten: say --yes", device.name);
    }
    eprint!(
        "All that is on /dev/{} will be lost, and {image} written to it. Type its name to go on: ",
        device.name
    );
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("no answer")?;
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
    let said = match phase {
        Phase::Writing => "writing",
        Phase::Verifying => "reading back",
    };
    let style =
        ProgressStyle::with_template("{msg:12} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(said);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
