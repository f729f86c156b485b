//! `hoopy run`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopy_base::input;
use hoopy_build::config::{Overrides, System};
use hoopy_build::target::Target;
use hoopy_disk::{esp_line, fstab};
use hoopy_vm::{Boot, Forward, KeptPartition, Network, Platform, Vm, VmConfig, VmError, scratch};

use crate::args::{DiskContent, Global, Run};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::machine_output::MachineOutput;
use crate::output::note;

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
    let within = Duration::from_secs(own.within);
    until(vm, config, text, Wait { within, may_enroll: own.secure_boot }, global.quiet)?;
    Ok(Exit::Success)
}

/// How long a text is waited for.
struct Wait {
    within: Duration,
    /// Whether the machine may be reset once, when its firmware has taken the keys.
    may_enroll: bool,
}

/// Waits for `text`, and prints what the console says until then. A machine that stops under a KVM that was not asked for is
/// started again, and has all the time once more.
fn until(mut vm: Vm, mut config: VmConfig, text: &str, wait: Wait, quiet: bool) -> Result<()> {
    let Wait { within, mut may_enroll } = wait;
    loop {
        // Those that the user was told
        config.forwards = vm.forwards().to_vec();
        let output = (!quiet).then(MachineOutput::default);
        let log = output.clone().map(|output| Box::new(output) as Box<dyn Write + Send>);
        let said = vm.console(log).and_then(|mut console| {
            console.expect_telling(text, within, &mut |line| {
                if !quiet {
                    note(line);
                }
            })
        });
        let enrolled = std::mem::take(&mut may_enroll) && matches!(said, Err(VmError::Ended { .. }));
        if enrolled {
            // The boot loader has reset the machine, whose firmware has the keys now.
            vm = Vm::prepare(&config)?;
            continue;
        }
        match said.as_ref().err().and_then(VmError::falls_back) {
            Some(why) => note(why),
            None => {
                let printed = output.map_or(Ok(()), MachineOutput::finish);
                said?;
                return printed;
            }
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

/// The virtual machine of a system, as far as it outlives a run.
struct Machine {
    dir: PathBuf,
}

impl Machine {
    fn platform(&self, own: &Run) -> Result<Platform> {
        let [variables, tpm] = ["firmware", "tpm"].map(|part| self.dir.join(part));
        if own.fresh {
            for part in [&variables, &tpm] {
                match fs::remove_dir_all(part) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        return Err(e).context(format!("cannot remove {}", part.display()));
                    }
                    _ => {}
                }
            }
        }
        Ok(Platform { variables: own.secure_boot.then_some(variables), tpm: own.tpm.then_some(tpm) })
    }
}

/// A disk with the image whose boot loader enrolls the keys of the system, as `hoopy disk --enroll` writes it.
fn enrolling(global: &Global, target: &Target, own: &Run, state: &Path) -> Result<PathBuf> {
    let content = DiskContent {
        image: own.image.clone(),
        size: None,
        persist: Vec::new(),
        no_persist: true,
        enroll: true,
        restore: None,
    };
    let dir = state.join("machines").join(&target.system.name);
    fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
    let out = dir.join("disk.img");
    hoopy_ship::disk::write(&out, &super::disk::config(target, global, &content)?)?;
    Ok(out)
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
    let mounts = fstab::parse(&table);
    let esp = esp_line::of(&mounts, system.esp.as_deref(), &[]);
    let blank = scratch::blank(&dir, &system.disks)?;
    let disks = scratch::make(&dir, &mounts, esp, SCRATCH, &places)?.with(blank);
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
    let platform = Machine { dir: state.join("machines").join(&system.name) }.platform(own)?;
    let boot = if own.secure_boot {
        Boot::Disk(enrolling(global, target, own, &state)?)
    } else {
        Boot::Image(image)
    };
    Ok(VmConfig {
        arch,
        boot,
        memory: system.memory,
        cpus: own.cpus.or(system.cpus),
        forwards: ports
            .iter()
            .map(|p| Forward { name: called(p.guest), guest: p.guest, host: p.host })
            .collect(),
        network: network(system),
        nics: system.nics,
        partition: esp.map(|line| KeptPartition::of(line, &dir, SCRATCH)),
        disks: disks.disks,
        platform,
        identity,
        acceleration: super::acceleration(global),
        places,
        temp: super::temp(),
    })
}
