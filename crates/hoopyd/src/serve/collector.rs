//! Looks at the machine in fixed steps, and makes of it what is asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hoopy_boot::monitor::{SCRIPTS, Settings};
use hoopy_boot::status::{Status, Volume};

use super::rings::{EVERY, Rings};
use super::{metrics, page};
use crate::machine::{self, volumes};

/// How often the programs of volumes are asked.
const VOLUMES_EVERY: Duration = Duration::from_secs(60);

/// What was made of one look.
#[derive(Debug, Default)]
pub struct Seen {
    /// The look itself.
    pub status: Status,
    /// `status.json`.
    pub json: Arc<[u8]>,
    /// `/metrics`.
    pub metrics: Arc<[u8]>,
    /// The page.
    pub page: page::Parts,
}

/// Looks.
pub struct Collector {
    root: PathBuf,
    settings: Settings,
    rings: Rings,
    volumes: Vec<Volume>,
    asked: Option<Instant>,
}

impl Collector {
    /// Looks at the machine whose root this is.
    pub fn new(root: &Path, settings: Settings) -> Self {
        Self { root: root.to_owned(), settings, rings: Rings::default(), volumes: Vec::new(), asked: None }
    }

    /// One look.
    pub fn look(&mut self) -> Seen {
        if self.asked.is_none_or(|asked| asked.elapsed() >= VOLUMES_EVERY) {
            self.volumes = volumes::look(&self.root);
            self.asked = Some(Instant::now());
        }
        let status = machine::look(&self.root, &self.settings, &self.volumes);
        self.rings.push(&status);
        let scripts = scripts(&self.root);
        let page = page::parts(&status, &self.rings, &scripts);
        let mut json = serde_json::to_vec_pretty(&status).unwrap_or_default();
        json.push(b'\n');
        let metrics = metrics::text(&status).into_bytes().into();
        Seen { status, json: json.into(), metrics, page }
    }
}

/// The scripts that have a page, `index.sh` not among them.
fn scripts(root: &Path) -> Vec<String> {
    let mut names = machine::names(root, SCRIPTS);
    names.retain(|name| name.ends_with(".sh") && name != "index.sh");
    names
}

/// The last look, for whoever asks.
#[derive(Clone)]
pub struct Shared(Arc<Inside>);

struct Inside {
    collector: Mutex<Collector>,
    seen: Mutex<Arc<Seen>>,
}

impl Shared {
    /// Looks once.
    pub fn new(mut collector: Collector) -> Self {
        let seen = Mutex::new(Arc::new(collector.look()));
        Self(Arc::new(Inside { collector: Mutex::new(collector), seen }))
    }

    /// The last look.
    pub fn seen(&self) -> Arc<Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks once more.
    pub fn look(&self) {
        let seen = Arc::new(self.0.collector.lock().unwrap_or_else(PoisonError::into_inner).look());
        *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Looks for ever.
    pub fn collect_for_ever(&self) {
        loop {
            thread::sleep(Duration::from_secs(EVERY));
            self.look();
        }
    }
}
