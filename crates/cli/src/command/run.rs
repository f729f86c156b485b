//! `hoopy run`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hoopy_base::arch::Arch;
use hoopy_base::input;
use hoopy_build::config::{Overrides, System};
use hoopy_disk::fstab;
use hoopy_vm::{Boot, Forward, Network, Vm, VmConfig, scratch};

use crate::args::{Global, Run};

/// Room on a scratch disk: sparse, so it costs what is written to it.
const SCRATCH: u64 = 1 << 30;

pub fn run(global: &Global, own: &Run) -> anyhow::Result<ExitCode> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let system = super::system(&own.system.dir, global, over)?;
    let (arch, lock) = hoopy_build::locking::place(&system)?;
    let arch = arch.context("no architecture: say --arch")?;
    let name = hoopy_build::locking::image_name(&system, arch, &lock);
    let config = config(&system, own, arch, &name)?;
    let vm = Vm::prepare(&config)?;
    let image = config.boot.path();
    if !global.quiet {
        introduce(image, &vm);
        if config.network == Network::Forwards {
            eprintln!("the machine reaches nothing else: `[run] network = true` in hoopy.toml lets it out");
        }
    }
    let Some(text) = &own.until else {
        eprintln!("Ctrl-A X ends it, Ctrl-A H shows help");
        let status = vm.interact()?;
        return Ok(ExitCode::from(u8::from(!status.success())));
    };
    let mut console = vm.console(None)?;
    let shown = console.expect(text, Duration::from_secs(own.within))?;
    if !global.quiet {
        print!("{shown}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what runs, with what, and how it is reached.
pub fn introduce(image: &Path, vm: &Vm) {
    match vm.no_kvm() {
        None => eprintln!("{} with {}", image.display(), vm.accelerator()),
        Some(why) => {
            eprintln!("{} with {}, which is slow: no KVM, {why}", image.display(), vm.accelerator());
        }
    }
    for forward in vm.forwards() {
        eprintln!("{}: port {} of the machine is 127.0.0.1:{}", forward.name, forward.guest, forward.host);
    }
}

/// What a machine of the system reaches.
pub fn network(system: &System) -> Network {
    if system.run_network { Network::Outside } else { Network::Forwards }
}

/// The machine for an image, as the system directory and the command line say.
pub fn config(system: &System, own: &Run, arch: Arch, name: &str) -> anyhow::Result<VmConfig> {
    let image = super::image(system, own.image.as_deref(), name)?;
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
        cpus: super::cpus(own.cpus.or(system.cpus), arch),
        forwards: ports
            .iter()
            .map(|p| Forward { name: called(p.guest), guest: p.guest, host: p.host })
            .collect(),
        network: network(system),
        disks: disks.disks,
        acceleration: Default::default(),
        places,
        temp: super::temp(),
    })
}
