//! Scripts in a small virtual machine: for an architecture that this machine does not run, and for a user who may
//! not make namespaces.
//!
//! ```text
//! hoopy ──virtio port──▶ init.sh      PID 1 of a guest that boots the image's own kernel; one guest a build
//!                          ├─ tree/     the layers so far: only what changed is sent again
//!                          ├─ overlay   tree/ with an empty directory on top
//!                          └─▶ inside.sh ─▶ the script      in namespaces of its own, as in the sandbox
//!       ◀─virtio port── that directory as an archive: what the script changed
//! ```
//!
//! The guest is BusyBox, the kernel and a few modules out of the packages of the lock. What it gives back is what the
//! sandbox captures, but for extended attributes that a script sets: BusyBox cannot read them.

mod answer;
mod base;
mod error;
mod guest;
mod job;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use answer::Failure;
use guest::{Guest, JOB_TIME, STOPPED};
use hoopy_base::arch::Arch;
use hoopy_base::report::Event;
use hoopy_sandbox::failing_line;
use hoopy_sandbox::{Captured, Ended, SandboxError, Script};
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{Entry, EntryPath, Kind, Layer};
use hoopy_store::tree::Tree;
use hoopy_vm::{Acceleration, Choice, Places};

use crate::context::Context;
use crate::stack::Runner;

pub use error::MachineError;

/// Memory of a guest beside what the packages take: the kernel, and what scripts make.
const SPARE: u64 = 1 << 30;

/// How a machine for scripts is made.
#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// Its architecture.
    pub arch: Arch,
    /// Whether any script may have the network.
    pub network: bool,
    /// Which accelerator.
    pub acceleration: Acceleration,
    /// Where QEMU is.
    pub places: Places,
    /// Where its temporary directory is made.
    pub temp: PathBuf,
}

impl MachineConfig {
    fn accelerator(&self) -> Result<Choice, MachineError> {
        Ok(hoopy_vm::choose(self.acceleration, self.arch, &self.places, &self.temp)?)
    }
}

/// Runs scripts in a virtual machine, which is started for the first and ends when this is dropped.
pub struct VirtualMachine {
    config: MachineConfig,
    packages: Vec<Arc<Package>>,
    /// The guest and the tree that it has; none before the first script, nor after a failure.
    guest: Option<(Guest, Tree)>,
    /// Whether the user has heard which accelerator it is.
    introduced: bool,
}

impl VirtualMachine {
    /// Nothing is started before a script runs.
    pub fn new(config: MachineConfig) -> Self {
        Self { config, packages: Vec::new(), guest: None, introduced: false }
    }

    fn memory(&self) -> u64 {
        // The tree, and as much again for what a script changes of it
        SPARE + 2 * self.packages.iter().map(|p| p.layer.unpacked_size()).sum::<u64>()
    }

    fn try_run(
        &mut self,
        tree: Tree,
        script: &Script,
        context: Context<'_>,
    ) -> Result<answer::Answer, MachineError> {
        let store = context.store;
        let memory = self.memory();
        let (mut guest, had) = match self.guest.take() {
            Some(there) => there,
            None => {
                let base = base::find(&self.packages, self.config.network, store)?;
                let choice = self.config.accelerator()?;
                let tell = |text: &str| context.observer.event(Event::Note(text));
                if !std::mem::replace(&mut self.introduced, true) {
                    tell(&choice.to_string());
                }
                (Guest::start(&base, memory, &self.config, choice.accelerator, &tell)?, Tree::default())
            }
        };
        guest.within(JOB_TIME);
        guest.script.clone_from(&script.name);
        send(&mut guest, &had, &tree, store, script)?;
        let answer = answer::read(&mut guest.from, memory, store).map_err(|failure| match failure {
            Failure::Other(error) => error,
            Failure::Pipe(e) => explain(&mut guest, "run a script", e),
        })?;
        guest.expect("end", "run a script")?;
        self.guest = Some((guest, tree));
        Ok(answer)
    }
}

