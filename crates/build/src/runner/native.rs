//! Scripts in the sandbox of this machine.

use std::sync::{Arc, Mutex, PoisonError};

use hoopy_base::jobs::{Jobs, Task};
use hoopy_sandbox::{Captured, Lowers, Sandbox, SandboxError, Script, Session};
use hoopy_store::layer::Layer;
use hoopy_store::layer::package::Package;

use super::prefetch::LayerPrefetch;
use super::unpack::unpack_one;
use crate::context::Context;
use crate::stack::Runner;

/// Runs scripts in the sandbox; layers are unpacked when the first script needs them.
#[derive(Debug)]
pub struct Native {
    sandbox: Arc<Sandbox>,
    /// The first session, being started before a script needs it.
    starting: Option<Task<Option<Session>>>,
    sessions: Vec<Session>,
    prefetch: LayerPrefetch,
    /// Removes what the scripts left.
    ending: Vec<Task<()>>,
}

impl Native {
    /// Over `sandbox`. Nothing is started before a script is expected.
    pub fn new(sandbox: Sandbox) -> Self {
        let (sessions, ending) = (Vec::new(), Vec::new());
        Self {
            sandbox: Arc::new(sandbox),
            starting: None,
            sessions,
            prefetch: LayerPrefetch::default(),
            ending,
        }
    }

    /// The session that was started, or a new one: why there is none is reported where a script needs it.
    fn first_session(&mut self) -> Result<Session, SandboxError> {
        let started = self.starting.take().and_then(Task::wait);
        started.map_or_else(|| self.sandbox.session(), Ok)
    }

    /// Unpacks what no build of this boot has unpacked yet, on every core: a session each.
    fn unpack(&mut self, layers: &[Layer], context: Context<'_>) -> Result<(), SandboxError> {
        self.prefetch.leave(layers, &self.sandbox, context);
        let first = &self.sessions[0];
        let missing: Vec<&Layer> = layers.iter().filter(|l| !first.has(l.id)).collect();
        while self.sessions.len() < context.jobs.cores().min(missing.len()) {
            self.sessions.push(self.sandbox.session()?);
        }
        let pool = Mutex::new(std::mem::take(&mut self.sessions));
        let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
        let result = context.jobs.map(&missing, |layer| {
            let Some(mut session) = lock().pop() else { return Ok(()) };
            let result = unpack_one(&mut session, layer, context.store);
            lock().push(session);
            result
        });
        self.sessions = pool.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.map(|_| ())
    }
}

impl Runner for Native {
    fn expect(&mut self, jobs: &Jobs) {
        if self.sessions.is_empty() && self.starting.is_none() {
            let sandbox = Arc::clone(&self.sandbox);
            self.starting = Some(jobs.begin_io("start of scripts", move |_| sandbox.session().ok()));
        }
    }

    fn prepare(&mut self, packages: &[Arc<Package>], epoch: u64) {
        self.prefetch = LayerPrefetch::of(packages, epoch);
    }

    fn run(
        &mut self,
        layers: &[Layer],
        script: &Script,
        context: Context<'_>,
    ) -> Result<Captured, SandboxError> {
        if self.sessions.is_empty() {
            let first = self.first_session()?;
            self.sessions.push(first);
        }
        self.unpack(layers, context)?;
        let lowers = Lowers::of(layers.iter().map(|layer| (layer.id, &*layer.entries)))?;
        self.sessions[0].run(&lowers, script)
    }

    fn end(&mut self, jobs: &Jobs) {
        let (sessions, starting) = (std::mem::take(&mut self.sessions), self.starting.take());
        let mut prefetch = std::mem::take(&mut self.prefetch);
        self.ending.push(jobs.begin_io("end of scripts", move |_| {
            drop((prefetch.end(), sessions, starting.map(Task::wait)));
        }));
    }
}
