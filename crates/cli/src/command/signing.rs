//! The keys of a system: who signs its images, and whether they have to be signed.

use std::path::Path;
use std::sync::Arc;

use hoopy_build::config::System;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::image::ImageSigner;
use hoopy_trust::key::PublicKey;
use hoopy_trust::keys::{KeyName, PublicKeys};
use hoopy_trust::program;
use hoopy_trust::signer::{CommandSigner, PemSigner, Signer};

use crate::error::{CommandError, Result};

/// Who signs the system's images; nothing where it has no keys.
pub fn image_signer(system: &System) -> Result<Option<ImageSigner>> {
    let keys = PublicKeys::read(&system.dir)?;
    let program = match keys.db {
        None => None,
        Some(certificate) => {
            let signer = signer(system, KeyName::Db, certificate.key())?;
            Some((certificate, signer))
        }
    };
    let policy = keys.pcr.map(|key| signer(system, KeyName::Pcr, &key)).transpose()?;
    if program.is_none() && policy.is_none() {
        return Ok(None);
    }
    Ok(Some(ImageSigner::new(program, policy)?))
}

/// The certificate under which the system's images are signed, and who signs.
pub fn program_signer(system: &System) -> Result<(Certificate, Arc<dyn Signer>)> {
    let certificate = PublicKeys::read(&system.dir)?.db.ok_or_else(|| no_certificate(system))?;
    let signer = signer(system, KeyName::Db, certificate.key())?;
    Ok((certificate, signer))
}

/// That the image may go to a machine: it is signed, where the system says that it has to be.
pub fn admit(system: &System, image: &Path) -> Result<()> {
    if !system.signature_required {
        return Ok(());
    }
    let certificate = PublicKeys::read(&system.dir)?.db.ok_or_else(|| no_certificate(system))?;
    Ok(program::expect_signature(image, &certificate)?)
}

fn no_certificate(system: &System) -> CommandError {
    let file = system.path(&KeyName::Db.public_file());
    CommandError::system(format!("no key signs: expected a certificate, found no {}", file.display()))
        .hint("put the certificate of the key that signs images there, as PEM: docs/trust.md")
}

fn signer(system: &System, name: KeyName, public: &PublicKey) -> Result<Arc<dyn Signer>> {
    if !system.sign_command.is_empty() {
        let directory = system.dir.clone();
        return Ok(Arc::new(CommandSigner::new(&system.sign_command, name, public.clone(), directory)?));
    }
    let no_command = || Err("expected a command in `sign` of [trust] in hoopy.toml, found none".to_owned());
    Ok(Arc::new(PemSigner::new(name, public.clone(), Box::new(no_command))))
}
