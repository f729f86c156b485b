//! The keys of a system: who signs its images, and whether they have to be signed.

use std::path::Path;
use std::sync::Arc;

use hoopy_build::config::System;
use hoopy_secrets::{Plaintext, SecretPath, Secrets};
use hoopy_trust::CertifiedSigner;
use hoopy_trust::authenticode::SignError;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::image::{ImageSigner, ProgramSigner};
use hoopy_trust::key::{PrivateKey, PublicKey};
use hoopy_trust::keys::{KeyName, PublicKeys, lists};
use hoopy_trust::program::{self, ProgramError};
use hoopy_trust::signer::{CommandSigner, PemSigner, Signer, SignerError};

use zeroize::Zeroizing;

use super::owner::{self, Terminal};
use crate::error::{CommandError, Result};
use crate::output::note;

/// Who signs the system's images; nothing where it has no keys.
pub fn image_signer(system: &System) -> Result<Option<ImageSigner>> {
    let keys = PublicKeys::read(&system.dir)?;
    let program = of_programs(system, &keys)?;
    let policy = keys.pcr.map(|key| signer(system, KeyName::Pcr, &key)).transpose()?;
    if program.is_empty() && policy.is_none() {
        return Ok(None);
    }
    Ok(Some(ImageSigner::new(program, policy)?))
}

/// The certificates under which the system's programs are signed, and who signs: two while the key is rotated.
pub fn program_signers(system: &System) -> Result<Vec<ProgramSigner>> {
    let keys = PublicKeys::read(&system.dir)?;
    keys.db.as_ref().ok_or_else(|| no_certificate(system, KeyName::Db))?;
    of_programs(system, &keys)
}

fn of_programs(system: &System, keys: &PublicKeys) -> Result<Vec<ProgramSigner>> {
    let of = |(name, certificate): (KeyName, &Certificate)| {
        Ok((certificate.clone(), signer(system, name, certificate.key())?))
    };
    keys.program_signers().map(of).collect()
}

/// The same, each checked to be a pair.
pub fn certified(signers: &[ProgramSigner]) -> Result<Vec<CertifiedSigner<'_>>> {
    let mut certified = Vec::new();
    for (certificate, signer) in signers {
        certified.push(CertifiedSigner::new(certificate, signer.as_ref())?);
    }
    Ok(certified)
}

/// That the image may go to a machine: it is signed, where the system says that it has to be, or `is_required` does.
pub fn admit(system: &System, image: &Path, is_required: bool) -> Result<()> {
    if !system.signature_required && !is_required {
        return Ok(());
    }
    // While a key is rotated, machines of both kinds have to start it.
    for (certificate, _) in program_signers(system)? {
        program::expect_signature(image, &certificate)?;
    }
    Ok(())
}

/// The system lacks the certificate of a key.
pub fn no_certificate(system: &System, name: KeyName) -> CommandError {
    let file = system.path(&name.public_file());
    CommandError::system(format!("no key {name}: expected a certificate, found no {}", file.display()))
        .hint("make the keys with `hoopy keys new`, or put the certificate of your own there as PEM")
}

/// The boot loader for a disk: signed, where the system has a key for that. Where `is_required`, one that is not signed is refused.
pub fn boot_loader(system: &System, loader: Vec<u8>, is_required: bool) -> Result<Vec<u8>> {
    let is_required = is_required || system.signature_required;
    let signers = of_programs(system, &PublicKeys::read(&system.dir)?)?;
    if signers.is_empty() && !is_required {
        return Ok(loader);
    }
    if signers.is_empty() {
        return Err(no_certificate(system, KeyName::Db));
    }
    let unsigned = |reason: &SignerError| note(format!("warning: the boot loader is not signed: {reason}"));
    match signers.iter().try_for_each(|(_, signer)| signer.ready()) {
        Err(reason) if !is_required => {
            unsigned(&reason);
            return Ok(loader);
        }
        ready => ready?,
    }
    match program::signed("systemd-boot".as_ref(), &loader, &certified(&signers)?) {
        Err(ProgramError::Sign { source: SignError::Signer(reason), .. })
            if !is_required && reason.is_not_at_hand() =>
        {
            unsigned(&reason);
            Ok(loader)
        }
        signed => Ok(signed?),
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

/// A key that has to sign, and not for an image, which could do without, does not.
pub fn cannot_sign(system: &System, name: KeyName, error: SignerError) -> CommandError {
    let (private, public) = (name.private_file(), name.public_file());
    let restore = format!("restore it with `git checkout HEAD -- {private}`");
    let hints = match &error {
        SignerError::NotAtHand { .. } if system.path(&private).exists() => vec![
            format!(
                "name the identity of one of secrets/recipients, which opens {private}: HOOPY_IDENTITY=FILE"
            ),
            format!("where that file is damaged, {restore}"),
        ],
        // While it is replaced, the next key can sign alone.
        SignerError::NotAtHand { .. }
            if name == KeyName::Db && system.path(&KeyName::NextDb.private_file()).exists() =>
        {
            vec![
                restore,
                "if git does not have it, let the next key sign alone: `hoopy keys enroll HOST` and a reboot for each machine, then \
                 `hoopy keys rotate --finish`"
                    .to_owned(),
            ]
        }
        SignerError::NotAtHand { .. } => vec![restore],
        SignerError::Run { .. } | SignerError::Failed { .. } => vec![format!(
            "the command is `sign` of [trust] in hoopy.toml: it must sign what it reads with the key {name}"
        )],
        SignerError::Key(_) | SignerError::OtherHalf { .. } | SignerError::OtherKey { .. } => vec![format!(
            "restore the pair of {private} and {public} with `git checkout HEAD -- {private} {public}`"
        )],
        SignerError::EmptyCommand | SignerError::TooMuch { .. } | SignerError::NotASignature { .. } => {
            Vec::new()
        }
    };
    let mut refusal = CommandError::from(error).context(format!("nothing is signed by {name}"));
    if !hints.is_empty() {
        refusal.hints = hints;
    }
    refusal
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
    let pem = owner::with_usual_identities(&secrets.dir, |identities| Ok(secrets.open(&path, identities)?))?;
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
