//! KVM or TCG.
//!
//! `/dev/kvm` may be there and still be of no use, or of use for simple guests alone. So a guest that does what
//! firmware does is run under it first ([`super::probe`]); and where a real machine stops under KVM all the same,
//! that is remembered ([`super::kvm::remember_failure`]), so that the machine started next runs under TCG. Both are remembered as
//! long as the process runs, and no longer: the answer depends on QEMU, the kernel, and the computer below this one,
//! which can change under a file that was written down, and asking again costs 50 ms.

use std::fs::File;
use std::path::Path;

use hoopy_base::arch::Arch;

use super::accelerator::{Acceleration, Accelerator, Choice, NoKvm, cpus};
use super::error::VmError;
use super::tools::Places;
use super::{kvm, probe};

/// The accelerator for a machine of this architecture. KVM is tried with files in `temp`.
///
/// # Errors
/// [`VmError::NoKvm`] where KVM alone is wanted and there is none; no QEMU.
pub fn choose(wanted: Acceleration, arch: Arch, places: &Places, temp: &Path) -> Result<Choice, VmError> {
    let chosen = |accelerator, no_kvm| Choice { accelerator, no_kvm };
    match wanted {
        Acceleration::Only(Accelerator::Tcg) => Ok(chosen(Accelerator::Tcg, None)),
        // Not probed: the machine itself will show what is wrong
        Acceleration::Only(Accelerator::Kvm) => {
            available(arch, places).map(|()| chosen(Accelerator::Kvm, None)).map_err(VmError::NoKvm)
        }
        Acceleration::Auto => Ok(match works(arch, places, &places.qemu(arch)?, temp) {
            Ok(()) => chosen(Accelerator::Kvm, None),
            Err(why) => chosen(Accelerator::Tcg, Some(why)),
        }),
    }
}

/// Whether this process can use KVM for machines of this architecture.
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
    kvm::known(qemu, || probe::run(arch, qemu, temp, Accelerator::Kvm)).map_err(NoKvm::Broken)
}

/// How many processors a machine of this architecture gets unless a number is given: two, or one where processors are
/// emulated one after the other.
///
/// # Errors
/// No QEMU, and as [`choose`].
pub fn usual_cpus(wanted: Acceleration, arch: Arch, places: &Places, temp: &Path) -> Result<u32, VmError> {
    Ok(cpus(arch, choose(wanted, arch, places, temp)?.accelerator))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::Places;

    const AUTO: Acceleration = Acceleration::Auto;
    const KVM: Acceleration = Acceleration::Only(Accelerator::Kvm);

    /// A program for QEMU, and a file for the device.
    fn places(program: &str, kvm: &Path) -> Places {
        Places { qemu: Some(program.into()), kvm: Some(kvm.to_owned()), ..Places::default() }
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
        kvm::remember_failure(Path::new("/usr/bin/env"), "KVM internal error. Suberror: 1");
        let emulated = choice(AUTO, arch, &places("/usr/bin/env", device.path()));
        let why = "KVM does not work here: KVM internal error. Suberror: 1";
        assert_eq!(emulated, format!("accelerator: TCG ({why})"));
    }
}
