//! Scripts in the sandbox of this machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use hoopy_base::jobs as parallel;
use hoopy_base::report::spans;
use hoopy_sandbox::{Captured, Lowers, Sandbox, SandboxError, Script, Session};
use hoopy_store::Store;
use hoopy_store::layer::Layer;
use hoopy_store::layer::package::Package;

use super::ahead::Ahead;
use crate::stack::{Beside, Runner, expected};

/// Runs scripts in the sandbox; layers are unpacked when the first script needs them.
#[derive(Debug)]
pub struct Native {
    sandbox: Arc<Sandbox>,
    /// The first session, being started before a script needs it.
    starting: Option<JoinHandle<Option<Session>>>,
    sessions: Vec<Session>,
    ahead: Arc<Ahead>,
    /// Removes what the scripts left.
    ending: Vec<JoinHandle<()>>,
}

impl Native {
    /// Over `sandbox`. Nothing is started before a script is expected.
    pub fn new(sandbox: Sandbox) -> Self {
        let (sessions, ending) = (Vec::new(), Vec::new());
        Self { sandbox: Arc::new(sandbox), starting: None, sessions, ahead: Arc::default(), ending }
    }

    /// The session that was started, or a new one: why there is none is told where a script needs it.
    fn first_session(&mut self) -> Result<Session, SandboxError> {
        let started = self.starting.take().and_then(|starting| starting.join().ok().flatten());
        started.map_or_else(|| self.sandbox.session(), Ok)
    }

    /// Unpacks what no build of this boot has unpacked yet, on every core: a session each.
    fn unpack(&mut self, layers: &[Layer], store: &Store) -> Result<(), SandboxError> {
        self.ahead.leave(layers);
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

/// Unpacks `layer` out of the store: by the kernel alone, from file to file, where the contents need not be looked at
/// on the way. Where that cannot be, as when only one of this user's groups may read the store, they go through a pipe.
pub(super) fn unpack_one(session: &mut Session, layer: &Layer, store: &Store) -> Result<(), SandboxError> {
    let _span = spans::span(spans::Work::Unpack, || spans::What::Layers(vec![layer.id]));
    let contents = layer.vouched(store).and_then(|path| std::fs::canonicalize(path).ok());
    let copied = contents.map(|contents| {
        session.unpack_from(layer.id, Some(&contents), &mut |writer| {
            let mut entries = layer.places();
            entries.try_for_each(|(entry, place)| writer.placed(entry, place))
        })
    });
    match copied {
        None | Some(Err(SandboxError::Unpack { .. })) => {}
        Some(done) => return done,
    }
    session.unpack(layer.id, &mut |writer| {
        let streamed = layer.stream(store, &mut |entry, content| writer.entry(entry, content));
        streamed.map_err(std::io::Error::other)
    })
}

impl Runner for Native {
    fn expect(&mut self) {
        if self.sessions.is_empty() && self.starting.is_none() {
            let sandbox = self.sandbox.clone();
            let starting = thread::Builder::new().name("start of scripts".to_owned());
            self.starting = starting.spawn(move || sandbox.session().ok()).ok();
        }
    }

    fn prepare<'a>(&mut self, packages: &[Arc<Package>], epoch: u64, store: &'a Store) -> Option<Beside<'a>> {
        self.ahead = Arc::default();
        let (ahead, sandbox, ended) = (self.ahead.clone(), self.sandbox.clone(), self.ahead.clone());
        let packages = packages.to_vec();
        let work = Box::new(move || ahead.work(|| expected(&packages, epoch), &sandbox, store));
        Some(Beside { work, end: Box::new(move || ended.end()) })
    }

    fn run(&mut self, layers: &[Layer], store: &Store, script: &Script) -> Result<Captured, SandboxError> {
        if self.sessions.is_empty() {
            let first = self.first_session()?;
            self.sessions.push(first);
        }
        self.unpack(layers, store)?;
        let lowers = Lowers::of(layers.iter().map(|layer| (layer.id, &*layer.entries)))?;
        self.sessions[0].run(&lowers, script)
    }

    fn end(&mut self) {
        let (sessions, starting) = (std::mem::take(&mut self.sessions), self.starting.take());
        let end = move || drop((sessions, starting.map(JoinHandle::join)));
        // Where no thread can be had, they end here and now
        let ending = thread::Builder::new().name("end of scripts".to_owned()).spawn(end);
        self.ending.extend(ending);
    }
}

impl Drop for Native {
    /// Nothing is left behind.
    fn drop(&mut self) {
        if self.starting.is_some() || !self.sessions.is_empty() {
            self.end();
        }
        for ending in self.ending.drain(..) {
            let _ = ending.join();
        }
    }
}
