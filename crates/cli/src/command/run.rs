//! `hoopy run`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hoopy_base::input;
use hoopy_build::config::{Overrides, System};
use hoopy_build::target::Target;
use hoopy_disk::fstab;
use hoopy_vm::{Boot, Forward, Network, Vm, VmConfig, VmError, scratch};

use crate::args::{Global, Run};

/// Room on a scratch disk: sparse, so it costs what is written to it.
const SCRATCH: u64 = 1 << 30;

pub fn run(global: &Global, own: &Run) -> anyhow::Result<ExitCode> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let config = config(global, &target, own)?;
    let vm = Vm::prepare(&config)?;
    if !global.quiet {
        introduce(config.boot.path(), &vm);
        if config.network == Network::Forwards {
            eprintln!("the machine reaches nothing else: `[run] network = true` in hoopy.toml lets it out");
        }
    }
    let Some(text) = &own.until else {
        eprintln!("Ctrl-A X ends it, Ctrl-A H shows help");
        let status = vm.interact(&mut |text| eprintln!("{text}"))?;
        return Ok(ExitCode::from(u8::from(!status.success())));
    };
    let shown = until(vm, config, text, Duration::from_secs(own.within), global.quiet)?;
    if !global.quiet {
        print!("{shown}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for `text`; what the console said before it. A machine that stops under a KVM that was not asked for is
/// started again, and has all the time once more.
fn until(
    mut vm: Vm,
    mut config: VmConfig,
    text: &str,
    within: Duration,
    quiet: bool,
) -> anyhow::Result<String> {
    loop {
        // Those that the user was told
        config.forwards = vm.forwards().to_vec();
        let said = vm.console(None).and_then(|mut console| {
            console.expect_telling(text, within, &mut |note| {
                if !quiet {
                    eprintln!("{note}");
                }
            })
        });
        match said.as_ref().err().and_then(VmError::falls_back) {
            Some(why) => eprintln!("{why}"),
            None => return Ok(said?),
        }
        vm = Vm::prepare(&config)?;
    }
}

/// Says what runs, with what, and how it is reached.
pub fn introduce(image: &Path, vm: &Vm) {
    eprintln!("{}", image.display());
    eprintln!("{}", vm.choice());
    for forward in vm.forwards() {
        eprintln!("{}: port {} of the machine is 127.0.0.1:{}", forward.name, forward.guest, forward.host);
    }
}

/// What a machine of the system reaches.
pub fn network(system: &System) -> Network {
    if system.run_network { Network::Outside } else { Network::Forwards }
}

/// The machine for an image, as the system directory and the command line say.
pub fn config(global: &Global, target: &Target, own: &Run) -> anyhow::Result<VmConfig> {
    let (system, arch) = (&target.system, target.arch);
    let image = super::image(target, own.image.as_deref())?;
    let places = super::places();
    let state = super::state().context("no place for scratch disks: set HOME")?;
    let dir = state.join("disks").join(&system.name);
    let table = input::read(&system.path("root/etc/fstab"), input::Kind::Text).unwrap_or_default();
    fs::create_dir_all(&dir)?;
    let disks = scratch::make(&dir, &fstab::parse(&table), SCRATCH, &places)?;
    for (mount, why) in &disks.skipped {
        eprintln!(
            "warning: root/etc/fstab:{}: no disk for {} on {}: {why}",
            mount.line, mount.spec, mount.mount_point
        );
    }
    let ports = if own.ports.is_empty() { &system.forwards } else { &own.ports };
    let called = |guest| match guest {
        22 => "SSH".to_owned(),
        80 => "HTTP".to_owned(),
        other => format!("port {other}"),
    };
    Ok(VmConfig {
        arch,
        boot: Boot::Image(image),
        memory: system.memory,
        cpus: own.cpus.or(system.cpus),
        forwards: ports
            .iter()
            .map(|p| Forward { name: called(p.guest), guest: p.guest, host: p.host })
            .collect(),
        network: network(system),
        disks: disks.disks,
        acceleration: super::acceleration(global),
        places,
        temp: super::temp(),
    })
}
