//! Endpoints: where clients come in.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;

/// What TLS is spoken with, which may be exchanged while the server runs. Without anything, clients are sent away.
#[derive(Debug, Clone, Default)]
pub struct Certificate(Arc<Mutex<Option<Arc<ServerConfig>>>>);

impl Certificate {
    /// What to use now.
    pub fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses another for the clients to come.
    pub fn replace(&self, config: Option<Arc<ServerConfig>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// Listens where [`Endpoint::renew`] found that it should.
pub type Renew = Box<dyn FnMut(&mut Option<TcpListener>) + Send>;

/// A listening socket and its TLS settings.
pub struct Endpoint {
    /// The socket; none while its interface is not there.
    pub listener: Option<TcpListener>,
    /// What TLS is spoken with; none where it is not.
    pub certificate: Option<Certificate>,
    /// Exchanges the socket where its interface has come, gone, or is another of the same name.
    pub renew: Option<Renew>,
}

impl Endpoint {
    /// One that stays as it is, without TLS.
    pub fn plain(listener: TcpListener) -> Self {
        Self { listener: Some(listener), certificate: None, renew: None }
    }

    /// One that stays as it is, with TLS.
    pub fn tls(listener: TcpListener, certificate: Certificate) -> Self {
        Self { listener: Some(listener), certificate: Some(certificate), renew: None }
    }
}
