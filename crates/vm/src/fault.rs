//! Machines that stop by themselves.

use std::fmt;

/// What to do where KVM is the reason.
pub const WITHOUT_KVM: &str = "--accel tcg runs the machine without KVM, which is slower";

/// A machine that stopped by itself: QEMU paused it, or KVM is the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened, and what QEMU said.
    pub what: String,
    /// Whether KVM is the reason.
    pub kvm: bool,
    /// Whether the machine, prepared anew, would run under TCG.
    pub falls_back: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.kvm { "KVM failed: " } else { "" }, self.what)
    }
}

impl Fault {
    /// What is told of a machine that is started again under TCG.
    pub fn fall_back(&self) -> String {
        format!("{self}. Starting again with TCG, which is slower")
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        self.kvm.then_some(WITHOUT_KVM)
    }
}
