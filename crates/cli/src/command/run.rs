//! `hoopy run`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hoopy_base::arch::Arch;
use hoopy_build::config::{Overrides, System};
use hoopy_disk::fstab;
use hoopy_vm::{Accelerator, Boot, Forward, Vm, VmConfig, scratch};

use crate::args::{Global, Run};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print};

/// Room on a scratch disk: sparse, so it costs what is written to it.
const SCRATCH: u64 = 1 << 30;

pub fn run(global: &Global, own: &Run) -> Result<Exit> {
    let over = Overrides { memory: own.memory.clone(), ..Overrides::default() };
    let system = super::system(&own.system.dir, global, over)?;
    let (arch, lock) = super::place(&system)?;
    let name = hoopy_build::locking::image_name(&system, arch, &lock);
    let config = config(&system, own, arch, &name)?;
    let vm = Vm::prepare(&config)?;
    let image = config.boot.path();
    if !global.quiet {
        introduce(image, &vm);
    }
    let Some(text) = &own.until else {
        note("press Ctrl-A X to stop the machine, Ctrl-A H for help");
        let status = vm.interact()?;
        return Ok(if status.success() { Exit::Success } else { Exit::Failed });
    };
    let mut console = vm.console(None)?;
    let shown = console.expect(text, Duration::from_secs(own.within))?;
    if !global.quiet {
        print(&shown)?;
    }
    Ok(Exit::Success)
}

/// Says what boots, how fast, and how it is reached.
pub fn introduce(image: &Path, vm: &Vm) {
    let accelerator = match vm.accelerator() {
        Accelerator::Kvm => "KVM",
        Accelerator::Tcg => "software emulation (TCG)",
    };
    let slow = vm.no_kvm().map_or_else(String::new, |why| format!(", which is slow: {why}"));
    note(format!("booting {} with {accelerator}{slow}", image.display()));
    for forward in vm.forwards() {
        note(format!(
            "{}: 127.0.0.1:{} is port {} of the machine",
            forward.name, forward.host, forward.guest
        ));
    }
}

/// The machine for an image, as the system directory and the command line say.
pub fn config(system: &System, own: &Run, arch: Arch, name: &str) -> Result<VmConfig> {
    let image = super::image::newest(system, own.image.as_deref(), name)?;
    let places = super::places();
    let state = super::state()
        .ok_or_else(|| CommandError::failed("no directory for scratch disks: HOME is not set"))?;
    let dir = state.join("disks").join(&system.name);
    let table = fs::read(system.path("root/etc/fstab")).unwrap_or_default();
    fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
    let disks = scratch::make(&dir, &fstab::parse(&table), SCRATCH, &places)?;
    for (mount, why) in &disks.skipped {
        note(format!(
            "warning: root/etc/fstab:{}: no disk for {} on {}: {why}",
            mount.line, mount.spec, mount.mount_point
        ));
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
        disks: disks.disks,
        acceleration: Default::default(),
        places,
        temp: super::temp(),
    })
}
