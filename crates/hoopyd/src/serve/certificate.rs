//! The page's certificate: read again when its files are exchanged, without a restart and without losing a client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoopy_base::input;
use hoopy_boot::monitor::{CERTIFICATE, KEY, READERS, Settings};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::validity::{self, Validity};
use super::watched::Stamp;
use crate::http::Certificate;

/// More than a chain of certificates has.
const MAX_FILE: u64 = 256 << 10;

/// A certificate that ends in fewer days should be renewed.
const SOON: u64 = 14;
const DAY: u64 = 86_400;

/// The only protocol that is spoken inside.
const HTTP_1: &[u8] = b"http/1.1";

/// The files, and what was made of them.
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// What readers' certificates are signed with, where they need one.
    readers: Option<PathBuf>,
    stamps: Option<[Option<Stamp>; 3]>,
    problem: Option<String>,
    until: Option<u64>,
    used: Certificate,
}

impl CertificateFiles {
    /// Those of the machine whose root this is.
    pub fn new(root: &Path, settings: &Settings) -> Self {
        Self {
            certificate: root.join(CERTIFICATE),
            key: root.join(KEY),
            readers: settings.certificates.then(|| root.join(READERS)),
            stamps: None,
            problem: None,
            until: None,
            used: Certificate::default(),
        }
    }

    /// What TLS is spoken with: it follows the files.
    pub fn used(&self) -> Certificate {
        self.used.clone()
    }

    /// Looks whether the files were exchanged. One that cannot be used does not take the place of one that can. Gives what
    /// is wrong.
    pub fn look(&mut self) -> Option<String> {
        let stamps = Some([
            Stamp::of(&self.certificate),
            Stamp::of(&self.key),
            self.readers.as_deref().and_then(Stamp::of),
        ]);
        if stamps != self.stamps {
            self.stamps = stamps;
            match self.read() {
                Ok((config, until)) => {
                    self.until = Some(until);
                    self.used.replace(Some(Arc::new(config)));
                    self.problem = None;
                }
                Err(reason) => self.problem = Some(reason),
            }
        }
        self.problem.clone()
    }

    /// What should be known of the one that is used at this time: that it ends, or has.
    pub fn ends(&self, now: u64) -> Option<String> {
        let until = self.until?;
        match until.saturating_sub(now) / DAY {
            _ if now > until => Some("The page's certificate has expired".to_owned()),
            0 => Some("The page's certificate expires within a day".to_owned()),
            days if days < SOON => Some(format!("The page's certificate expires in {days} days")),
            _ => None,
        }
    }

    fn read(&self) -> Result<(ServerConfig, u64), String> {
        let [certificate, key] = [&self.certificate, &self.key].map(|path| {
            let named = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let read = input::read_up_to(path, MAX_FILE).map(Zeroizing::new);
            read.map_err(|error| format!("{named}: {error}"))
        });
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate?).collect();
        let chain = chain.map_err(|error| format!("page.crt: expected certificates as PEM: {error}"))?;
        let first = chain.first().ok_or("page.crt: expected a certificate as PEM, found none")?;
        let validity = match validity::of(first) {
            Some(Validity { first_version: true, .. }) => {
                let hint = "openssl makes version 3 with -addext subjectAltName=DNS:NAME";
                return Err(format!(
                    "page.crt: expected a certificate of version 3, found version 1: {hint}"
                ));
            }
            validity => validity.ok_or("page.crt: expected a certificate, found something else as PEM")?,
        };
        let key = PrivateKeyDer::from_pem_slice(&key?).map_err(|error| match error {
            pem::Error::NoItemsFound => "page.key: expected a private key as PEM, found none".to_owned(),
            error => format!("page.key: expected a private key as PEM: {error}"),
        })?;
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls =
            tls.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| error.to_string())?;
        let tls = match &self.readers {
            Some(path) => tls.with_client_cert_verifier(readers(path)?),
            None => tls.with_no_client_auth(),
        };
        let mut tls = tls.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                "page.key: expected the key of page.crt, found that of another certificate".to_owned()
            }
            error => format!("page.crt and page.key: {error}"),
        })?;
        tls.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok((tls, validity.until))
    }
}

/// Checks that a reader has a certificate signed with one of this file.
fn readers(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let bytes = input::read_up_to(path, MAX_FILE).map_err(|error| format!("page-readers.crt: {error}"))?;
    let expected = |error: String| format!("page-readers.crt: expected certificates as PEM: {error}");
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| expected(error.to_string()))?;
        trusted.add(certificate).map_err(|error| expected(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let checked = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).build();
    checked.map_err(|error| expected(error.to_string()))
}
