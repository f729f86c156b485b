//! Scripts in the sandbox of this machine.

use std::sync::{Mutex, PoisonError};

use crate::layer::{Kind, Layer};
use crate::parallel;
use crate::sandbox::{Captured, Sandbox, SandboxError, Script, Session};
use crate::stack::Runner;
use crate::store::Store;

/// Runs scripts in the sandbox; layers are unpacked when the first script needs them.
#[derive(Debug)]
pub struct Native {
    sandbox: Sandbox,
    sessions: Vec<Session>,
}

impl Native {
    /// Over `sandbox`. Nothing is started before a script runs.
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox, sessions: Vec::new() }
    }

    /// Unpacks what no build of this boot has unpacked yet, on every core: a session each.
    fn unpack(&mut self, layers: &[Layer], store: &Store) -> Result<(), SandboxError> {
        let first = &self.sessions[0];
        let missing: Vec<&Layer> = layers.iter().filter(|l| !first.has(l.id)).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        while self.sessions.len() < cores.min(missing.len()) {
            self.sessions.push(self.sandbox.session()?);
        }
        let pool = Mutex::new(std::mem::take(&mut self.sessions));
        let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
        let result = parallel::map(&missing, |layer| {
            let Some(mut session) = lock().pop() else { return Ok(()) };
            let result = unpack_one(&mut session, layer, store);
            lock().push(session);
            result
        });
        self.sessions = pool.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.map(|_| ())
    }
}

fn unpack_one(session: &mut Session, layer: &Layer, store: &Store) -> Result<(), SandboxError> {
    session.unpack(layer.id, &mut |writer| {
        let streamed = layer.stream(store, &mut |entry, content| {
            // A user namespace may not make device nodes, and scripts get a /dev of their own.
            if matches!(entry.kind, Kind::Char { .. } | Kind::Block { .. }) {
                return Ok(());
            }
            writer.entry(entry, content)
        });
        streamed.map_err(std::io::Error::other)
    })
}

impl Runner for Native {
    fn run(&mut self, layers: &[Layer], store: &Store, script: &Script) -> Result<Captured, SandboxError> {
        if self.sessions.is_empty() {
            self.sessions.push(self.sandbox.session()?);
        }
        self.unpack(layers, store)?;
        let ids: Vec<_> = layers.iter().map(|l| l.id).collect();
        self.sessions[0].run(&ids, script)
    }
}
