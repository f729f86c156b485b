//! The plug of a machine: QEMU, started anew whenever the machine reboots, and gone at once when the plug is pulled.
//!
//! QEMU ends where the machine reboots (`ship/vm/qemu.rs` tells why), and is started again with its disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hoopy_base::arch::Arch;
use hoopy_vm::{Boot, Forward, Places, Platform, Vm, VmConfig};

/// How often somebody looks whether the plug is pulled: so exact are the instants of power cuts. Each look costs a
/// search through what the console said.
const TICK: Duration = Duration::from_millis(25);

/// Keeps a machine running.
pub struct Plug {
    pulled: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
    /// The port at which its ssh is reached.
    pub port: u16,
    /// Those of the other forwards, in their order.
    pub others: Vec<u16>,
}

/// What a machine has beside its disk.
pub struct Hardware {
    /// In bytes.
    pub memory: u64,
    /// A TPM, whose state lies beside the disk. The disk of such a machine enrolls keys.
    pub tpm: bool,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { memory: 512 << 20, tpm: false }
    }
}

impl Plug {
    /// Switches on a machine of this architecture with this disk; what its console says goes to `log`.
    pub fn new(arch: Arch, disk: &Path, treated: &Treated, hardware: &Hardware, log: PathBuf) -> Self {
        let qemu = treated.by_a_qemu(arch, disk);
        let config = VmConfig {
            // Emulated, a second one takes turns with the first (`ship/vm/accel.rs`), and costs a fifth.
            cpus: Some(1),
            places: Places { qemu, ..Places::default() },
            // The kernel's last words are among them.
            platform: Platform {
                variables: Some(disk.with_file_name("firmware")),
                tpm: hardware.tpm.then(|| disk.with_file_name("tpm")),
            },
            ..VmConfig::new(arch, Boot::Disk(disk.to_owned()), hardware.memory)
        };
        Self::of(config, log)
    }

    /// Switches on such a machine, reached by ssh at a port of its own.
    pub fn of(mut config: VmConfig, log: PathBuf) -> Self {
        config.forwards.insert(0, Forward { name: "SSH".to_owned(), guest: 22, host: 0 });
        let first = Vm::prepare(&config).unwrap();
        // The same ones after a reboot: whoever waits for the machine knows no other.
        config.forwards = first.forwards().to_vec();
        let mut ports = config.forwards.iter().map(|forward| forward.host);
        let (port, others) = (ports.next().unwrap(), ports.collect());
        let pulled = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&pulled);
        let running = std::thread::spawn(move || {
            let mut next = Some(first);
            while let Some(vm) = next.take() {
                let log = fs::File::options().create(true).append(true).open(&log).unwrap();
                let mut console = vm.console(Some(Box::new(log))).unwrap();
                while console.wait(TICK).is_err() {
                    if seen.load(Ordering::SeqCst) {
                        return;
                    }
                }
                next = Some(Vm::prepare(&config).unwrap());
            }
        });
        Self { pulled, running: Some(running), port, others }
    }
}

impl Drop for Plug {
    /// QEMU is killed: what the guest gave to its disk is there, what it still held is gone.
    fn drop(&mut self) {
        self.pulled.store(true, Ordering::SeqCst);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// What is done with a machine's disk.
pub enum Treated {
    /// It is read and written.
    Plainly,
    /// It is a stick whose switch says "locked".
    Locked,
    /// All that is written to it is written down in this file too, in order.
    Recorded(PathBuf),
    /// It is started by a BIOS.
    ByBios,
}

impl Treated {
    /// A program that is called like QEMU, and calls it with another line about the disk.
    fn by_a_qemu(&self, arch: Arch, disk: &Path) -> Option<PathBuf> {
        let file = disk.display();
        let drive = match self {
            Self::Plainly => return None,
            Self::ByBios => return Some(without_flash(arch, disk)),
            Self::Locked => "$arg,readonly=on".to_owned(),
            Self::Recorded(log) => {
                fs::write(log, "").unwrap();
                let log = log.display();
                format!(
                    "if=none,id=boot,driver=blklogwrites,file.driver=raw,file.file.driver=file,\
                     file.file.filename={file},log.driver=file,log.filename={log}"
                )
            }
        };
        let qemu = Places::default().qemu(arch).unwrap();
        let qemu = qemu.display();
        let script = format!(
            "#!/bin/sh\nfor arg do\n\tshift\n\tcase $arg in *file={file}) arg={drive} ;; esac\n\
             \tset -- \"$@\" \"$arg\"\ndone\nexec {qemu} \"$@\"\n"
        );
        Some(program(disk, &script))
    }
}

/// Firmware is a drive like others: a QEMU that is told of none takes SeaBIOS.
fn without_flash(arch: Arch, disk: &Path) -> PathBuf {
    let qemu = Places::default().qemu(arch).unwrap();
    let qemu = qemu.display();
    let script = format!(
        "#!/bin/sh\nn=0\nfor arg do\n\tshift\n\tn=$((n + 1))\n\tcase $arg in if=pflash*) arg=if=none,id=none$n ;; esac\n\
         \tset -- \"$@\" \"$arg\"\ndone\nexec {qemu} \"$@\"\n"
    );
    program(disk, &script)
}

/// Writes a program beside the disk.
fn program(disk: &Path, script: &str) -> PathBuf {
    let path = disk.with_file_name("qemu");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
