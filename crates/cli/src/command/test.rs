//! `hoopy test`.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hoopy_base::input;
use hoopy_build::config::{Overrides, System};
use hoopy_testing as trial;
use hoopy_testing::{Directory, Settings};
use hoopy_vm::usual_cpus;

use self::show::{Paper, Style};
use super::build::{self, ImageRequest};
use crate::args::{Global, Scripts, Test};
use crate::error::TEST_FAILED;
use crate::ui::{Teller, put_json, wants_colours};

/// Most machines at a time where `--machines` is not given: each has its memory.
const MAX_MACHINES: usize = 4;

pub fn run(global: &Global, own: &Test) -> anyhow::Result<ExitCode> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let system = &target.system;
    // Before anything is built: a name that is not there is a slip of the finger
    let directory = system.path("tests");
    let tests = Directory::read(&directory).map_err(trial::TrialError::from)?;
    let tests = chosen(tests, &own.names)?;
    let image = match &own.image {
        Some(image) => image.clone(),
        None => {
            let teller = Teller::new(global.quiet || own.json);
            let asked = ImageRequest { scripts: Scripts::Auto, locked: own.locked, version: None };
            build::image(global, &target, asked, &teller)?
        }
    };
    let name = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let settings = settings(global, own, system, directory, tests, image)?;
    let paper = Paper::new(Style::of(own.json || global.quiet, wants_colours()));
    paper.begin(&name, &settings);
    let report = trial::run(&settings, &paper)?;
    if let Some(file) = &own.junit {
        let written = hoopy_base::atomic::replace_file(file, trial::junit(&report, &name).as_bytes());
        written.with_context(|| format!("{}: the results could not be written", file.display()))?;
    }
    if own.json {
        put_json(&report)?;
    } else {
        paper.end(&report)?;
    }
    Ok(if report.failed() { ExitCode::from(TEST_FAILED) } else { ExitCode::SUCCESS })
}

fn chosen(tests: Directory, names: &[String]) -> anyhow::Result<Directory> {
    let there: Vec<String> = tests.tests.iter().map(|test| test.name.clone()).collect();
    if let Some(name) = names.iter().find(|name| !there.iter().any(|t| t.contains(name.as_str()))) {
        if there.is_empty() {
            bail!("no test has {name:?} in its name: there is none in tests/");
        }
        bail!("no test has {name:?} in its name; there are {}", there.join(", "));
    }
    Ok(tests.only(names))
}

fn settings(
    global: &Global,
    own: &Test,
    system: &System,
    directory: PathBuf,
    tests: Directory,
    image: PathBuf,
) -> anyhow::Result<Settings> {
    let (places, temp, acceleration) = (super::places(), super::temp(), super::acceleration(global));
    let cpus = own.cpus.or(system.cpus);
    let each = match cpus {
        Some(cpus) => cpus,
        None => usual_cpus(acceleration, trial::arch(&image)?, &places, &temp)?,
    };
    let logs = own.logs.clone().or_else(|| Some(super::state()?.join("tests").join(&system.name)));
    let cores = super::jobs(global).cores();
    let machines = own.machines.unwrap_or_else(|| (cores / each.max(1) as usize).clamp(1, MAX_MACHINES));
    Ok(Settings {
        image,
        directory,
        tests,
        memory: system.memory,
        cpus,
        network: super::run::network(system),
        fstab: input::read(&system.path("root/etc/fstab"), input::Kind::Text).unwrap_or_default(),
        limit: Duration::from_secs(own.timeout),
        boot_limit: Duration::from_secs(own.boot_timeout),
        reboot: own.reboot,
        jobs: machines,
        logs: logs.context("no place for the consoles' logs: set HOME or use --logs")?,
        acceleration,
        places,
        temp,
    })
}
