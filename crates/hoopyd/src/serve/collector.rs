//! Looks at the machine in fixed steps, and makes of it what is asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hoopy_boot::drift::Ignored;
use hoopy_boot::monitor::{SCRIPTS, Settings};
use hoopy_boot::status::{Problem, Severity, Status};

use super::certificate::CertificateFiles;
use super::listen::Unheard;
use super::rings::{EVERY, Rings};
use super::{metrics, page, password};
use crate::http::Certificate;
use crate::machine::{self, Slow, problems};

/// How often the programs of volumes are asked, and the root is walked.
const SLOW_EVERY: Duration = Duration::from_secs(60);

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
    ignored: Ignored,
    slow: Slow,
    asked: Option<Instant>,
    certificate: CertificateFiles,
    unheard: Unheard,
}

impl Collector {
    /// Looks at the machine whose root this is.
    pub fn new(root: &Path, settings: Settings) -> Self {
        Self {
            root: root.to_owned(),
            ignored: machine::expected_changes(root, &settings),
            rings: Rings::default(),
            slow: Slow::default(),
            asked: None,
            certificate: CertificateFiles::new(root, &settings),
            settings,
            unheard: Unheard::default(),
        }
    }

    /// What TLS is spoken with: each look finds whether its files were exchanged.
    pub fn certificate(&self) -> Certificate {
        self.certificate.used()
    }

    /// Where to note what cannot be listened on: each look shows it.
    pub fn unheard(&self) -> Unheard {
        self.unheard.clone()
    }

    /// One look.
    pub fn look(&mut self) -> Seen {
        if self.asked.is_none_or(|asked| asked.elapsed() >= SLOW_EVERY) {
            self.slow = Slow::look(&self.root, &self.ignored);
            self.asked = Some(Instant::now());
        }
        let mut status = machine::look(&self.root, &self.settings, &self.slow);
        problems::add(&mut status, self.problems());
        self.rings.push(&status);
        let scripts = scripts(&self.root);
        let page = page::parts(&status, &self.rings, &scripts);
        let mut json = serde_json::to_vec_pretty(&status).unwrap_or_default();
        json.push(b'\n');
        let metrics = metrics::text(&status).into_bytes().into();
        Seen { status, json: json.into(), metrics, page }
    }

    /// What keeps readers out who should get in.
    fn problems(&mut self) -> Vec<Problem> {
        let problem = |id: &str, what: String, remedy: &str| Problem {
            id: id.to_owned(),
            severity: Severity::Warning,
            what,
            remedy: remedy.to_owned(),
        };
        let tls = self.settings.listen.iter().any(|listen| listen.tls);
        let certificate = tls.then(|| self.certificate.look()).flatten().map(|reason| {
            let remedy =
                "put a certificate into root/etc/hoopy/page.crt and hoopy secret set etc/hoopy/page.key";
            problem("certificate", format!("The page has no certificate that it can use ({reason})"), remedy)
        });
        let ends = tls.then(|| self.certificate.ends(machine::now())).flatten().map(|what| {
            problem("certificate-ends", what, "put a new one into root/etc/hoopy/page.crt, and its key")
        });
        let password =
            self.settings.password.then(|| password::problem(&self.root)).flatten().map(|reason| {
                let remedy = "run openssl passwd -6 | hoopy secret set etc/hoopy/page.password";
                problem("password", format!("The page has no password that it can use ({reason})"), remedy)
            });
        let unheard = self.unheard.all().into_iter().map(|(place, reason)| {
            let remedy = "look what else listens there, or correct `listen` under [monitor] in hoopy.toml";
            problem(
                &format!("listen {place}"),
                format!("The page cannot be reached at {place} ({reason})"),
                remedy,
            )
        });
        [certificate, ends, password].into_iter().flatten().chain(unheard).collect()
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
pub struct Shared(Arc<State>);

struct State {
    collector: Mutex<Collector>,
    seen: Mutex<Arc<Seen>>,
}

impl Shared {
    /// Looks once.
    pub fn new(mut collector: Collector) -> Self {
        let seen = Mutex::new(Arc::new(collector.look()));
        Self(Arc::new(State { collector: Mutex::new(collector), seen }))
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

    /// Looks once more, at volumes too: one was unlocked.
    pub fn look_at_volumes(&self) {
        self.0.collector.lock().unwrap_or_else(PoisonError::into_inner).asked = None;
        self.look();
    }

    /// Looks for ever.
    pub fn collect_for_ever(&self) {
        loop {
            thread::sleep(Duration::from_secs(EVERY));
            self.look();
        }
    }
}
