//! `/unlock/`: volumes are unlocked with a passkey, and passkeys are enrolled.
//!
//! ```text
//! GET  /unlock/             the page
//! GET  /unlock/NAME         how the volume is, and the passkeys that open it
//! POST /unlock/NAME         {"passkey", "first", "second"}: what a passkey made of its nonce. The volume is unlocked with it
//! POST /unlock/NAME/enroll  {"nonce", "first", "second", "credential", "key"}: the key of the volume, encrypted for a passkey
//! ```
//!
//! Passkeys of a volume are the files `/etc/hoopy/passkeys/NAME/*.age`, which are in git with the rest of `root/`. They hold
//! the key of the volume. To enroll is to encrypt, and changes nothing here: whoever does it brings the key along.
//!
//! What comes in is held in memory that is overwritten; [`crate::log`] says who tried what, and never a key.

mod message;
mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hoopy_base::input;
use hoopy_secrets::passkey::{self, Passkey};
use hoopy_secrets::{Plaintext, cipher};

use self::message::{Enroll, Unlock};
pub use self::page::SCRIPT;
use super::STACK;
use super::attempts::Attempts;
use super::collector::Shared;
use crate::http::response::{HTML, TEXT};
use crate::http::{Request, Response};
use crate::machine::volumes::{PASSKEYS, PROGRAMS};
use crate::{log, machine, unlock};

/// How an attempt to unlock went.
#[derive(Debug, Clone)]
enum Progress {
    /// Its program runs.
    Working,
    /// Its program has failed, and this is what it said.
    Failed(String),
}

/// What lies below `/unlock/`.
pub struct Unlocking {
    root: PathBuf,
    shared: Shared,
    progress: Arc<Mutex<BTreeMap<String, Progress>>>,
    attempts: Mutex<Attempts>,
}

impl Unlocking {
    /// For the volumes of the machine whose root this is.
    pub fn new(root: &Path, shared: Shared) -> Self {
        Self { root: root.to_owned(), shared, progress: Arc::default(), attempts: Mutex::default() }
    }

    /// Answers what was asked for below `/unlock/`.
    pub fn answer(&self, path: &str, request: &Request) -> Response {
        let (volume, enroll) = match path.strip_suffix("/enroll") {
            Some(volume) => (volume, true),
            None => (path, false),
        };
        match &request.body {
            None if path.is_empty() => {
                let html = page::html(&self.shared.seen().status.host, &self.volumes());
                Response { status: 200, content_type: HTML, body: html.into_bytes().into() }
            }
            _ if !self.volumes().iter().any(|name| name == volume) => Response::plain(404),
            None if enroll => Response::plain(404),
            None => self.state(volume),
            Some(body) => match (refusal(request), enroll) {
                (Some(response), _) => response,
                // It opens nothing: wrong guesses do not hold it up.
                (None, true) => enrolled(body),
                (None, false) if !self.may_try(request) => {
                    Response::text(429, "too many wrong attempts: try again in a minute")
                }
                (None, false) => self.unlock(volume, body, request),
            },
        }
    }

    fn may_try(&self, request: &Request) -> bool {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.may(request.peer.address, Instant::now())
    }

    /// Those with a program.
    fn volumes(&self) -> Vec<String> {
        let mut names = machine::names(&self.root, PROGRAMS);
        names.retain(|name| !name.starts_with('.'));
        names
    }

    /// The files for passkeys of a volume, by their names without `.age`.
    fn files(&self, volume: &str) -> Vec<(String, Vec<u8>)> {
        let dir = format!("{PASSKEYS}/{volume}");
        let names = machine::names(&self.root, &dir);
        let read = |name: String| {
            let bytes = input::read_up_to(&self.root.join(&dir).join(&name), cipher::MAX_CIPHERTEXT).ok()?;
            Some((name.strip_suffix(".age")?.to_owned(), bytes))
        };
        names.into_iter().filter_map(read).collect()
    }

