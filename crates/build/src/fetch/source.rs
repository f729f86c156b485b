//! Opening what a mirror has: an HTTP(S) address or a file.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::time::Duration;

use super::FetchError;

/// How long a mirror may take to answer at all.
const CONNECT: Duration = Duration::from_secs(10);

/// How long it may take to begin an answer once it is reached.
const ANSWER: Duration = Duration::from_secs(30);

/// Whether a location is an address, not a file.
pub fn is_remote(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// The one HTTP client of a build: connections are kept and shared between threads.
#[derive(Debug, Clone)]
pub struct Client(ureq::Agent);

/// What was opened.
pub struct Response {
    /// The bytes, from where they were asked for.
    pub body: Box<dyn Read + Send>,
    /// Where they begin: 0 when a server does not give parts.
    pub offset: u64,
}

impl Default for Client {
    fn default() -> Self {
        Self::of(None)
    }
}

impl Client {
    /// One that gives up on anything which takes longer: for what would be nice to know, and no more.
    pub fn impatient(limit: Duration) -> Self {
        Self::of(Some(limit))
    }

    fn of(limit: Option<Duration>) -> Self {
        use ureq::tls::{RootCerts, TlsConfig};
        // The platform's roots, so that a company's own mirror with its own authority works.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(limit)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("hoopy/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }

    /// Opens `location` from `offset` on.
    ///
    /// # Errors
    /// [`FetchError::Missing`] or [`FetchError::Unreachable`].
    pub fn open(&self, location: &str, offset: u64) -> Result<Response, FetchError> {
        if is_remote(location) { self.open_remote(location, offset) } else { open_file(location, offset) }
    }

    fn open_remote(&self, address: &str, offset: u64) -> Result<Response, FetchError> {
        let mut request = self.0.get(address);
        if offset > 0 {
            request = request.header("Range", format!("bytes={offset}-"));
        }
        let place = || address.to_owned();
        let response = match request.call() {
            Ok(response) => response,
            // The part on disk is as long as the whole file, or longer: begin again.
            Err(ureq::Error::StatusCode(416)) if offset > 0 => return self.open_remote(address, 0),
            Err(ureq::Error::StatusCode(status @ (404 | 410))) => {
                return Err(FetchError::Missing { place: place(), status: Some(status) });
            }
            Err(e) => return Err(FetchError::Unreachable { place: place(), reason: e.to_string() }),
        };
        let partial = response.status().as_u16() == 206;
        Ok(Response {
            body: Box::new(response.into_body().into_reader()),
            offset: if partial { offset } else { 0 },
        })
    }

    /// All of `location`, up to `limit` bytes.
    ///
    /// # Errors
    /// [`FetchError`] when it is not there, breaks off, or is larger.
    pub fn read(&self, location: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let body = self.open(location, 0)?.body;
        body.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| FetchError::Unreachable { place: location.to_owned(), reason: e.to_string() })?;
        if bytes.len() as u64 > limit {
            return Err(FetchError::TooLarge { place: location.to_owned(), limit });
        }
        Ok(bytes)
    }
}

fn open_file(path: &str, offset: u64) -> Result<Response, FetchError> {
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => FetchError::Missing { place: path.to_owned(), status: None },
        _ => FetchError::Unreachable { place: path.to_owned(), reason: e.to_string() },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    Ok(Response { body: Box::new(file), offset })
}
