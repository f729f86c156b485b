//! Encrypting all secrets again, for the current recipients.
//!
//! Everything is opened before anything is written, so that a key which is missing changes nothing. Each file is replaced
//! by itself: a kill in between leaves some for the old recipients and some for the new ones, all of them whole, and the
//! next `rekey` does the rest.

use std::path::PathBuf;

use crate::check::is_for;
use crate::cipher;
use crate::directory::{self, MACHINE, Secrets, SecretsError};
use crate::{Identities, MachineIdentity, Plaintext, Prompt, Recipients, SecretPath};

/// What is encrypted anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Also what is for the right recipients already: after a plaintext or file key may have leaked.
    pub all: bool,
    /// Give the machine a new identity first.
    pub machine: bool,
}

/// What became of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Encrypted anew.
    pub written: Vec<PathBuf>,
    /// Left as they were.
    pub unchanged: usize,
}

/// Encrypts anew whatever is not for the recipients of now.
///
/// # Errors
/// [`SecretsError`].
pub fn rekey(
    secrets: &mut Secrets,
    with: &Identities,
    options: Options,
    prompt: &impl Prompt,
) -> Result<Rekeyed, SecretsError> {
    let sealed = secrets.machine_ciphertext()?;
    let identity = secrets.machine_identity_in(&sealed, with)?;
    let opened = open_all(secrets, with)?;
    let mut done = Rekeyed::default();
    let file = secrets.dir.join(MACHINE);
    if options.machine {
        secrets.replace_identity(&MachineIdentity::generate(), prompt)?;
        done.written.push(file);
    } else if options.all || !is_current(&sealed, &secrets.recipients) {
        let sealed = directory::seal_identity(&secrets.dir, &identity, &secrets.recipients, prompt)?;
        directory::write(&file, &sealed)?;
        done.written.push(file);
    } else {
        done.unchanged += 1;
    }
    for (path, (ciphertext, plaintext)) in secrets.paths.iter().zip(&opened) {
        if !options.all && is_current(ciphertext, &secrets.recipients_of(path)) {
            done.unchanged += 1;
        } else {
            secrets.set(path, plaintext, prompt)?;
            done.written.push(path.file(&secrets.dir));
        }
    }
    Ok(done)
}

fn open_all(secrets: &Secrets, with: &Identities) -> Result<Vec<(Vec<u8>, Plaintext)>, SecretsError> {
    let one = |path: &SecretPath| {
        let ciphertext = secrets.ciphertext(path)?;
        let plaintext = directory::decrypt(&path.file(&secrets.dir), &ciphertext, with)?;
        Ok((ciphertext, plaintext))
    };
    secrets.paths.iter().map(one).collect()
}

fn is_current(ciphertext: &[u8], to: &Recipients) -> bool {
    cipher::stanzas(ciphertext).is_ok_and(|stanzas| is_for(&stanzas, to))
}
