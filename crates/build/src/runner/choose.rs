//! Where scripts run: in this machine's sandbox where possible, otherwise in a virtual machine.

use std::sync::Arc;

use hoopy_base::jobs::Jobs;
use hoopy_base::report::Event;
use hoopy_sandbox::{Captured, Sandbox, SandboxConfig, SandboxError, Script, binfmt};
use hoopy_store::layer::Layer;
use hoopy_store::layer::package::Package;
use hoopy_vm::VmError;

use super::native::Native;
use super::outside_ids;
use super::virtual_machine::{MachineConfig, MachineError, VirtualMachine};
use crate::context::Context;
use crate::stack::Runner;

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptLocation {
    /// The sandbox, where it runs programs of the architecture and the user may have one; else a virtual machine.
    #[default]
    Auto,
    /// The sandbox, or nothing.
    Native,
    /// A virtual machine.
    VirtualMachine,
}

/// Runs scripts where they can run.
pub struct ScriptRunner {
    native: Option<Native>,
    machine: VirtualMachine,
    /// Whether the machine may take over from the sandbox.
    fall_back: bool,
    /// Why it is the machine, until the user was told.
    why: Option<String>,
    /// What keeps the sandbox from being made: what the user should hear where there is no machine either.
    obstacle: Option<SandboxError>,
}

impl ScriptRunner {
    /// Decides. Nothing is started before a script is expected.
    ///
    /// # Errors
    /// [`SandboxError`] where the sandbox alone is wanted and this user can't have one.
    pub fn new(
        wanted: ScriptLocation,
        sandbox: SandboxConfig,
        machine: MachineConfig,
    ) -> Result<Self, SandboxError> {
        let arch = machine.arch;
        let machine = VirtualMachine::new(machine);
        let fall_back = wanted == ScriptLocation::Auto;
        let mut chosen = Self { native: None, machine, fall_back, why: None, obstacle: None };
        if wanted == ScriptLocation::VirtualMachine {
            chosen.why = Some("as asked for".to_owned());
        } else if fall_back && arch.has_uki() && !binfmt::registered(arch.as_str()) {
            chosen.why = Some(format!("no interpreter for {arch} is registered with binfmt_misc"));
        } else {
            match Sandbox::new(sandbox) {
                Ok(sandbox) => chosen.native = Some(Native::new(sandbox)),
                Err(e) if fall_back && is_obstacle(&e) => chosen.give_up(e),
                Err(e) => return Err(e),
            }
        }
        Ok(chosen)
    }

    fn give_up(&mut self, obstacle: SandboxError) {
        self.native = None;
        self.why = Some(obstacle.to_string());
        self.obstacle = Some(obstacle);
    }
}

/// Whether something keeps this user, on this system, from having a sandbox at all.
fn is_obstacle(error: &SandboxError) -> bool {
    matches!(
        error,
        SandboxError::NoSubordinateIds { .. }
            | SandboxError::NoMapTool { .. }
            | SandboxError::MapTool { .. }
            | SandboxError::Restricted(_)
    )
}

/// Whether there can be no machine for want of QEMU.
fn lacks_qemu(error: &SandboxError) -> bool {
    let SandboxError::Machine(error) = error else { return false };
    matches!(error.downcast_ref(), Some(MachineError::Vm(VmError::NoQemu { .. })))
}

impl Runner for ScriptRunner {
    fn expect(&mut self, jobs: &Jobs) {
        if let Some(native) = &mut self.native {
            native.expect(jobs);
        }
    }

    fn prepare(&mut self, packages: &[Arc<Package>], epoch: u64) {
        self.machine.prepare(packages, epoch);
        if let Some(native) = &mut self.native {
            native.prepare(packages, epoch);
        }
    }

    fn run(
        &mut self,
        layers: &[Layer],
        script: &Script,
        context: Context<'_>,
    ) -> Result<Captured, SandboxError> {
        context.observer.event(Event::Doing(&script.name));
        let _span = tracing::debug_span!("script", what = script.name).entered();
        if let Some(native) = &mut self.native {
            match native.run(layers, script, context) {
                Err(e) if self.fall_back && is_obstacle(&e) => self.give_up(e),
                Err(e) if self.fall_back => {
                    let Some(why) = outside_ids::reason(&e, script) else { return Err(e) };
                    context.observer.event(Event::Note(&why));
                    return match self.machine.run(layers, script, context) {
                        Err(other) if lacks_qemu(&other) => Err(e),
                        done => done,
                    };
                }
                done => return done,
            }
        }
        if let Some(why) = self.why.take() {
            context.observer.event(Event::Note(&format!("scripts run in a virtual machine: {why}")));
        }
        let result = self.machine.run(layers, script, context);
        match (result, self.obstacle.take()) {
            (Err(e), Some(obstacle)) if lacks_qemu(&e) => Err(obstacle),
            (result, _) => result,
        }
    }

    fn end(&mut self, jobs: &Jobs) {
        if let Some(native) = &mut self.native {
            native.end(jobs);
        }
    }
}
