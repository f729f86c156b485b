//! KVM or TCG.
//!
//! `/dev/kvm` may be there and still be of no use, or of use for simple guests alone. So a guest that does what
//! firmware does is run under it first ([`super::probe`]); and where a real machine stops under KVM all the same,
//! that is remembered ([`remember_failure`]), so that the machine started next runs under TCG. Both are remembered as
//! long as the process runs, and no longer: the answer depends on QEMU, the kernel, and the computer below this one,
//! which can change under a file that was written down, and asking again costs 50 ms.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::error::VmError;
use super::probe;
use super::tools::Places;
use crate::arch::Arch;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
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

/// Which accelerator is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acceleration {
    /// KVM where it works, else TCG; and TCG after a machine that stopped under KVM.
    #[default]
    Auto,
    /// This one and no other.
    Only(Accelerator),
}

/// The accelerator of a machine. Shown, it says why it is not KVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// Why it is not KVM, where that had to be found out.
    pub no_kvm: Option<NoKvm>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.no_kvm {
            None => write!(f, "accelerator: {}", self.accelerator),
            Some(why) => write!(f, "accelerator: {} ({why})", self.accelerator),
        }
    }
}

/// Why a machine does not run under KVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKvm {
    /// It is not of the host's architecture.
    OtherArchitecture,
    /// The host has none.
    NoDevice,
    /// The device is there and may not be opened.
    NotAllowed,
    /// The device is there, and machines stop under it: what QEMU said.
    Broken(String),
}

impl fmt::Display for NoKvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherArchitecture => f.write_str("KVM cannot run machines of another architecture"),
            Self::NoDevice => f.write_str("this computer has no /dev/kvm"),
            Self::NotAllowed => f.write_str("/dev/kvm cannot be opened: are you in the group kvm?"),
            Self::Broken(why) => write!(f, "KVM does not work here: {why}"),
        }
    }
}

/// Whether KVM works, by QEMU program.
static KNOWN: Mutex<BTreeMap<PathBuf, Result<(), String>>> = Mutex::new(BTreeMap::new());

fn known() -> MutexGuard<'static, BTreeMap<PathBuf, Result<(), String>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a machine of this QEMU stopped under KVM: [`Acceleration::Auto`] means TCG from now on.
pub(super) fn remember_failure(qemu: &Path, why: &str) {
    known().insert(qemu.to_owned(), Err(why.to_owned()));
}

/// The accelerator for a machine of this architecture. KVM is tried with files in `temp`.
///
/// # Errors
/// [`VmError::NoKvm`] where KVM alone is wanted and there is none; no QEMU.
pub fn choose(wanted: Acceleration, arch: Arch, places: &Places, temp: &Path) -> Result<Choice, VmError> {
    let chosen = |accelerator, no_kvm| Choice { accelerator, no_kvm };
    match wanted {
        Acceleration::Only(Accelerator::Tcg) => Ok(chosen(Accelerator::Tcg, None)),
        // Not tried: the machine itself will show what is wrong
        Acceleration::Only(Accelerator::Kvm) => {
            available(arch, places).map(|()| chosen(Accelerator::Kvm, None)).map_err(VmError::NoKvm)
        }
        Acceleration::Auto => Ok(match works(arch, places, &places.qemu(arch)?, temp) {
            Ok(()) => chosen(Accelerator::Kvm, None),
            Err(why) => chosen(Accelerator::Tcg, Some(why)),
        }),
    }
}

/// Whether there is a KVM for machines of this architecture that may be used.
fn available(arch: Arch, places: &Places) -> Result<(), NoKvm> {
    let device = places.kvm.as_deref().unwrap_or(Path::new("/dev/kvm"));
    if Arch::host() != Some(arch) {
        return Err(NoKvm::OtherArchitecture);
    }
    if !device.exists() {
        return Err(NoKvm::NoDevice);
    }
    File::options().read(true).write(true).open(device).map(drop).map_err(|_| NoKvm::NotAllowed)
}

fn works(arch: Arch, places: &Places, qemu: &Path, temp: &Path) -> Result<(), NoKvm> {
    available(arch, places)?;
    let mut known = known();
    let run = || probe::run(arch, qemu, temp, Accelerator::Kvm);
    known.entry(qemu.to_owned()).or_insert_with(run).clone().map_err(NoKvm::Broken)
}

/// How many processors a machine of this architecture gets where nobody said a number: see [`cpus`].
///
/// # Errors
/// No QEMU, and as [`choose`].
pub fn usual_cpus(wanted: Acceleration, arch: Arch, places: &Places, temp: &Path) -> Result<u32, VmError> {
    Ok(cpus(arch, choose(wanted, arch, places, temp)?.accelerator))
}

/// Two processors, as what goes wrong with more than one does so with two. But one where they are emulated one after
/// the other: the second costs a fifth of the time and more then, and wins nothing.
pub(super) fn cpus(arch: Arch, accelerator: Accelerator) -> u32 {
    if accelerator == Accelerator::Tcg && arch == Arch::X86_64 { 1 } else { 2 }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const AUTO: Acceleration = Acceleration::Auto;
    const KVM: Acceleration = Acceleration::Only(Accelerator::Kvm);

    /// A program for QEMU, and a file for the device.
    fn places(program: &str, kvm: &Path) -> Places {
        Places { qemu: Some(program.into()), kvm: Some(kvm.to_owned()), path: vec![], firmware: None }
    }

    fn choice(wanted: Acceleration, arch: Arch, places: &Places) -> String {
        let choice = choose(wanted, arch, places, &std::env::temp_dir());
        choice.map_or_else(|e| e.to_string(), |choice| choice.to_string())
    }

    #[test]
    fn a_kvm_under_which_no_guest_runs_is_not_chosen() {
        let (device, arch) = (tempfile::NamedTempFile::new().unwrap(), Arch::host().unwrap_or(Arch::X86_64));
        // Ends at once, as no guest would: what a broken KVM looks like from outside
        let broken = choice(AUTO, arch, &places("/bin/false", device.path()));
        let why = "KVM does not work here: QEMU ended by itself (exit status: 1)";
        assert_eq!(broken, format!("accelerator: TCG ({why})"));
        let none = places("/bin/false", Path::new("/no/such/device"));
        assert_eq!(choice(AUTO, arch, &none), "accelerator: TCG (this computer has no /dev/kvm)");
        assert_eq!(choice(KVM, arch, &none), "KVM cannot be used: this computer has no /dev/kvm");
    }

    #[test]
    fn a_machine_of_another_architecture_is_emulated_or_refused() {
        let other = if Arch::host() == Some(Arch::X86_64) { Arch::Aarch64 } else { Arch::X86_64 };
        let places = places("/bin/false", Path::new("/dev/null"));
        let why = "KVM cannot run machines of another architecture";
        assert_eq!(choice(AUTO, other, &places), format!("accelerator: TCG ({why})"));
        assert_eq!(choice(KVM, other, &places), format!("KVM cannot be used: {why}"));
    }

    #[test]
    fn after_a_machine_that_stopped_under_kvm_the_next_is_emulated() {
        let (device, arch) = (tempfile::NamedTempFile::new().unwrap(), Arch::host().unwrap_or(Arch::X86_64));
        remember_failure(Path::new("/usr/bin/env"), "KVM internal error. Suberror: 1");
        let emulated = choice(AUTO, arch, &places("/usr/bin/env", device.path()));
        let why = "KVM does not work here: KVM internal error. Suberror: 1";
        assert_eq!(emulated, format!("accelerator: TCG ({why})"));
    }
}
