//! A machine whose serial console is on this process's terminal.

use std::process::ExitStatus;
use std::time::Duration;

use super::error::VmError;
use super::qemu::{End, Qemu};
use super::{Accelerator, Vm, process};

/// The serial console alone: no key means something to QEMU itself.
pub(super) const SERIAL: &[&str] = &["-serial", "stdio", "-monitor", "none"];

/// With QEMU's own monitor: Ctrl-A X ends it, Ctrl-A H shows help.
const SERIAL_AND_MONITOR: &[&str] = &["-serial", "mon:stdio"];

/// How often to check whether the machine has ended.
const TICK: Duration = Duration::from_millis(50);

impl Vm {
    /// Runs it with its serial console on this process's terminal until it ends. Ctrl-A X ends it, Ctrl-A H
    /// shows help. The terminal is put back as it was. `tell` hears of a machine that was started again under TCG, and
    /// what QEMU said.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start; [`VmError::Fault`] and [`VmError::Ended`] where it stops by itself.
    pub fn interact(self, tell: &mut dyn FnMut(&str)) -> Result<ExitStatus, VmError> {
        let mut shown = Shown::start(self, SERIAL_AND_MONITOR)?;
        loop {
            if let Some(status) = shown.ended(tell)? {
                return Ok(status);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Starts it with its serial console on this process's terminal, while the caller does something else. Ctrl-C
    /// ends the machine, and this process.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start.
    pub fn show(self) -> Result<Shown, VmError> {
        Shown::start(self, SERIAL)
    }
}

/// A machine whose console is on the terminal. It ends when this is dropped, and the terminal is as it was.
#[derive(Debug)]
pub struct Shown {
    /// Ended before the terminal is put back.
    qemu: Option<Qemu>,
    terminal: process::Terminal,
    vm: Vm,
    console: &'static [&'static str],
}

impl Shown {
    fn start(mut vm: Vm, console: &'static [&'static str]) -> Result<Self, VmError> {
        let terminal = process::Terminal::keep();
        Ok(Self { qemu: Some(start(&mut vm, console)?), terminal, vm, console })
    }

    /// How it ended, if it did. A machine that was reset is started again. So is one that stopped under KVM when KVM was
    /// not asked for: `tell` gets a message about that, and what QEMU said.
    ///
    /// # Errors
    /// [`VmError::Start`] when QEMU does not start again; [`VmError::Fault`] and [`VmError::Ended`] where it stopped by
    /// itself.
    pub fn ended(&mut self, tell: &mut dyn FnMut(&str)) -> Result<Option<ExitStatus>, VmError> {
        let Some(qemu) = &mut self.qemu else { return Ok(None) };
        let Some(end) = qemu.end() else { return Ok(None) };
        if let Some(fault) = qemu.fault() {
            // It has the ports, and the terminal
            self.qemu = None;
            self.terminal.put_back();
            if !fault.falls_back {
                return Err(VmError::Fault { fault, tail: String::new() });
            }
            tell(&fault.fall_back());
            self.vm = self.vm.anew()?;
        } else {
            let words = qemu.said();
            match end {
                End::Off(status) => {
                    if !words.is_empty() {
                        tell(&words);
                    }
                    return Ok(Some(status));
                }
                End::Died(status) => {
                    let status = status.to_string();
                    return Err(VmError::Ended { status, wanted: None, words, tail: String::new() });
                }
                End::Reset | End::Paused(_) => {}
            }
        }
        self.qemu = Some(start(&mut self.vm, self.console)?);
        Ok(None)
    }
}

fn start(vm: &mut Vm, console: &[&str]) -> Result<Qemu, VmError> {
    let emulated = vm.choice.accelerator == Accelerator::Tcg;
    vm.start(|command| {
        command.args(console);
        if emulated {
            command.arg("-no-reboot");
        }
    })
}
