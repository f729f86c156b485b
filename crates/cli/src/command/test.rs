//! `hoopy test`.

mod secure_boot;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hoopy_base::atomic::Readers;
use hoopy_base::{destination, input};
use hoopy_boot::secrets::Open;
use hoopy_build::config::{Overrides, System};
use hoopy_secrets::Secrets;
use hoopy_secrets::path::Use;
use hoopy_testing as testing;
use hoopy_testing::{Directory, Limits, Settings, TestRunError};
use hoopy_vm::{Handover, usual_cpus};

use self::show::{Style, TestsShown};
use super::image::{self, ImageRequest};
use crate::args::{Global, Scripts, Test};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print_json, wants_colours};
use crate::progress::Progress;

/// Most machines in parallel without --machines: each takes its memory.
const MAX_MACHINES: usize = 4;

pub fn run(global: &Global, own: &Test) -> Result<Exit> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let system = &target.system;
    // Before anything is built: a name that is not there is a typo.
    let directory = system.path("tests");
    let tests = Directory::read(&directory).map_err(TestRunError::from)?;
    let tests = only(tests, &own.only)?;
    let image = match &own.image {
        Some(image) => image.clone(),
        None => {
            let progress = Progress::new(global.quiet || own.json);
            let request = ImageRequest { scripts: Scripts::Auto, locked: own.locked, version: None };
            image::current(global, &target, request, &progress)?
        }
    };
    let name = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut settings = settings(global, own, system, directory, tests, image)?;
    // Gone when the test run is over
    let work = own.secure_boot.then(|| secure_boot::Prepared::new(global, &target, &settings)).transpose()?;
    settings.enrolling = work.as_ref().map(|work| work.disk.clone());
    let shown = TestsShown::new(Style::of(own.json || global.quiet, wants_colours()));
    shown.begin(&name, &settings);
    let report = testing::run(&settings, &shown)?;
    if let Some(file) = &own.junit {
        let results = testing::junit(&report, &name);
        let written = destination::write(file, results.as_bytes(), Readers::Umask);
        written.context(format!("cannot write {}", file.display()))?;
    }
    if own.json {
        print_json(&report)?;
    } else {
        shown.end(&report)?;
    }
    Ok(if report.failed() { Exit::TestFailed } else { Exit::Success })
}

fn only(tests: Directory, names: &[String]) -> Result<Directory> {
    let there: Vec<String> = tests.tests.iter().map(|test| test.name.clone()).collect();
    if let Some(name) = names.iter().find(|name| !there.iter().any(|t| t.contains(name.as_str()))) {
        if there.is_empty() {
            return Err(CommandError::usage(format!("no test matches --only {name:?}: tests/ has no tests")));
        }
        let message = format!("no test matches --only {name:?}");
        return Err(CommandError::usage(message).hint(format!("the tests are {}", there.join(", "))));
    }
    Ok(tests.only(names))
}

/// What opens the secrets of the machine.
fn identity(own: &Test, system: &System) -> Result<Option<Handover>> {
    if !own.without_secrets {
        return super::owner::handover(system)
            .map_err(|error| error.hint("test without what needs secrets: --without-secrets"));
    }
    let names = Secrets::read(&system.dir)?.map(|secrets| secrets.paths).unwrap_or_default();
    for path in names.iter().filter(|path| path.purpose() != Use::Trust) {
        note(format!("not tested: {path}"));
    }
    Ok(None)
}

/// The backup with which the machine begins, decrypted.
fn restore(file: &Path, system: &System, fstab: &[u8], temp: &Path) -> Result<testing::Restore> {
    let spec = super::restore::filesystem(system, fstab)?.spec;
    let identities = super::owner::usual_identities(&system.path(hoopy_secrets::directory::NAME))?;
    let (file, contents) = super::backup::in_the_clear(file, &identities, temp)?;
    Ok(testing::Restore { spec, file: Arc::new(file), room: contents.bytes })
}

fn settings(
    global: &Global,
    own: &Test,
    system: &System,
    directory: PathBuf,
    tests: Directory,
    image: PathBuf,
) -> Result<Settings> {
    let (places, temp, acceleration) = (super::places(), super::temp(), super::acceleration(global));
    let cpus = own.cpus.or(system.cpus);
    let each = match cpus {
        Some(cpus) => cpus,
        None => usual_cpus(acceleration, testing::arch(&image)?, &places, &temp)?,
    };
    let logs = own.logs.clone().or_else(|| Some(super::state()?.join("tests").join(&system.name)));
    let identity = identity(own, system)?;
    let fstab = input::read(&system.path("root/etc/fstab"), input::Kind::Text).unwrap_or_default();
    let restore = own.restore.as_deref().map(|file| restore(file, system, &fstab, &temp)).transpose()?;
    let cores = super::jobs(global).cores();
    let machines = own.machines.unwrap_or_else(|| (cores / each.max(1) as usize).clamp(1, MAX_MACHINES));
    Ok(Settings {
        image,
        directory,
        tests,
        memory: system.memory,
        cpus,
        network: super::run::network(system),
        nics: system.nics,
        disks: system.disks.clone(),
        fstab,
        esp: system.esp.clone(),
        identity,
        limits: Limits {
            script: own.timeout.map(Duration::from_secs),
            boot: own.boot_timeout.map(Duration::from_secs),
        },
        enrolling: None,
        tpm: own.tpm,
        // State is tried on an empty disk, and on the one that this leaves; a TPM first seals, and then opens.
        reboot: own.reboot
            || !system.state.lines.is_empty()
            || (own.tpm && own.secure_boot && system.secrets.open == Some(Open::Tpm)),
        restore,
        jobs: machines,
        logs: logs.ok_or_else(|| {
            CommandError::failed("no directory for console logs: HOME is not set")
                .hint("name one with --logs")
        })?,
        acceleration,
        places,
        temp,
    })
}
