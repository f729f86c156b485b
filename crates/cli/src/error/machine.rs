//! Sandboxes and virtual machines on this computer.

use hoopy_build::runner::virtual_machine::MachineError;

use hoopy_disk::mkfs::MkfsError;
use hoopy_sandbox::SandboxError;
use hoopy_testing::{ScriptsError, TestRunError};
use hoopy_vm::error::doubt;
use hoopy_vm::{VmError, WITHOUT_KVM};

use super::ErrorKind::{Failed, Script, System};
use super::store::FULL;
use super::{Class, Classify};

impl Classify for SandboxError {
    fn class(&self) -> Class {
        match self {
            // No script is to blame: layers are unpacked into the store.
            _ if self.is_full() => Failed.hint(FULL),
            Self::ScriptFailed { .. } | Self::Unpack { .. } if self.refused_owner() => Script.hint(
                "the sandbox has the ids 0 to 65535: a script that gives files to others runs with --scripts vm",
            ),
            Self::ScriptFailed { .. } | Self::NoInterpreter { .. } | Self::NoShebang { .. } => Script.into(),
            Self::CannotExecute { .. } => Script.hint(
                "register qemu-user with binfmt_misc (Debian: apt install qemu-user-static binfmt-support), or run \
                 scripts in a virtual machine with --scripts vm",
            ),
            Self::NoSubordinateIds { .. } | Self::NoMapTool { .. } | Self::MapTool { .. } | Self::Restricted(_) => {
                Script.hint("scripts can run in a virtual machine instead: --scripts vm")
            }
            Self::LimitReached { .. } | Self::AroundScript { .. } | Self::TooManyLayers { .. } => Script.into(),
            Self::Machine(error) => error.downcast_ref::<MachineError>().map_or(Script.into(), Classify::class),
            Self::MissingLayer(_)
            | Self::Read { .. }
            | Self::Unpack { .. }
            | Self::Setup { .. }
            | Self::HelperDied { .. }
            | Self::Io { .. } => Script.into(),
        }
    }
}

impl Classify for MachineError {
    fn class(&self) -> Class {
        match self {
            Self::NoKernel | Self::NoShell { .. } => System.into(),
            Self::Layer(error) => error.class(),
            // It is a script that could not be run, and what helps is what helps any machine.
            Self::Vm(error) => Class { kind: Script, hints: error.class().hints },
            Self::TimedOut { facts, .. } => Script.maybe(doubt(facts)),
            Self::Module { .. }
            | Self::Send(_)
            | Self::Io { .. }
            | Self::Ended { .. }
            | Self::Answer(_)
            | Self::Silent { .. }
            | Self::Path(_) => Script.into(),
        }
    }
}

impl Classify for VmError {
    fn class(&self) -> Class {
        match self {
            Self::NoMachines(_) => Failed.hint(
                "run package scripts by qemu-user, registered with binfmt_misc (Debian: apt install qemu-user-static \
                 binfmt-support), without --scripts vm",
            ),
            Self::NoQemu { .. }
            | Self::NoFirmware { .. }
            | Self::NoSwtpm
            | Self::NoVariables
            | Self::NotThere { .. }
            | Self::PathNotUtf8(_)
            | Self::Image { .. }
            | Self::Esp(_)
            | Self::InUse(_)
            | Self::Io { .. }
            | Self::Start { .. }
            | Self::Ended { .. }
            | Self::Type(_) => Failed.into(),
            Self::NoKvm(_) => Failed.hint(WITHOUT_KVM),
            Self::KeptPartition { .. } => {
                Failed.hint("remove the file, and what the machine kept there, to have it made anew")
            }
            Self::Fault { fault, .. } => Failed.maybe(fault.hint()),
            Self::TimedOut { facts, .. } => Failed.maybe(doubt(facts)),
            Self::Mkfs(error) => error.class(),
            Self::Port { .. } => {
                Failed.hint("forward another port with --port HOST:GUEST, or set `run.ports` in hoopy.toml")
            }
        }
    }
}

impl Classify for MkfsError {
    fn class(&self) -> Class {
        match self {
            Self::NoTool { .. } | Self::Failed { .. } => Failed.into(),
            Self::BadSpec { .. } => System.into(),
        }
    }
}

impl Classify for TestRunError {
    fn class(&self) -> Class {
        match self {
            Self::Restore(_) => Failed.into(),
            Self::Vm(error) => error.class(),
            Self::Scripts(error) => error.class(),
            Self::Image { .. } | Self::CommandLine { .. } | Self::Io { .. } => Failed.into(),
        }
    }
}

impl Classify for ScriptsError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. }
            | Self::Name(_)
            | Self::Parts { .. }
            | Self::Twice { .. }
            | Self::TooMuch(_)
            | Self::Pack { .. } => System.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use hoopy_base::digest::LayerId;

    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_a_script() {
        let error = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            let unpack = SandboxError::Unpack {
                id: LayerId::from_bytes([0; 32]),
                message: format!("cannot write usr/bin/a: {source}"),
                kind: source.kind(),
            };
            [unpack, SandboxError::Setup { what: "write usr/bin/a".to_owned(), source }]
        };
        // ENOSPC and EDQUOT (errno(3)).
        for full in error(28).iter().chain(&error(122)) {
            let Class { kind, hints } = full.class();
            assert_eq!((kind, hints), (Failed, vec![FULL.to_owned()]), "{full}");
        }
        for other in &error(13) {
            assert_eq!(other.class().kind, Script, "{other}");
        }
    }
}
