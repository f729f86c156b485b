//! KVM or not: found out by running a guest.
//!
//! `/dev/kvm` may be there and still be of no use (nested virtualisation that is half there, a kernel without
//! the rights): QEMU then ends at once, or the guest hangs. So a guest of a few instructions is run, which ends
//! the machine in a way that nothing else does.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::process::Guard;
use super::tools::Places;
use crate::arch::Arch;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's translator: works everywhere, ten to thirty times slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// A guest under KVM needs some 50 ms. One that needs longer than this hangs.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// Firmware images are whole multiples of this.
const FIRMWARE_SIZE: usize = 64 << 10;

/// `mov al,42; out 0xf4,al; hlt; jmp .-1`: at the reset vector, 16 bytes below the end of the firmware. QEMU's
/// isa-debug-exit turns the 42 into the exit status 85.
const X86_RESET: [u8; 7] = [0xb0, 0x2a, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd];
const X86_STATUS: i32 = 85;

/// `movz w0,#8; movk w0,#0x8400,lsl 16; hvc #0; b .`: PSCI's SYSTEM_OFF, where execution starts. QEMU ends with 0.
const AARCH64_START: [u32; 4] = [0x5280_0100, 0x72b0_8000, 0xd400_0002, 0x1400_0000];

static KNOWN: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

/// Why a machine does not run under KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKvm {
    /// It is not of the host's architecture.
    OtherArchitecture,
    /// The host has none.
    NoDevice,
    /// The device is there and may not be opened.
    NotAllowed,
    /// The device is there, and a guest does not come to its end under it.
    Broken,
}

impl fmt::Display for NoKvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherArchitecture => "the machine is of another architecture than this one",
            Self::NoDevice => "there is no /dev/kvm here",
            Self::NotAllowed => "/dev/kvm may not be opened: are you in the group kvm?",
            Self::Broken => "/dev/kvm is there, but a guest of a few instructions did not get through",
        })
    }
}

/// Whether a machine of this architecture runs under KVM, tried with files in `temp`. The answer is kept as long as the process runs.
///
/// # Errors
/// Why not: [`Accelerator::Tcg`] remains.
pub fn choose(arch: Arch, qemu: &Path, temp: &Path) -> Result<(), NoKvm> {
    let device = Path::new("/dev/kvm");
    if Arch::host() != Some(arch) {
        return Err(NoKvm::OtherArchitecture);
    }
    if !device.exists() {
        return Err(NoKvm::NoDevice);
    }
    if File::options().read(true).write(true).open(device).is_err() {
        return Err(NoKvm::NotAllowed);
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let works = known.entry(qemu.to_owned()).or_insert_with(|| runs(arch, qemu, temp, Accelerator::Kvm));
    if *works { Ok(()) } else { Err(NoKvm::Broken) }
}

/// How many processors a machine of this architecture gets where nobody said a number: two, as what goes wrong with
/// more than one does so with two. But one where they are emulated one after the other: the second costs a fifth of
/// the time then, and wins nothing.
pub fn usual_cpus(arch: Arch, places: &Places, temp: &Path) -> u32 {
    let emulated = places.qemu(arch).is_ok_and(|qemu| choose(arch, &qemu, temp).is_err());
    if emulated && arch == Arch::X86_64 { 1 } else { 2 }
}

/// The processor that the machine has. Under KVM the host's own, as a guest there is to be as fast as can be.
pub(super) fn machine_args(arch: Arch, accelerator: Accelerator) -> Vec<&'static str> {
    match (arch, accelerator) {
        (Arch::X86_64, Accelerator::Kvm) => vec!["-M", "q35", "-accel", "kvm", "-cpu", "host"],
        // One processor after the other: Linux patches its own code while it boots (arch/x86/kernel/alternative.c),
        // and with a thread each an emulated processor now and then runs half an instruction and panics.
        (Arch::X86_64, Accelerator::Tcg) => vec!["-M", "q35", "-accel", "tcg,thread=single"],
        (Arch::Aarch64, Accelerator::Kvm) => {
            vec!["-M", "virt,gic-version=host", "-accel", "kvm", "-cpu", "host"]
        }
        (Arch::Aarch64, Accelerator::Tcg) => {
            vec!["-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72"]
        }
    }
}

/// Whether a guest of a few instructions comes to its end under this accelerator.
pub fn runs(arch: Arch, qemu: &Path, temp: &Path, accelerator: Accelerator) -> bool {
    let Ok(mut firmware) = tempfile::NamedTempFile::new_in(temp) else { return false };
    if firmware.write_all(&guest(arch)).is_err() {
        return false;
    }
    let Ok(guard) = Guard::new(temp, None) else { return false };
    let mut command = guard.command(qemu);
    command.args(machine_args(arch, accelerator));
    command.args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "64", "-bios"]).arg(firmware.path());
    if arch == Arch::X86_64 {
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut guarded) = guard.spawn(command) else { return false };
    let wanted = if arch == Arch::X86_64 { X86_STATUS } else { 0 };
    let started = Instant::now();
    while started.elapsed() < PROBE_TIME {
        match guarded.child().try_wait() {
            Ok(Some(status)) => return status.code() == Some(wanted),
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return false,
        }
    }
    false
}

fn guest(arch: Arch) -> Vec<u8> {
    let mut firmware = vec![0; FIRMWARE_SIZE];
    let (at, code) = match arch {
        Arch::X86_64 => (FIRMWARE_SIZE - 16, X86_RESET.to_vec()),
        Arch::Aarch64 => (0, AARCH64_START.into_iter().flat_map(u32::to_le_bytes).collect()),
    };
    firmware.splice(at..at + code.len(), code);
    firmware
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::vm::Places;

    #[test]
    fn the_probe_comes_to_its_end_under_an_accelerator_that_works() {
        for arch in Arch::ALL {
            match Places::default().qemu(arch) {
                Ok(qemu) => assert!(runs(arch, &qemu, &std::env::temp_dir(), Accelerator::Tcg), "{arch}"),
                Err(e) => hoopy_testkit::skip(e),
            }
        }
    }

    #[test]
    fn a_kvm_under_which_no_guest_runs_is_not_chosen() {
        // Ends at once and well, as no guest would: what a broken KVM looks like from outside
        let works =
            choose(Arch::host().unwrap_or(Arch::X86_64), Path::new("/bin/true"), &std::env::temp_dir());
        if Path::new("/dev/kvm").exists() {
            assert!(matches!(works, Err(NoKvm::Broken | NoKvm::NotAllowed)), "{works:?}");
        } else {
            assert_eq!(works, Err(NoKvm::NoDevice));
        }
        let other = if Arch::host() == Some(Arch::X86_64) { Arch::Aarch64 } else { Arch::X86_64 };
        assert_eq!(
            choose(other, Path::new("/bin/true"), &std::env::temp_dir()),
            Err(NoKvm::OtherArchitecture)
        );
    }

    #[test]
    fn the_probe_fails_for_a_program_that_only_looks_like_qemu() {
        assert!(!runs(Arch::X86_64, Path::new("/bin/true"), &std::env::temp_dir(), Accelerator::Kvm));
        assert!(!runs(Arch::X86_64, Path::new("/no/such/qemu"), &std::env::temp_dir(), Accelerator::Kvm));
    }
}
