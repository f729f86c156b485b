//! Packages of which hoopy itself takes a file: the EFI stub, the boot loader.

use hoopy_apk::Dependency;
use hoopy_apk::resolve::{Choice, Solution};
use hoopy_base::arch::Arch;
use hoopy_boot::layout::Layout;
use hoopy_lock::Role;

use super::error::{FIRMWARE, LOADER, MakeError, STUB};
use crate::config::System;

/// A package of which hoopy itself takes a file.
#[derive(Debug)]
pub(super) struct Tool {
    role: Role,
    /// The package, and what else it needs that has such files: their names begin with its name.
    name: &'static str,
    /// What asks for it.
    pub wanted: [Dependency; 1],
    /// What is wrong where no repository has it.
    pub missing: fn(Arch) -> MakeError,
}

/// What images of `system` need besides the packages of the root.
pub(super) fn tools(system: &System, arch: Arch) -> Result<Vec<Tool>, MakeError> {
    let tool = |role, name: &'static str, missing: fn(Arch) -> MakeError| {
        let wanted = name.parse().map_err(|_| missing(arch))?;
        Ok::<_, MakeError>(Tool { role, name, wanted: [wanted], missing })
    };
    let mut tools = Vec::new();
    if arch.has_uki() {
        tools.push(tool(Role::Stub, STUB, MakeError::NoStub)?);
    }
    match system.layout {
        // syslinux is installed by this computer's own program, and U-Boot is the board's.
        Layout::Single | Layout::Extlinux => {}
        Layout::Ab => tools.push(tool(Role::Loader, LOADER, MakeError::NoLoader)?),
        Layout::Pi => tools.push(tool(Role::Loader, FIRMWARE, MakeError::NoFirmware)?),
    }
    Ok(tools)
}

/// The packages of the root.
pub(super) fn of_root(root: Solution<'_>) -> Vec<(Role, Choice<'_>)> {
    root.install.into_iter().map(|c| (Role::Root, c)).collect()
}

impl Tool {
    /// Of what the tool would need, the tool alone: only its files are wanted. Alpine has the firmware of a Raspberry Pi
    /// in two packages.
    pub fn of<'a>(&self, solution: Solution<'a>) -> impl Iterator<Item = (Role, Choice<'a>)> {
        let (role, name) = (self.role, self.name);
        let is_part = move |choice: &Choice<'a>| {
            &*choice.record.name == name || (name == FIRMWARE && choice.record.name.starts_with(name))
        };
        solution.install.into_iter().filter(is_part).map(move |choice| (role, choice))
    }
}
