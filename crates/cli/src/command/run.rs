//! `hoopy run`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hoopy_base::input;
use hoopy_build::config::{Overrides, System};
use hoopy_build::target::Target;
use hoopy_disk::fstab;
use hoopy_vm::{Boot, Forward, Network, Vm, VmConfig, VmError, scratch};

use crate::args::{Global, Run};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print};

/// Room on a scratch disk: sparse, so it costs what is written to it.
const SCRATCH: u64 = 1 << 30;

pub fn run(global: &Global, own: &Run) -> Result<Exit> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let config = config(global, &target, own)?;
    let vm = Vm::prepare(&config)?;
    if !global.quiet {
        introduce(config.boot.path(), &vm);
        if config.network == Network::Forwards {
            note("the machine reaches nothing else: `[run] network = true` in hoopy.toml gives it a network");
        }
    }
    let Some(text) = &own.until else {
        note("press Ctrl-A X to stop the machine, Ctrl-A H for help");
        let status = vm.interact(&mut |text| note(text))?;
        return Ok(if status.success() { Exit::Success } else { Exit::Failed });
    };
    let shown = until(vm, config, text, Duration::from_secs(own.within), global.quiet)?;
    if !global.quiet {
        print(&shown)?;
    }
    Ok(Exit::Success)
}

/// Waits for `text`; what the console said before it. A machine that stops under a KVM that was not asked for is
/// started again, and has all the time once more.
fn until(mut vm: Vm, mut config: VmConfig, text: &str, within: Duration, quiet: bool) -> Result<String> {
    loop {
        // Those that the user was told
        config.forwards = vm.forwards().to_vec();
        let said = vm.console(None).and_then(|mut console| {
            console.expect_telling(text, within, &mut |line| {
                if !quiet {
                    note(line);
                }
            })
        });
        match said.as_ref().err().and_then(VmError::falls_back) {
            Some(why) => note(why),
            None => return Ok(said?),
        }
        vm = Vm::prepare(&config)?;
    }
}

/// Says what boots, how fast, and how it is reached.
pub fn introduce(image: &Path, vm: &Vm) {
    note(format!("booting {}", image.display()));
    note(vm.choice());
    for forward in vm.forwards() {
        note(format!(
            "{}: 127.0.0.1:{} is port {} of the machine",
            forward.name, forward.host, forward.guest
        ));
    }
}

/// What a machine of the system reaches.
pub fn network(system: &System) -> Network {
    if system.run_network { Network::Outside } else { Network::Forwards }
}

/// The machine for an image, as the system directory and the command line say.
pub fn config(global: &Global, target: &Target, own: &Run) -> Result<VmConfig> {
    let (system, arch) = (&target.system, target.arch);
    let image = super::image::newest(target, own.image.as_deref())?;
    let places = super::places();
    let state = super::state()
        .ok_or_else(|| CommandError::failed("no directory for scratch disks: HOME is not set"))?;
    let dir = state.join("disks").join(&system.name);
    let table = input::read(&system.path("root/etc/fstab"), input::Kind::Text).unwrap_or_default();
    fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
    let disks = scratch::make(&dir, &fstab::parse(&table), SCRATCH, &places)?;
    for (mount, why) in &disks.skipped {
        note(format!(
            "warning: root/etc/fstab:{}: no disk for {} on {}: {why}",
            mount.line, mount.spec, mount.mount_point
        ));
    }
    let identity = super::owner::handover(system).unwrap_or_else(|error| {
        note(format!("warning: the machine's secrets stay closed: {error}"));
        None
    });
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
        identity,
        acceleration: super::acceleration(global),
        places,
        temp: super::temp(),
    })
}
