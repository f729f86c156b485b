//! Machines that stop by themselves.

use std::fmt;

/// The hint for a machine that KVM stopped.
pub const WITHOUT_KVM: &str = "--accel tcg runs the machine without KVM, which is slower";

/// A machine that stopped by itself: QEMU paused it, or KVM is the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened, and what QEMU said.
    pub what: String,
    /// Whether KVM is the reason.
    pub kvm: bool,
    /// Whether the machine can be started again under TCG.
    pub falls_back: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.kvm { "KVM failed: " } else { "" }, self.what)
    }
}

impl Fault {
    /// The message about a machine that is started again under TCG.
    pub fn fall_back(&self) -> String {
        format!("{self}. Starting again with TCG, which is slower")
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        self.kvm.then_some(WITHOUT_KVM)
    }
}
