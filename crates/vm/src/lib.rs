//! Boots the very file that was built: QEMU, UEFI firmware, and a partition that holds the image under the name
//! that firmware starts from removable media.
//!
//! ```text
//! VmConfig ──▶ Vm::prepare ──▶ Vm::interact   serial console on the terminal, Ctrl-A X ends it
//!              tools, KVM or   Vm::show       the same, while the caller does something else
//!              TCG, ports, ESP Vm::console    serial console in a Console: wait for text, type lines
//! ```
//!
//! Nothing outlives the caller: see [`process`]. Whatever stops a machine is seen at once: see [`qemu`] and [`qmp`].
//! Where that is KVM's doing and the accelerator was hoopy's choice, the machine is prepared anew and runs under TCG:
//! [`VmError::falls_back`] tells whoever waits for a [`Console`]; the other two do it themselves.

pub mod accelerator;
pub mod args;
mod choose;
pub mod console;
pub mod error;
mod escape;
mod fault;
mod handover;
mod kvm;
pub mod network;
mod partition;
mod platform;
mod probe;
pub mod process;
pub mod qemu;
pub mod qmp;
pub mod scratch;
mod shown;
pub mod silence;
pub mod tools;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hoopy_base::arch::Arch;
use qemu::{Qemu, Start};
use tempfile::TempDir;

pub use accelerator::{Acceleration, Accelerator, Choice, NoKvm};
pub use choose::{choose, usual_cpus};
pub use console::Console;
pub use error::VmError;
pub use fault::{Fault, WITHOUT_KVM};
pub use handover::Handover;
pub use network::Network;
pub use partition::KeptPartition;
pub use platform::Platform;
pub use scratch::{BlankDisk, ScratchDisk};
pub use shown::Shown;
pub use tools::{Firmware, Places};

/// What a kernel is told beside its own command line where this crate's caller may choose it, with a blank behind it. On a busy
/// computer an emulated timer may be late, which the kernel for x86_64 takes for a broken one: it panics with "IO-APIC + timer
/// doesn't work!" (Documentation/admin-guide/kernel-parameters.txt; under KVM it does without the check by itself).
pub const fn kernel_arguments(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "no_timer_check ",
        Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => "",
    }
}

/// A port of the guest that is reachable from the host, on 127.0.0.1 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The name to show: `SSH`, `HTTP`.
    pub name: String,
    /// The port in the guest.
    pub guest: u16,
    /// The port on the host; 0 for any free one.
    pub host: u16,
}

/// What a machine boots.
#[derive(Debug, Clone)]
pub enum Boot {
    /// This unified kernel image, from a partition made for it and gone with the machine, or [`VmConfig::partition`].
    Image(PathBuf),
    /// The same image with another command line: the file is as it was, and so is all else in the copy that is
    /// booted.
    WithCommandLine(PathBuf, String),
    /// This disk image, which keeps what the machine writes to it.
    Disk(PathBuf),
}

impl Boot {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Image(path) | Self::WithCommandLine(path, _) | Self::Disk(path) => path,
        }
    }
}

/// A machine to boot an image on.
#[derive(Debug, Clone)]
pub struct VmConfig {
    /// Its architecture.
    pub arch: Arch,
    /// What it boots.
    pub boot: Boot,
    /// Bytes of memory; rounded up to MiB.
    pub memory: u64,
    /// How many processors; `None` for the usual number with its accelerator.
    pub cpus: Option<u32>,
    /// Ports to forward.
    pub forwards: Vec<Forward>,
    /// What it reaches.
    pub network: Network,
    /// How many network cards it has; at least one.
    pub nics: u32,
    /// The partition that an image is booted from, where that is to last; [`Boot::Disk`] has its own.
    pub partition: Option<KeptPartition>,
    /// Disks beside the one that it boots from.
    pub disks: Vec<ScratchDisk>,
    /// What is kept of it beside disks.
    pub platform: Platform,
    /// The identity that opens its secrets, if it gets one.
    pub identity: Option<Handover>,
    /// Which accelerator.
    pub acceleration: Acceleration,
    /// Where QEMU and firmware are.
    pub places: Places,
    /// Where the machine's temporary directory is made: one that holds the image once more.
    pub temp: PathBuf,
}

impl VmConfig {
    /// A machine with only what it boots; temporary files go where the system keeps them.
    pub fn new(arch: Arch, boot: Boot, memory: u64) -> Self {
        Self {
            arch,
            boot,
            memory,
            cpus: None,
            forwards: Vec::new(),
            network: Network::default(),
            nics: 1,
            partition: None,
            disks: Vec::new(),
            platform: Platform::default(),
            identity: None,
            acceleration: Acceleration::Auto,
            places: Places::default(),
            temp: std::env::temp_dir(),
        }
    }
}

