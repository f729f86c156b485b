//! How long a script and a boot may take.

use std::time::Duration;

use hoopy_vm::Accelerator;

/// Time limits: what the user said, else what is usual with the accelerator of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of a script.
    pub script: Option<Duration>,
    /// Of a boot.
    pub boot: Option<Duration>,
}

impl Limits {
    /// How long a script may run.
    pub(super) fn script(&self, accelerator: Accelerator) -> Duration {
        self.script.unwrap_or(Duration::from_secs(match accelerator {
            Accelerator::Kvm => 60,
            Accelerator::Tcg => 300,
        }))
    }

    /// How long a boot may take.
    pub(super) fn boot(&self, accelerator: Accelerator) -> Duration {
        self.boot.unwrap_or(Duration::from_secs(match accelerator {
            Accelerator::Kvm => 300,
            Accelerator::Tcg => 900,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulated_machine_has_more_time_unless_the_user_says_how_much() {
        let usual = Limits::default();
        assert!(usual.script(Accelerator::Tcg) > usual.script(Accelerator::Kvm));
        assert!(usual.boot(Accelerator::Tcg) > usual.boot(Accelerator::Kvm));
        let four = Some(Duration::from_secs(4));
        let said = Limits { script: four, boot: four };
        for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
            assert_eq!((Some(said.script(accelerator)), Some(said.boot(accelerator))), (four, four));
        }
    }
}
