//! `hoopy sign`.

use std::path::Path;
use std::sync::Arc;

use hoopy_base::destination;
use hoopy_base::input::read_up_to;
use hoopy_build::config::Overrides;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::key::PrivateKey;
use hoopy_trust::signer::Signer;
use hoopy_trust::{CertifiedSigner, program};

use super::signing;
use crate::args::{self, Global};
use crate::error::{Context as _, Exit, Result};
use crate::output::print;

/// The longest key or certificate that is read.
const MAX_PEM: u64 = 64 << 10;

pub fn run(global: &Global, own: &args::Sign) -> Result<Exit> {
    let (certificate, signer) = match own.key.as_ref().zip(own.certificate.as_ref()) {
        Some((key, certificate)) => given(key, certificate)?,
        None => signing::program_signer(&super::system(super::HERE.as_ref(), global, Overrides::default())?)?,
    };
    let to = own.output.as_ref().unwrap_or(&own.file);
    program::sign(&own.file, to, CertifiedSigner::new(&certificate, signer.as_ref())?)?;
    if destination::is_standard_output(to) {
        // The program alone.
    } else if global.quiet {
        print(format!("{}\n", to.display()))?;
    } else {
        print(format!("{}: signed by {}\n", to.display(), certificate.subject()))?;
    }
    Ok(Exit::Success)
}

fn given(key: &Path, certificate: &Path) -> Result<(Certificate, Arc<dyn Signer>)> {
    let read = |path: &Path| read_up_to(path, MAX_PEM).context(format!("cannot read {}", path.display()));
    let key = PrivateKey::from_pem(&read(key)?).context(key.display())?;
    let certificate = Certificate::from_pem(&read(certificate)?).context(certificate.display())?;
    Ok((certificate, Arc::new(key)))
}
