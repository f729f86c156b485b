//! The keys of a system: who signs its images, and whether they have to be signed.

use std::path::Path;
use std::sync::Arc;

use hoopy_build::config::System;
use hoopy_secrets::{Plaintext, SecretPath, Secrets};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::image::ImageSigner;
use hoopy_trust::key::{PrivateKey, PublicKey};
use hoopy_trust::keys::{KeyName, PublicKeys, lists};
use hoopy_trust::signer::{CommandSigner, PemSigner, Signer};
use hoopy_trust::{CertifiedSigner, program};

use zeroize::Zeroizing;

use super::owner::{self, Terminal};
use crate::error::{CommandError, Result};
use crate::output::note;

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
    let certificate = PublicKeys::read(&system.dir)?.db.ok_or_else(|| no_certificate(system, KeyName::Db))?;
    let signer = signer(system, KeyName::Db, certificate.key())?;
    Ok((certificate, signer))
}

/// That the image may go to a machine: it is signed, where the system says that it has to be.
pub fn admit(system: &System, image: &Path) -> Result<()> {
    if !system.signature_required {
        return Ok(());
    }
    let certificate = PublicKeys::read(&system.dir)?.db.ok_or_else(|| no_certificate(system, KeyName::Db))?;
    Ok(program::expect_signature(image, &certificate)?)
}

/// The system lacks the certificate of a key.
pub fn no_certificate(system: &System, name: KeyName) -> CommandError {
    let file = system.path(&name.public_file());
    CommandError::system(format!("no key {name}: expected a certificate, found no {}", file.display()))
        .hint("make the keys with `hoopy keys new`, or put the certificate of your own there as PEM")
}

/// The boot loader for a disk: signed, where the system has a key for that.
pub fn boot_loader(system: &System, loader: Vec<u8>) -> Result<Vec<u8>> {
    let Some(certificate) = PublicKeys::read(&system.dir)?.db else { return Ok(loader) };
    let signer = signer(system, KeyName::Db, certificate.key())?;
    match signer.ready() {
        Err(reason) if !system.signature_required => {
            note(format!("warning: the boot loader is not signed: {reason}"));
            Ok(loader)
        }
        Err(reason) => Err(reason.into()),
        Ok(()) => {
            let by = CertifiedSigner::new(&certificate, signer.as_ref())?;
            Ok(program::signed("systemd-boot".as_ref(), &loader, by)?)
        }
    }
}

/// The signed lists of the system's keys, by variable.
pub fn key_lists(system: &System) -> Result<Vec<(String, Vec<u8>)>> {
    let lists = lists(&system.dir)?.into_iter();
    Ok(lists.map(|(variable, bytes)| (variable.name().to_owned(), bytes)).collect())
}

/// That firmware could take keys from a disk of this system.
pub fn can_enroll(system: &System, lists: &[(String, Vec<u8>)]) -> Result<()> {
    if lists.len() == 3 {
        return Ok(());
    }
    let expected =
        format!("expected PK.auth, KEK.auth and db.auth in {}, found ", system.path("trust").display());
    let found: Vec<&str> = lists.iter().map(|(name, _)| name.as_str()).collect();
    let found =
        if found.is_empty() { "none".to_owned() } else { format!("only those of {}", found.join(", ")) };
    Err(CommandError::system(format!("no keys to enroll: {expected}{found}"))
        .hint("write them with `hoopy keys enroll`"))
}

/// Who signs with this key.
pub fn signer(system: &System, name: KeyName, public: &PublicKey) -> Result<Arc<dyn Signer>> {
    if !system.sign_command.is_empty() {
        let directory = system.dir.clone();
        return Ok(Arc::new(CommandSigner::new(&system.sign_command, name, public.clone(), directory)?));
    }
    let dir = system.dir.clone();
    let read = move || private_key(&dir, name).map_err(|error| error.to_string());
    Ok(Arc::new(PemSigner::new(name, public.clone(), Box::new(read))))
}

/// The PEM of a private key, out of its age file.
fn private_key(system: &Path, name: KeyName) -> Result<Zeroizing<Vec<u8>>> {
    owner::keep_to_itself();
    let absent = || {
        let file = name.private_file();
        CommandError::system(format!("expected {file}, or `sign` of [trust] in hoopy.toml, found neither"))
    };
    let secrets = Secrets::read(system)?.ok_or_else(absent)?;
    let path = secret_path(name)?;
    if !path.file(&secrets.dir).exists() {
        return Err(absent());
    }
    let pem = secrets.open(&path, &owner::usual_identities(&secrets.dir)?)?;
    Ok(Zeroizing::new(pem.as_bytes().to_vec()))
}

/// Encrypts the private half of a key to the owner alone.
pub fn keep_private_key(secrets: &Secrets, name: KeyName, key: &PrivateKey) -> Result<()> {
    let pem = Plaintext::new(key.to_pem()?.as_bytes().to_vec());
    Ok(secrets.set(&secret_path(name)?, &pem, &Terminal)?)
}

/// The private half of a key among the secrets.
pub fn secret_path(name: KeyName) -> Result<SecretPath> {
    let path = format!("trust/{name}.key").parse();
    path.map_err(|error: hoopy_secrets::path::BadPath| CommandError::failed(error.to_string()))
}
