//! `hoopy doctor`: checks this computer, with the functions that other commands use.

mod check;
mod install;
mod machines;
mod screen;
mod scripts;
mod supplies;

use std::path::Path;

use hoopy_base::arch::Arch;
use hoopy_build::config::branch::BranchSource;
use hoopy_build::config::{ConfigError, Overrides, Repository, System};
use hoopy_build::target::Target;

use self::check::Diagnosis;
use self::install::Distribution;
use crate::args::{Doctor, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print_coloured, print_json};

pub fn run(global: &Global, own: &Doctor) -> Result<Exit> {
    let report = report(global);
    if own.json {
        print_json(&report)?;
    } else {
        print_coloured(&screen::lines(&report, global.quiet))?;
    }
    Ok(if report.can_build { Exit::Success } else { Exit::System })
}

fn report(global: &Global) -> Diagnosis {
    let os_release = ["/etc/os-release", "/usr/lib/os-release"];
    let os_release = os_release.iter().find_map(|path| std::fs::read_to_string(path).ok());
    let here = Distribution::new(&os_release.unwrap_or_default(), rustix::process::geteuid().is_root());
    let system = system(global);
    let written = system.as_ref().and_then(|system| system.arch);
    let arch = global.arch.or(written).or_else(Arch::host).unwrap_or(Arch::X86_64);
    let places = super::places();
    let mut checks = vec![scripts::user_namespaces(global, &here)];
    checks.extend(scripts::foreign_programs(&places.programs, &here));
    checks.extend(machines::checks(&places, &here));
    checks.extend(supplies::programs(&places.programs, &here));
    checks.push(supplies::mirror(&repositories(system, global, arch), arch));
    checks.push(supplies::store(global));
    Diagnosis::new(format!("{}, {}", here.name, std::env::consts::ARCH), arch, checks)
}

/// The repository whose index shows whether the mirror answers, and where else it may be.
fn repositories(system: Option<System>, global: &Global, arch: Arch) -> Vec<Repository> {
    let Some(system) = system else { return Repository::default_main(global.mirror.as_deref()).into() };
    let system = Target::to_lock(system.clone(), Some(arch)).map_or(system, |target| target.system);
    if system.branch_source == BranchSource::Unknown && system.follows_branch() {
        return Repository::default_main(Some(&system.mirror)).into();
    }
    system.repositories.into_iter().take(1).collect()
}

/// The system in the working directory, where it is one: it may name another mirror.
fn system(global: &Global) -> Option<System> {
    match System::load(
        Path::new(super::HERE),
        &Overrides { mirror: global.mirror.clone(), keys: global.keys.clone(), ..Overrides::default() },
    ) {
        Ok(system) => Some(system),
        Err(ConfigError::NotASystem(_)) => None,
        Err(error) => {
            note(format!("warning: {error}: another mirror that it may name is not looked at"));
            None
        }
    }
}
