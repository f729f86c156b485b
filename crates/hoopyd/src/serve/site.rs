//! What lies at which address.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_boot::monitor::{SCRIPTS, Settings};
use hoopy_boot::status;

use super::collector::{Seen, Shared};
use super::password::{PasswordCheck, Verdict};
use super::unlocking::{SCRIPT, Unlocking};
use super::{metrics, page};
use crate::http::request::BODIES;
use crate::http::response::{HTML, TEXT};
use crate::http::{Answer, Request, Response, Site};
use crate::machine;

/// The script whose output is part of the page.
const INDEX: &str = "index.sh";

/// Endings of names that are given at home, where no stranger gives one.
const HOME: [&str; 5] = ["", ".local", ".lan", ".home.arpa", ".internal"];

/// Of a machine that was not looked at for so many seconds, a disk may hang. The page says so.
const STALE: u64 = 60;

/// The machine's page and what belongs to it.
pub struct MachineSite {
    root: PathBuf,
    names: Vec<String>,
    password: Option<PasswordCheck>,
    unlocking: Unlocking,
    shared: Shared,
}

impl MachineSite {
    /// The page of the machine whose root this is.
    pub fn new(root: &Path, settings: &Settings, shared: Shared) -> Self {
        let unlocking = Unlocking::new(root, shared.clone());
        Self {
            unlocking,
            root: root.to_owned(),
            names: settings.names.clone(),
            password: settings.password.then(|| PasswordCheck::new(root)),
            shared,
        }
    }

    /// Whether a browser may ask by this name. A page elsewhere can make any name of its own lead here, and would read
    /// what the browser gets.
    fn is_known(&self, host: &str, seen: &Seen) -> bool {
        let host = host.trim_end_matches('.');
        let own = &seen.status.host;
        let is = |name: &str| host.eq_ignore_ascii_case(name);
        host.is_empty()
            || host.parse::<IpAddr>().is_ok()
            || is("localhost")
            || self.names.iter().any(|name| is(name))
            || (!own.is_empty() && HOME.iter().any(|ending| is(&format!("{own}{ending}"))))
    }

    /// The script of that name, where it can be run. Names hold no directories.
    fn script(&self, name: &str) -> Option<PathBuf> {
        let plain = !name.starts_with('.') && !name.contains('/') && name.ends_with(".sh");
        let path = self.root.join(SCRIPTS).join(name);
        let meta = std::fs::metadata(&path).ok().filter(|_| plain)?;
        (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then_some(path)
    }

    fn page(&self, seen: &Seen) -> Answer {
        let age = machine::now().saturating_sub(seen.status.time);
        let stale = if age > STALE { page::stale(age) } else { String::new() };
        let before =
            |rest: &str| [&*seen.page.head, &stale, &seen.page.live, &seen.page.below, rest].concat();
        match self.script(INDEX) {
            Some(program) => Answer::Page {
                before: before(page::BEFORE_SCRIPT).into_bytes(),
                program,
                after: page::AFTER_SCRIPT,
            },
            None => ready(HTML, before(page::END).into_bytes()),
        }
    }
}

impl Site for MachineSite {
    fn answer(&self, request: &Request) -> Answer {
        let seen = self.shared.seen();
        if !self.is_known(&request.host, &seen) {
            let text = "this machine does not know that name: `names` under [monitor] in hoopy.toml lists those that it answers to";
            return Answer::Ready(Response::text(421, text));
        }
        // From the machine itself come ssh and those who may log in.
        if let Some(password) = self.password.as_ref().filter(|_| !request.peer.is_local()) {
            match password.check(request) {
                Verdict::Allowed => {}
                Verdict::Unauthorized => {
                    return Answer::Ready(Response::text(401, "password required (any user name)"));
                }
                Verdict::TooMany => {
                    return Answer::Ready(Response::text(
                        429,
                        "too many wrong passwords: try again in a minute",
                    ));
                }
            }
        }
        match &*request.path {
            "/" if request.accepts_html => self.page(&seen),
            // As scripts and people with curl know it: the text alone.
            "/" => match self.script(INDEX) {
                Some(program) => Answer::Program(program),
                None => ready(TEXT, status::text(&seen.status).into_bytes()),
            },
            "/live" => ready(HTML, seen.page.live.clone().into_bytes()),
            "/status.json" => shared("application/json", &seen.json),
            "/status.txt" => ready(TEXT, status::text(&seen.status).into_bytes()),
            "/metrics" => shared(metrics::CONTENT_TYPE, &seen.metrics),
            "/style.css" => ready("text/css; charset=utf-8", page::STYLE.into()),
            "/live.js" => ready("text/javascript; charset=utf-8", page::LIVE.into()),
            "/icon.svg" => ready("image/svg+xml", page::icon(&seen.status).into_bytes()),
            "/unlock.js" => ready("text/javascript; charset=utf-8", SCRIPT.into()),
            path if path.starts_with(BODIES) => {
                let rest = path.strip_prefix(BODIES).unwrap_or_default();
                Answer::Ready(self.unlocking.answer(rest, request))
            }
            path => match path.strip_prefix('/').and_then(|name| self.script(name)) {
                Some(program) => Answer::Program(program),
                None => Answer::Ready(Response::plain(404)),
            },
        }
    }
}

fn ready(content_type: &'static str, body: Vec<u8>) -> Answer {
    Answer::Ready(Response { status: 200, content_type, body: body.into() })
}

fn shared(content_type: &'static str, body: &std::sync::Arc<[u8]>) -> Answer {
    Answer::Ready(Response { status: 200, content_type, body: body.clone() })
}