/// A machine, ready to be started.
#[derive(Debug)]
pub struct Vm {
    /// As it was asked for, with the ports that were chosen.
    config: VmConfig,
    qemu: PathBuf,
    args: Vec<String>,
    choice: Choice,
    dir: TempDir,
    /// Hold the chosen ports until QEMU is about to take them.
    ports: Vec<TcpListener>,
}

impl Vm {
    /// Finds the tools and the accelerator, chooses ports, and puts the image on a partition.
    ///
    /// # Errors
    /// [`VmError`]: a missing tool, an image that can't be read, a port that is taken.
    pub fn prepare(config: &VmConfig) -> Result<Self, VmError> {
        let qemu = config.places.qemu(config.arch)?;
        let firmware = config.places.firmware(config.arch, &qemu)?;
        let choice = choose(config.acceleration, config.arch, &config.places, &config.temp)?;
        let dir = tempfile::Builder::new().prefix("hoopy-vm-").tempdir_in(&config.temp);
        let dir = dir.map_err(VmError::io("make a directory in", &config.temp))?;
        let disk = match &config.boot {
            Boot::Image(image) => partition(config, image, None, dir.path())?,
            Boot::WithCommandLine(image, line) => partition(config, image, Some(line), dir.path())?,
            Boot::Disk(disk) => disk.clone(),
        };
        let firmware = match &config.platform.variables {
            Some(kept) => firmware.with_kept_variables(kept)?,
            None => firmware.with_private_variables(dir.path())?,
        };
        let (forwards, ports) = take_ports(&config.forwards)?;
        let accelerator = choice.accelerator;
        let mut args = args::machine(&args::Machine { config, firmware: &firmware, accelerator });
        args.push(network::args(config.network, config.nics, &forwards, dir.path())?);
        if config.platform.tpm.is_some() {
            args.push(platform::args(config.arch, dir.path())?);
        }
        let args = args
            .drive("boot", &disk, "raw")?
            .scratch(&config.disks)?
            .identity(config.identity.as_ref())?
            .finish();
        let config = VmConfig { forwards, ..config.clone() };
        Ok(Self { config, qemu, args, choice, dir, ports })
    }

    /// The same machine from the start, with the same ports, after KVM failed.
    ///
    /// # Errors
    /// As [`Vm::prepare`].
    fn anew(&self) -> Result<Self, VmError> {
        Self::prepare(&self.config)
    }

    /// Which accelerator it will run with, and why not with KVM.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// The forwarded ports, with the ports of the host that were chosen.
    pub fn forwards(&self) -> &[Forward] {
        &self.config.forwards
    }

    /// Gives the machine a virtio port of this name. QEMU connects to the other end when it starts.
    ///
    /// # Errors
    /// [`VmError::Io`], [`VmError::PathNotUtf8`].
    pub fn port(&mut self, name: &str) -> Result<UnixListener, VmError> {
        let path = self.dir.path().join(name);
        let listener = UnixListener::bind(&path).map_err(VmError::io("listen at", &path))?;
        self.args.extend(args::port(name, &path)?);
        Ok(listener)
    }

    /// Starts it with its serial console in the hands of the caller. All that it says goes to `log` too. It ends where
    /// it would be reset.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start.
    pub fn console(mut self, log: Option<console::Log>) -> Result<Console, VmError> {
        let qemu = self.start(|command| {
            command.args(shown::SERIAL).arg("-no-reboot").stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        Console::new(qemu, self.dir, log)
    }

    /// Starts it, for the first time or again.
    fn start(&mut self, prepare: impl FnOnce(&mut Command)) -> Result<Qemu, VmError> {
        self.ports.clear();
        let start = Start {
            program: &self.qemu,
            temp: &self.config.temp,
            dir: self.dir.path(),
            accelerator: self.choice.accelerator,
            may_fall_back: self.config.acceleration == Acceleration::Auto,
            silent: Duration::ZERO,
        };
        let (config, dir) = (&self.config, self.dir.path());
        let tpm = config.platform.tpm.as_ref();
        let tpm = tpm.map(|state| platform::start(state, dir, &config.places, &config.temp)).transpose()?;
        let qemu = Qemu::start(&start, |command| {
            command.args(&self.args);
            prepare(command);
        })?;
        Ok(qemu.beside(tpm))
    }
}

fn partition(config: &VmConfig, image: &Path, line: Option<&str>, dir: &Path) -> Result<PathBuf, VmError> {
    let content = partition::Content { arch: config.arch, image, line };
    content.write(config.partition.as_ref(), dir)
}

/// Binds the ports, so that two machines that start at once do not choose the same.
fn take_ports(wanted: &[Forward]) -> Result<(Vec<Forward>, Vec<TcpListener>), VmError> {
    let mut taken = (Vec::new(), Vec::new());
    for forward in wanted {
        let port = |source| VmError::Port { name: forward.name.clone(), port: forward.host, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, forward.host)).map_err(port)?;
        let host = listener.local_addr().map_err(port)?.port();
        taken.0.push(Forward { host, ..forward.clone() });
        taken.1.push(listener);
    }
    Ok(taken)
}
