//! Boots the very file that was built: QEMU, UEFI firmware, and a partition that holds the image under the name
//! that firmware starts from removable media.
//!
//! ```text
//! VmConfig ──▶ Vm::prepare ──▶ Vm::interact   serial console on the terminal, Ctrl-A X ends it
//!              tools, KVM or   Vm::console    serial console in a Console: wait for text, type lines
//!              TCG, ports, ESP
//! ```
//!
//! Nothing outlives the caller: see [`process`].

pub mod accel;
pub mod args;
pub mod console;
pub mod error;
pub mod network;
pub mod process;
mod reset;
pub mod scratch;
pub mod tools;

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use hoopy_base::arch::Arch;
use hoopy_boot::layout;
use hoopy_disk::esp::{self, Item, Volume};
use hoopy_uki::{Replaced, Section};
use reset::Resets;
use tempfile::TempDir;

pub use accel::{Accelerator, NoKvm, usual_cpus};
pub use console::Console;
pub use error::VmError;
pub use network::Network;
pub use scratch::ScratchDisk;
pub use tools::{Firmware, Places};

/// What is left free on the partition, so that a deploy can be tried from inside: one more image of usual size.
const ESP_SPARE: u64 = 128 << 20;

/// A port of the guest that is reachable from the host, on 127.0.0.1 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// What it is called when it is shown: `SSH`, `HTTP`.
    pub name: String,
    /// The port in the guest.
    pub guest: u16,
    /// The port on the host; 0 for any free one.
    pub host: u16,
}

/// Which accelerator is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acceleration {
    /// KVM where a guest really runs under it, else TCG.
    #[default]
    Auto,
    /// This one, without asking.
    Only(Accelerator),
}

/// What a machine boots.
#[derive(Debug, Clone)]
pub enum Boot {
    /// This unified kernel image, from a partition made for it and gone with the machine.
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
    /// How many processors.
    pub cpus: u32,
    /// Ports to forward.
    pub forwards: Vec<Forward>,
    /// What it reaches.
    pub network: Network,
    /// Disks beside the one that it boots from.
    pub disks: Vec<ScratchDisk>,
    /// Which accelerator.
    pub acceleration: Acceleration,
    /// Where QEMU and firmware are.
    pub places: Places,
    /// Where the machine's temporary directory is made: one that holds the image once more.
    pub temp: PathBuf,
}

/// A machine, ready to be started.
#[derive(Debug)]
pub struct Vm {
    qemu: PathBuf,
    args: Vec<String>,
    accelerator: Accelerator,
    no_kvm: Option<NoKvm>,
    forwards: Vec<Forward>,
    temp: PathBuf,
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
        let (accelerator, no_kvm) = match config.acceleration {
            Acceleration::Auto => match accel::choose(config.arch, &qemu, &config.temp) {
                Ok(()) => (Accelerator::Kvm, None),
                Err(why) => (Accelerator::Tcg, Some(why)),
            },
            Acceleration::Only(accelerator) => (accelerator, None),
        };
        let dir = tempfile::Builder::new().prefix("hoopy-vm-").tempdir_in(&config.temp);
        let dir = dir.map_err(VmError::io("make a directory in", &config.temp))?;
        let disk = match &config.boot {
            Boot::Image(image) => write_esp(config.arch, image, None, dir.path())?,
            Boot::WithCommandLine(image, line) => write_esp(config.arch, image, Some(line), dir.path())?,
            Boot::Disk(disk) => disk.clone(),
        };
        let firmware = firmware.with_private_variables(dir.path())?;
        let (forwards, ports) = take_ports(&config.forwards)?;
        let mut args = args::machine(&args::Machine { config, firmware: &firmware, accelerator });
        args.push(network::args(config.network, &forwards, dir.path())?);
        let args = args.drive("boot", &disk, "raw")?.scratch(&config.disks)?.finish();
        Ok(Self { qemu, args, accelerator, no_kvm, forwards, temp: config.temp.clone(), dir, ports })
    }

    /// Which accelerator it will run with.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// Why it will not run with KVM, where that was for [`Vm::prepare`] to find out.
    pub fn no_kvm(&self) -> Option<NoKvm> {
        self.no_kvm
    }

    /// The forwarded ports, with the ports of the host that were chosen.
    pub fn forwards(&self) -> &[Forward] {
        &self.forwards
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

    /// Runs it with its serial console on this process's terminal until it ends. Ctrl-A X ends it, Ctrl-A H
    /// shows help. The terminal is put back as it was.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start.
    pub fn interact(mut self) -> Result<ExitStatus, VmError> {
        let _terminal = process::Terminal::keep();
        loop {
            let mut running = self.start(&["-serial", "mon:stdio"])?;
            let status = running.guarded.child().wait().map_err(VmError::start(&self.qemu))?;
            if !running.was_reset() {
                return Ok(status);
            }
        }
    }

    /// Starts it with its serial console on this process's terminal, while the caller does something else. Ctrl-C
    /// ends the machine, and this process.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start.
    pub fn show(mut self) -> Result<Shown, VmError> {
        let terminal = process::Terminal::keep();
        Ok(Shown { running: self.start(SHOWN)?, _terminal: terminal, vm: self })
    }

    /// Starts it with its serial console in the hands of the caller. All that it says goes to `log` too. It ends where
    /// it would be reset.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start.
    pub fn console(self, log: Option<File>) -> Result<Console, VmError> {
        let words = self.dir.path().join("qemu.stderr");
        let errors = File::create(&words).map_err(VmError::io("create", &words))?;
        let (guard, mut command) = self.command(SHOWN)?;
        command.arg("-no-reboot");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        drop(self.ports);
        Console::new(guard.spawn(command)?, self.dir, log)
    }

    fn command(&self, console: &[&str]) -> Result<(process::Guard, Command), VmError> {
        let guard = process::Guard::new(&self.temp, Some(self.dir.path()))?;
        let mut command = guard.command(&self.qemu);
        command.args(&self.args).args(console);
        Ok((guard, command))
    }

    /// Starts it, for the first time or again.
    fn start(&mut self, console: &[&str]) -> Result<Running, VmError> {
        let (guard, mut command) = self.command(console)?;
        let mut resets = None;
        if self.accelerator == Accelerator::Tcg {
            let path = self.dir.path().join("events");
            command.args(Resets::args(&path)?);
            resets = Some(Resets::listen(path)?);
        }
        self.ports.clear();
        Ok(Running { guarded: guard.spawn(command)?, resets })
    }
}

