//! What runs a guest's instructions: KVM or TCG, QEMU's options for each, and why a machine does not use KVM.

use std::fmt;

use hoopy_base::arch::Arch;
use serde::Serialize;

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

/// Two processors, since faults that need more than one show with two. But only one where QEMU emulates them in turn: a
/// second one then costs at least a fifth of the time, and gains nothing.
pub(super) fn cpus(arch: Arch, accelerator: Accelerator) -> u32 {
    if accelerator == Accelerator::Tcg && arch == Arch::X86_64 { 1 } else { 2 }
}

/// The machine and its processor. Under KVM that is the host's own, which is fastest.
pub(super) fn machine_args(arch: Arch, accelerator: Accelerator) -> Vec<&'static str> {
    match (arch, accelerator) {
        (Arch::X86_64, Accelerator::Kvm) => vec!["-M", "q35", "-accel", "kvm", "-cpu", "host"],
        // One processor after the other: Linux patches its own code while it boots (arch/x86/kernel/alternative.c),
        // and with a thread each an emulated processor now and then runs half an instruction and panics.
        (Arch::X86_64, Accelerator::Tcg) => vec!["-M", "q35", "-accel", "tcg,thread=single"],
        (Arch::Aarch64 | Arch::Armv7 | Arch::Armhf, Accelerator::Kvm) => {
            vec!["-M", "virt,gic-version=host", "-accel", "kvm", "-cpu", "host"]
        }
        (Arch::Aarch64 | Arch::Armv7 | Arch::Armhf, Accelerator::Tcg) => {
            vec!["-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72"]
        }
    }
}
