//! Whether virtual machines boot here, and how fast.

use hoopy_base::arch::Arch;
use hoopy_vm::{Acceleration, Accelerator, Firmware, NoKvm, Places, VmError, choose};

use super::check::{Check, Subject};
use super::install::Distribution;

/// QEMU and firmware of each architecture, KVM, and the TPM.
pub fn checks(places: &Places, here: &Distribution) -> Vec<Check> {
    let mut checks = Vec::new();
    for arch in Arch::WITH_UKI {
        checks.push(qemu(arch, places, here));
        checks.push(firmware(arch, places, here));
    }
    checks.push(kvm(places, here));
    checks.push(tpm(places, here));
    checks
}

fn qemu(arch: Arch, places: &Places, here: &Distribution) -> Check {
    let subject = Subject::Qemu(arch);
    match places.qemu(arch) {
        Ok(path) => Check::ok(subject, path.display().to_string()),
        Err(error) => lacking(subject, &error, here),
    }
}

fn firmware(arch: Arch, places: &Places, here: &Distribution) -> Check {
    let subject = Subject::Firmware(arch);
    // Where QEMU is absent it brings no firmware of its own
    match places.firmware(arch, &places.qemu(arch).unwrap_or_default()) {
        Ok(Firmware::Flash { code, .. }) => Check::ok(subject, code.display().to_string()),
        Ok(Firmware::Whole(path)) => {
            Check::ok(subject, format!("{}, which forgets its variables", path.display()))
        }
        Err(error) => lacking(subject, &error, here),
    }
}

/// What is missing, with this system's command instead of those of all systems that the error names.
fn lacking(subject: Subject, error: &VmError, here: &Distribution) -> Check {
    let variable = if matches!(subject, Subject::Firmware(_)) { "HOOPY_FIRMWARE" } else { "HOOPY_QEMU" };
    match error {
        VmError::NoQemu { binary, .. } => {
            Check::missing(subject, format!("{binary} is not installed"), here.install_for(error))
        }
        VmError::NoFirmware { .. } => {
            Check::missing(subject, "UEFI firmware is not installed", here.install_for(error))
        }
        VmError::NotThere { path, .. } => {
            let why = format!("{variable} is {}, which is not a file", path.display());
            Check::missing(subject, why, Some(format!("unset {variable}")))
        }
        other => Check::missing(subject, other.to_string(), None),
    }
}

/// Whether KVM carries firmware: a small guest is run.
fn kvm(places: &Places, here: &Distribution) -> Check {
    let Some(arch) = Arch::host() else {
        return Check::missing(Subject::Kvm, "hoopy makes no machines of this architecture", None);
    };
    let only = Acceleration::Only(Accelerator::Kvm);
    let wanted = if places.qemu(arch).is_ok() { Acceleration::Auto } else { only };
    match choose(wanted, arch, places, &super::super::temp()) {
        Ok(choice) => match choice.no_kvm {
            Some(why) => no_kvm(&why, here),
            None if wanted == only => Check::missing(Subject::Kvm, "it cannot be tried without QEMU", None),
            None => Check::ok(Subject::Kvm, "a small guest ran"),
        },
        Err(VmError::NoKvm(why)) => no_kvm(&why, here),
        Err(error) => Check::missing(Subject::Kvm, error.to_string(), None),
    }
}

fn no_kvm(why: &NoKvm, here: &Distribution) -> Check {
    let (why, fix) = match why {
        NoKvm::NotAllowed => ("/dev/kvm may not be opened".to_owned(), Some(here.join_group("kvm"))),
        other @ (NoKvm::NoDevice | NoKvm::Broken(_) | NoKvm::OtherArchitecture) => (other.to_string(), None),
    };
    Check::missing(Subject::Kvm, why, fix)
}

fn tpm(places: &Places, here: &Distribution) -> Check {
    match places.programs.find("swtpm") {
        Some(path) => Check::ok(Subject::Tpm, path.display().to_string()),
        None => {
            let why = "not installed: no `hoopy run --tpm`";
            Check::missing(Subject::Tpm, why, here.install_for(&VmError::NoSwtpm))
        }
    }
}