    fn state(&self, volume: &str) -> Response {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).get(volume).cloned();
        let seen = self.shared.seen();
        let open = seen.status.volumes.iter().find(|seen| seen.name == volume).and_then(|seen| seen.open);
        let passkeys: Vec<(String, Passkey)> = self
            .files(volume)
            .into_iter()
            .flat_map(|(name, bytes)| {
                let all = passkey::passkeys(&bytes).unwrap_or_default();
                all.into_iter().map(move |passkey| (name.clone(), passkey))
            })
            .collect();
        let (state, said) = match (progress, open) {
            (Some(Progress::Working), _) => ("working", String::new()),
            (_, Some(true)) => ("open", String::new()),
            (Some(Progress::Failed(reason)), _) => ("failed", reason),
            (None, Some(false)) => ("locked", String::new()),
            (None, None) => ("unknown", String::new()),
        };
        let json = message::state(volume, state, &said, &passkeys);
        Response { status: 200, content_type: "application/json", body: json.into() }
    }

    fn unlock(&self, volume: &str, body: &[u8], request: &Request) -> Response {
        let from = request.peer.address;
        let Some(Unlock { name, evaluated }) = Unlock::parse(body) else {
            return Response::text(400, "malformed request: expected `passkey`, `first` and `second`");
        };
        let Some((_, sealed)) = self.files(volume).into_iter().find(|(known, _)| *known == name) else {
            return Response::text(404, "this volume has no passkey of that name");
        };
        // No passkey is right for such a file: that is no guess.
        if !passkey::passkeys(&sealed).is_ok_and(|passkeys| !passkeys.is_empty()) {
            return Response::text(
                400,
                &format!("{name}.age is for no passkey: add one again, or remove it"),
            );
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match passkey::decrypt(&sealed, &evaluated) {
            Ok(key) => {
                attempts.right(from);
                log::line(&format!("unlock: {volume} by passkey {name} from {}", from.to_canonical()));
                self.begin(volume, key)
            }
            Err(error) => {
                attempts.wrong(from, Instant::now());
                log::line(&format!(
                    "unlock: {volume}: wrong passkey for {name} from {}",
                    from.to_canonical()
                ));
                Response::text(403, &format!("this passkey does not open {name}: {error}"))
            }
        }
    }

    /// The program of a volume may take minutes: the page asks again how it goes.
    fn begin(&self, volume: &str, key: Plaintext) -> Response {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(progress.get(volume), Some(Progress::Working)) {
            return Response::text(409, "this volume is being unlocked");
        }
        progress.insert(volume.to_owned(), Progress::Working);
        drop(progress);
        let (root, shared, progress) = (self.root.clone(), self.shared.clone(), self.progress.clone());
        let name = volume.to_owned();
        let work = move || {
            let unlocked = unlock::with_plaintext(&root, &name, &key);
            drop(key);
            shared.look_at_volumes();
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.remove(&name);
            if let Err(error) = unlocked {
                log::line(&format!("unlock: {error}"));
                progress.insert(name, Progress::Failed(error.to_string()));
            }
        };
        let started = std::thread::Builder::new().name("unlock".to_owned()).stack_size(STACK).spawn(work);
        match started {
            Ok(_) => Response::text(202, "unlocking"),
            Err(error) => {
                self.progress.lock().unwrap_or_else(PoisonError::into_inner).remove(volume);
                Response::text(500, &format!("start a thread: {error}"))
            }
        }
    }
}

/// Keys come from this very page, and nobody reads them on their way.
fn refusal(request: &Request) -> Option<Response> {
    if !request.peer.tls && !request.peer.is_local() {
        let text = "keys are not sent in the clear: use https, or `hoopy unlock HOST --passkey`";
        return Some(Response::text(403, text));
    }
    (!request.is_of_this_site()).then(|| Response::text(403, "cross-origin request refused"))
}

/// The key of a volume, encrypted for a passkey.
fn enrolled(body: &[u8]) -> Response {
    let Some(Enroll { passkey, evaluated, key }) = Enroll::parse(body) else {
        return Response::text(
            400,
            "malformed request: expected `nonce`, `first`, `second`, `credential` and `key`",
        );
    };
    match passkey::encrypt(&key, &passkey, &evaluated) {
        Ok(sealed) => Response { status: 200, content_type: TEXT, body: sealed.into() },
        Err(error) => Response::text(400, &error.to_string()),
    }
}