/// Sends a job. A guest that ended meanwhile is the reason why the pipe is broken.
fn send(
    guest: &mut Guest,
    had: &Tree,
    tree: &Tree,
    store: &Store,
    script: &Script,
) -> Result<(), MachineError> {
    let delta = job::delta(had, tree);
    let mut sent = || -> Result<(), MachineError> {
        let what = "send a script to the machine";
        let to = guest.to();
        writeln!(to, "job {}", delta.plans.len()).map_err(MachineError::io(what))?;
        job::send(script, &delta.gone, to).map_err(|e| MachineError::io(what)(io::Error::other(e)))?;
        delta.send(store, to)?;
        if let Some(dir) = &script.bind {
            job::send_directory(dir, &script.hidden, to)?;
        }
        to.flush().map_err(MachineError::io(what))
    };
    sent().map_err(|error| match pipe_failure(&error) {
        Some(kind) => guest.failed("send it a script", &kind.into()),
        None => error,
    })
}

/// The kinds of error that say that the guest hung, or is gone.
const GUEST_ERRORS: [io::ErrorKind; 4] =
    [io::ErrorKind::TimedOut, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof, STOPPED];

fn explain(guest: &mut Guest, doing: &'static str, error: io::Error) -> MachineError {
    if GUEST_ERRORS.contains(&error.kind()) {
        return guest.failed(doing, &error);
    }
    MachineError::io("take what a script changed")(error)
}

/// The failure of the pipe at the bottom of an error, if it is that.
fn pipe_failure(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind.filter(|kind| GUEST_ERRORS.contains(kind)).or_else(|| pipe_failure(error.source()?))
}

impl Runner for VirtualMachine {
    fn prepare(&mut self, packages: &[Arc<Package>], _epoch: u64) {
        self.packages = packages.to_vec();
    }

    fn run(
        &mut self,
        layers: &[Layer],
        script: &Script,
        context: Context<'_>,
    ) -> Result<Captured, SandboxError> {
        check_interpreter(script, &tree(layers))?;
        let mut answer = loop {
            let ended = self.try_run(tree(layers), script, context);
            match ended.as_ref().err().and_then(MachineError::falls_back) {
                Some(why) => context.observer.event(Event::Note(&why)),
                None => break ended.map_err(|e| SandboxError::Machine(Box::new(e)))?,
            }
        };
        let output = answer.captured.output;
        if answer.status == 0 {
            if let Some((_, below)) = &self.guest {
                keep_attributes(&mut answer.captured.entries, below);
            }
            return Ok(Captured { output, ..answer.captured });
        }
        let line = failing_line(&output, &script.name);
        Err(SandboxError::ScriptFailed {
            name: script.name.clone(),
            ended: Ended::Exit(answer.status),
            line,
            output,
        })
    }
}

fn tree(layers: &[Layer]) -> Tree {
    let mut tree = Tree::default();
    layers.iter().for_each(|layer| tree.push(layer.clone()));
    tree
}

/// What BusyBox cannot read is as it was, where the rest of an entry is.
fn keep_attributes(entries: &mut [Entry], below: &Tree) {
    for entry in entries {
        let Some(there) = below.get(&entry.path) else { continue };
        if (&there.kind, &there.user, &there.group) == (&entry.kind, &entry.user, &entry.group) {
            entry.xattrs.clone_from(&there.xattrs);
        }
    }
}

/// The guest's shell only knows that a program could not be started; here it can be said why.
fn check_interpreter(script: &Script, tree: &Tree) -> Result<(), SandboxError> {
    let name = script.name.clone();
    if script.body.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let line = script.body.split(|&b| b == b'\n').next().unwrap_or_default();
    let Some(line) = line.strip_prefix(b"#!") else { return Err(SandboxError::NoShebang { name }) };
    let program = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let found = EntryPath::new(program).ok().and_then(|path| tree.follow(&path).cloned());
    let file = found.is_some_and(|e| matches!(e.kind, Kind::File { .. } | Kind::Hardlink(_)));
    // What lies in the directory that is lent at /mnt is nothing of the tree's
    if file || program.starts_with(b"/mnt/") {
        return Ok(());
    }
    Err(SandboxError::NoInterpreter { name, interpreter: String::from_utf8_lossy(line).trim().to_owned() })
}