/// QEMU, as long as it runs.
#[derive(Debug)]
struct Running {
    guarded: process::Guarded,
    resets: Option<Resets>,
}

impl Running {
    /// Whether the machine, whose QEMU has ended, was reset and is to be started again.
    fn was_reset(&mut self) -> bool {
        self.resets.take().is_some_and(Resets::was_reset)
    }
}

/// How a machine is shown: no key means something to QEMU itself.
const SHOWN: &[&str] = &["-serial", "stdio", "-monitor", "none"];

/// A machine whose console is on the terminal. It ends when this is dropped, and the terminal is as it was.
#[derive(Debug)]
pub struct Shown {
    /// Ended before the terminal is put back.
    running: Running,
    _terminal: process::Terminal,
    vm: Vm,
}

impl Shown {
    /// Whether it has ended by itself. One that was reset is started again.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start again.
    pub fn has_ended(&mut self) -> Result<bool, VmError> {
        if !self.running.guarded.child().try_wait().is_ok_and(|status| status.is_some()) {
            return Ok(false);
        }
        if !self.running.was_reset() {
            return Ok(true);
        }
        self.running = self.vm.start(SHOWN)?;
        Ok(false)
    }
}

/// A partition with the image, with another command line where one is given.
fn write_esp(arch: Arch, path: &Path, line: Option<&str>, dir: &Path) -> Result<PathBuf, VmError> {
    let mut image = File::open(path).map_err(VmError::io("open", path))?;
    let Some(line) = line else {
        let size = image.metadata().map_err(VmError::io("read", path))?.len();
        return esp_of(arch, &mut image, size, dir);
    };
    let unusable = |source| VmError::Image { path: path.to_owned(), source };
    let other = Replaced::new(&mut image, Section::Cmdline, line.as_bytes()).map_err(unusable)?;
    let mut content = other.stream(&mut image).map_err(VmError::io("read", path))?;
    esp_of(arch, &mut content, other.size(), dir)
}

fn esp_of(arch: Arch, content: &mut dyn Read, size: u64, dir: &Path) -> Result<PathBuf, VmError> {
    let esp = dir.join("esp.img");
    let out = File::options().read(true).write(true).create_new(true).open(&esp);
    let out = out.map_err(VmError::io("create", &esp))?;
    let volume = Volume { spare: ESP_SPARE, ..Volume::default() };
    esp::write(&out, &volume, &mut [Item { path: layout::started(arch), size, content }])?;
    Ok(esp)
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
