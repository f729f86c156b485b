//! Opening what a mirror has: an HTTP(S) address or a file.

mod deadline;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use hoopy_base::pace::{Pace, Patience, Stall};

use super::FetchError;

/// How long to wait for a mirror. Tests shorten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until its name is looked up, and until it is reached.
    pub connect: Duration,
    /// Until all headers of its answer have come, once it is reached.
    pub answer: Duration,
    /// For each part of the answer, and for all of it.
    pub body: Patience,
    /// Between one try and the next; there is one try more than there are waits.
    pub waits: [Duration; 3],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // A mirror that fetches the file itself first.
            answer: Duration::from_secs(30),
            // A kilobyte a second: a telephone line from 1990, shared by six downloads. Less is a fault or an attack.
            body: Patience { idle: Duration::from_secs(30), grace: Duration::from_secs(60), rate: 1 << 10 },
            waits: [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)],
        }
    }
}

/// Whether a location is an address, not a file.
pub fn is_remote(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// The one HTTP client of a build: connections are kept and shared between threads.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    limits: Limits,
}

/// A request that is not sent yet.
pub(super) type Request = ureq::RequestBuilder<ureq::typestate::WithoutBody>;

/// What was opened.
pub struct Response {
    /// The bytes, from where they were asked for.
    pub body: Box<dyn Read + Send>,
    /// Where they begin: 0 when a server does not give parts.
    pub offset: u64,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Client {
    /// One that waits so long.
    pub fn new(limits: Limits) -> Self {
        Self::of(limits, None)
    }

    /// One that gives up on anything which takes longer: for what would be nice to know, and no more.
    pub fn impatient(limit: Duration) -> Self {
        Self::of(Limits { waits: [Duration::ZERO; 3], ..Limits::default() }, Some(limit))
    }

    /// How long it waits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn of(limits: Limits, limit: Option<Duration>) -> Self {
        use ureq::tls::{RootCerts, TlsConfig};
        // The platform's roots, so that a company's own mirror with its own authority works.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(limit)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.answer))
            .timeout_recv_response(Some(limits.answer))
            .timeout_per_read(Some(limits.body.idle))
            .user_agent(concat!("hoopy/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = ureq::unversioned::resolver::DefaultResolver::default();
        Self { agent: ureq::Agent::with_parts(config, deadline::connector(), resolver), limits }
    }

    /// Opens `location` from `offset` on.
    ///
    /// # Errors
    /// [`FetchError::Missing`] or [`FetchError::Unreachable`].
    pub fn open(&self, location: &str, offset: u64) -> Result<Response, FetchError> {
        if is_remote(location) { self.open_remote(location, offset) } else { open_file(location, offset) }
    }

    fn open_remote(&self, address: &str, offset: u64) -> Result<Response, FetchError> {
        let range = |request: Request| match offset {
            0 => request,
            _ => request.header("Range", format!("bytes={offset}-")),
        };
        let response = match self.call(address, range)? {
            Ok(response) => response,
            // The part on disk is as long as the whole file, or longer: begin again.
            Err(416) if offset > 0 => return self.open_remote(address, 0),
            Err(status @ (404 | 410)) => {
                return Err(FetchError::Missing { place: address.to_owned(), status: Some(status) });
            }
            Err(status) => {
                let reason = ureq::Error::StatusCode(status).to_string();
                return Err(FetchError::Unreachable { place: address.to_owned(), reason });
            }
        };
        let partial = response.status().as_u16() == 206;
        Ok(Response {
            body: Box::new(Paced::new(response.into_body().into_reader(), self.limits.body)),
            offset: if partial { offset } else { 0 },
        })
    }

    /// The answer to a GET request to `address`, or its status where that is an error's.
    pub(super) fn call(
        &self,
        address: &str,
        with: impl FnOnce(Request) -> Request,
    ) -> Result<Result<ureq::http::Response<ureq::Body>, u16>, FetchError> {
        let request = with(self.agent.get(address));
        let started = Instant::now();
        // Redirects have the time of one answer together: each begins the limits of the client anew.
        let until = started + self.limits.connect * 2 + self.limits.answer;
        match deadline::within(until, || request.call()) {
            Ok(response) => Ok(Ok(response)),
            Err(ureq::Error::StatusCode(status)) => Ok(Err(status)),
            Err(ureq::Error::Timeout(phase)) => Err(late(address, started, until, phase)),
            Err(e) => Err(of_error(address, &e)),
        }
    }

    /// All of `location`, up to `limit` bytes. A mirror that breaks off is asked again.
    ///
    /// # Errors
    /// [`FetchError`] when it is not there, breaks off, or is larger.
    pub fn read(&self, location: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.retry(|| self.read_once(location, limit))
    }

    /// Fetches again where that may go well.
    ///
    /// # Errors
    /// What `fetch` failed with the last time.
    pub(super) fn retry<T>(&self, mut fetch: impl FnMut() -> Result<T, FetchError>) -> Result<T, FetchError> {
        let mut waits = self.limits.waits.iter();
        let mut tries = 1;
        loop {
            match fetch() {
                Err(e) if e.may_pass() => match waits.next().filter(|wait| !wait.is_zero()) {
                    Some(wait) => std::thread::sleep(*wait),
                    None => return Err(e.after(tries)),
                },
                other => return other,
            }
            tries += 1;
        }
    }

    fn read_once(&self, location: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let body = self.open(location, 0)?.body;
        body.take(limit + 1).read_to_end(&mut bytes).map_err(|e| FetchError::broken(location, &e))?;
        if bytes.len() as u64 > limit {
            return Err(FetchError::TooLarge { place: location.to_owned(), limit });
        }
        Ok(bytes)
    }
}

/// Why there is no answer. One that leads elsewhere for ever, or to where it must not, would do so again.
fn of_error(address: &str, error: &ureq::Error) -> FetchError {
    use ureq::Error::{BadUri, RedirectFailed, RequireHttpsOnly, TooManyRedirects};
    let (place, reason) = (address.to_owned(), error.to_string());
    match error {
        BadUri(_) | RedirectFailed | RequireHttpsOnly(_) | TooManyRedirects => {
            FetchError::Answer { place, reason }
        }
        _ => FetchError::Unreachable { place, reason },
    }
}

/// What was waited for too long, and how long it really was.
fn late(address: &str, started: Instant, until: Instant, phase: ureq::Timeout) -> FetchError {
    let what = match phase {
        _ if Instant::now() >= until => "for an answer, redirects included",
        ureq::Timeout::Resolve => "for its name to be looked up",
        ureq::Timeout::Connect => "to be connected",
        _ => "for an answer",
    };
    let (place, what) = (address.to_owned(), what.to_owned());
    FetchError::Stalled { place, waited: started.elapsed(), what, tries: 1 }
}

/// An answer that has to come fast enough: bytes of it count, and not what HTTP puts around them.
pub(super) struct Paced<R> {
    inner: R,
    pace: Pace,
    total: u64,
}

impl<R> Paced<R> {
    pub fn new(inner: R, patience: Patience) -> Self {
        Self { inner, pace: Pace::new(patience, Instant::now()), total: 0 }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = deadline::within(Instant::now() + self.pace.left(), || self.inner.read(buffer));
        if let Ok(n) = read {
            self.total += n as u64;
            if n == 0 {
                return read;
            }
        }
        match (self.pace.check(Instant::now(), self.total), read) {
            (Some(stall), _) => Err(io::Error::new(io::ErrorKind::TimedOut, Stalled(stall))),
            (None, Err(e)) if is_silence(&e) => {
                let silent = Stall::Silent(self.pace.patience().idle);
                Err(io::Error::new(io::ErrorKind::TimedOut, Stalled(silent)))
            }
            (None, read) => read,
        }
    }
}

fn is_silence(e: &io::Error) -> bool {
    let inner = e.get_ref().and_then(|inner| inner.downcast_ref());
    e.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
}

/// Carries a [`Stall`] through [`Read`].
#[derive(Debug, thiserror::Error)]
#[error("the answer stalled: {0:?}")]
pub(super) struct Stalled(pub Stall);

fn open_file(path: &str, offset: u64) -> Result<Response, FetchError> {
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => FetchError::Missing { place: path.to_owned(), status: None },
        _ => FetchError::Unreachable { place: path.to_owned(), reason: e.to_string() },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    Ok(Response { body: Box::new(file), offset })
}

#[cfg(test)]
mod tests;
