//! The directory `secrets/`, as it lies in git: what is in it, and how it is written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::{atomic, input};

use crate::cipher::{self, DecryptError, EncryptError};
use crate::machine::{BadIdentity, MachineIdentity};
use crate::path::{BadPath, ENDING, SecretPath, Use};
use crate::recipients::{MAX_TEXT, RecipientError, Recipients};
use crate::{Identities, Plaintext, Prompt, Recipient};

/// The directory's name in a system directory.
pub const NAME: &str = "secrets";

/// The owner's recipients.
pub const RECIPIENTS: &str = "recipients";

/// The machine's recipient.
pub const MACHINE_PUB: &str = "machine.pub";

/// The machine's private half, for the owner.
pub const MACHINE: &str = "machine.age";

/// An identity of the owner behind a passphrase.
pub const RECOVERY: &str = "recovery.age";

/// The deepest that secrets lie: deeper than any path of a machine.
const MAX_DEPTH: usize = 32;

/// The most secrets: every one of them is opened at boot.
const MAX_SECRETS: usize = 4096;

/// The directory `secrets/`.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Where it is.
    pub dir: PathBuf,
    /// The owner's recipients.
    pub recipients: Recipients,
    /// The machine's recipient.
    pub machine: Recipient,
    /// What lies in it, sorted by path.
    pub paths: Vec<SecretPath>,
}

/// `secrets/` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file could not be read.
    #[error("read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no `recipients` or no `machine.pub`: nothing can be encrypted.
    #[error("{}: expected the file `{missing}`, found none", .dir.display())]
    NotInitialised {
        /// The directory.
        dir: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// The directory was set up before.
    #[error("{}: there already is a machine identity", .0.display())]
    AlreadyInitialised(PathBuf),
    /// A file with recipients does not parse.
    #[error("{}: {source}", .path.display())]
    Recipients {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecipientError,
    },
    /// Something that is no secret.
    #[error("{}: {reason}", .path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
    /// No such secret.
    #[error("{}: there is no secret {path}", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// The secret.
        path: SecretPath,
    },
    /// A secret could not be decrypted.
    #[error("decrypt {}: {source}", .path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DecryptError,
    },
    /// A secret could not be encrypted.
    #[error("encrypt {}: {source}", .path.display())]
    Encrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EncryptError,
    },
    /// `machine.age` holds something else.
    #[error("{}: {source}", .path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadIdentity,
    },
    /// `machine.age` is not of `machine.pub`.
    #[error("{}: expected the private half of {expected}, found that of {found}", .path.display())]
    OtherMachine {
        /// The file.
        path: PathBuf,
        /// The recipient in `machine.pub`.
        expected: String,
        /// The recipient of what `machine.age` holds.
        found: String,
    },
}

impl Secrets {
    /// Whether the system directory has secrets.
    pub fn are_in(system: &Path) -> bool {
        system.join(NAME).is_dir()
    }

    /// Reads `secrets/` of the system directory; nothing where there is none, or where nobody set it up and nothing in it
    /// is for the machine.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn read(system: &Path) -> Result<Option<Self>, SecretsError> {
        let dir = system.join(NAME);
        if !dir.is_dir() {
            return Ok(None);
        }
        let mut paths = Vec::new();
        let walked = Walk { top: &dir, found: &mut paths }.directory(&dir, 0);
        paths.sort();
        let is_set_up = [RECIPIENTS, MACHINE_PUB, MACHINE].iter().any(|name| dir.join(name).exists());
        // A directory of that name with something else in it is none of ours.
        if !is_set_up && paths.iter().all(|path| path.purpose() == Use::Trust) {
            return Ok(None);
        }
        walked?;
        let recipients = Self::recipients_in(&dir, RECIPIENTS)?;
        let machine = Self::recipients_in(&dir, MACHINE_PUB)?;
        let path = dir.join(MACHINE_PUB);
        let mut machines = machine.iter();
        match (machines.next(), machines.next()) {
            (Some(machine), None) => {
                let machine = machine.clone();
                Ok(Some(Self { dir, recipients, machine, paths }))
            }
            _ => Err(SecretsError::Unexpected {
                path,
                reason: "expected one recipient, found more".to_owned(),
            }),
        }
    }

    fn recipients_in(dir: &Path, name: &'static str) -> Result<Recipients, SecretsError> {
        let path = dir.join(name);
        match input::read_up_to(&path, MAX_TEXT) {
            Ok(text) => Recipients::parse(&String::from_utf8_lossy(&text))
                .map_err(|source| SecretsError::Recipients { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SecretsError::NotInitialised { dir: dir.to_owned(), missing: name })
            }
            Err(source) => Err(SecretsError::Read { path, source }),
        }
    }

    /// Sets `secrets/` of the system directory up: the owner's recipients as they are written in `recipients` (where
    /// the file is not there already), and a new machine identity.
    ///
    /// # Errors
    /// [`SecretsError`]; nothing is written where there is an identity already.
    pub fn initialise(system: &Path, recipients: &str, prompt: &impl Prompt) -> Result<Self, SecretsError> {
        let dir = system.join(NAME);
        if dir.join(MACHINE).exists() || dir.join(MACHINE_PUB).exists() {
            return Err(SecretsError::AlreadyInitialised(dir));
        }
        let file = dir.join(RECIPIENTS);
        let is_new = !file.exists();
        let owner = if is_new {
            Recipients::parse(recipients)
                .map_err(|source| SecretsError::Recipients { path: file.clone(), source })?
        } else {
            Self::recipients_in(&dir, RECIPIENTS)?
        };
        let identity = MachineIdentity::generate();
        let sealed = seal_identity(&dir, &identity, &owner, prompt)?;
        if is_new {
            write(&file, recipients.as_bytes())?;
        }
        Self::write_identity(&dir, &identity, &sealed)?;
        Self::read(system)?.ok_or(SecretsError::NotInitialised { dir, missing: RECIPIENTS })
    }

    /// The public half last: with it alone secrets could be encrypted that no machine will ever open.
    fn write_identity(dir: &Path, identity: &MachineIdentity, sealed: &[u8]) -> Result<(), SecretsError> {
        write(&dir.join(MACHINE), sealed)?;
        write(&dir.join(MACHINE_PUB), format!("{}\n", identity.recipient().as_str()).as_bytes())
    }

    /// For whom a secret is encrypted.
    pub fn recipients_of(&self, path: &SecretPath) -> Recipients {
        match path.purpose() {
            Use::File | Use::Unlock => self.recipients.with(&self.machine),
            Use::Trust => self.recipients.clone(),
        }
    }

    /// Whether anything in it is for the machine.
    pub fn has_any_for_machine(&self) -> bool {
        self.paths.iter().any(|path| path.purpose() != Use::Trust)
    }

    /// The ciphertext of a secret.
    ///
    /// # Errors
    /// [`SecretsError::Missing`] or [`SecretsError::Read`].
    pub fn ciphertext(&self, path: &SecretPath) -> Result<Vec<u8>, SecretsError> {
        let file = path.file(&self.dir);
        match input::read_up_to(&file, cipher::MAX_CIPHERTEXT) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SecretsError::Missing { dir: self.dir.clone(), path: path.clone() })
            }
            Err(source) => Err(SecretsError::Read { path: file, source }),
        }
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(&self, path: &SecretPath, with: &Identities) -> Result<Plaintext, SecretsError> {
        decrypt(&path.file(&self.dir), &self.ciphertext(path)?, with)
    }

    /// Encrypts a secret and puts it in its place. What was there is replaced.
    ///
    /// # Errors
    /// [`SecretsError`]; what was there stays then.
    pub fn set(&self, path: &SecretPath, to: &Plaintext, prompt: &impl Prompt) -> Result<(), SecretsError> {
        let file = path.file(&self.dir);
        let sealed = cipher::encrypt(to, &self.recipients_of(path), prompt);
        let sealed = sealed.map_err(|source| SecretsError::Encrypt { path: file.clone(), source })?;
        write(&file, &sealed)
    }

    /// Removes a secret, and the directories above it that are empty then.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn remove(&self, path: &SecretPath) -> Result<(), SecretsError> {
        let file = path.file(&self.dir);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SecretsError::Missing { dir: self.dir.clone(), path: path.clone() });
            }
            Err(source) => return Err(SecretsError::Write { path: file, source }),
        }
        let mut gone = file.as_path();
        for dir in file.ancestors().skip(1).take_while(|dir| *dir != self.dir) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
            gone = dir;
        }
        atomic::sync_dir(gone).map_err(|source| SecretsError::Write { path: file.clone(), source })
    }

    /// The machine's identity, opened with the owner's.
    ///
    /// # Errors
    /// [`SecretsError`]; also where it is not the one of `machine.pub`.
    pub fn machine_identity(&self, with: &Identities) -> Result<MachineIdentity, SecretsError> {
        self.machine_identity_in(&self.machine_ciphertext()?, with)
    }

    /// What `machine.age` holds.
    pub(crate) fn machine_ciphertext(&self) -> Result<Vec<u8>, SecretsError> {
        let path = self.dir.join(MACHINE);
        input::read_up_to(&path, cipher::MAX_CIPHERTEXT).map_err(|source| SecretsError::Read { path, source })
    }

    /// The machine's identity out of what `machine.age` holds.
    pub(crate) fn machine_identity_in(
        &self,
        ciphertext: &[u8],
        with: &Identities,
    ) -> Result<MachineIdentity, SecretsError> {
        let path = self.dir.join(MACHINE);
        let opened = decrypt(&path, ciphertext, with)?;
        let identities = MachineIdentity::parse(&opened);
        let identities = identities.map_err(|source| SecretsError::Machine { path: path.clone(), source })?;
        let Some(identity) = identities.into_iter().next() else {
            return Err(SecretsError::Machine { path, source: BadIdentity::Count(0) });
        };
        if identity.recipient() == self.machine {
            return Ok(identity);
        }
        let text = |recipient: &Recipient| recipient.as_str().to_owned();
        let (expected, found) = (text(&self.machine), text(&identity.recipient()));
        Err(SecretsError::OtherMachine { path, expected, found })
    }

    /// Replaces the machine's identity. Secrets are still encrypted for the one before.
    pub(crate) fn replace_identity(
        &mut self,
        identity: &MachineIdentity,
        prompt: &impl Prompt,
    ) -> Result<(), SecretsError> {
        let sealed = seal_identity(&self.dir, identity, &self.recipients, prompt)?;
        Self::write_identity(&self.dir, identity, &sealed)?;
        self.machine = identity.recipient();
        Ok(())
    }
}

/// The plaintext of the file at `path`, which holds `ciphertext`.
pub(crate) fn decrypt(path: &Path, ciphertext: &[u8], with: &Identities) -> Result<Plaintext, SecretsError> {
    cipher::decrypt(ciphertext, with)
        .map_err(|source| SecretsError::Decrypt { path: path.to_owned(), source })
}

pub(crate) fn seal_identity(
    dir: &Path,
    identity: &MachineIdentity,
    owner: &Recipients,
    prompt: &impl Prompt,
) -> Result<Vec<u8>, SecretsError> {
    let file = MachineIdentity::file(std::slice::from_ref(identity));
    cipher::encrypt(&file, owner, prompt)
        .map_err(|source| SecretsError::Encrypt { path: dir.join(MACHINE), source })
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), SecretsError> {
    let dir = path.parent().unwrap_or(path);
    let written =
        fs::create_dir_all(dir).and_then(|()| atomic::replace_file(path, bytes, atomic::Readers::Umask));
    written.map_err(|source| SecretsError::Write { path: path.to_owned(), source })
}

/// A walk through `secrets/`.
struct Walk<'a> {
    top: &'a Path,
    found: &'a mut Vec<SecretPath>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Path, depth: usize) -> Result<(), SecretsError> {
        let read = |source| SecretsError::Read { path: dir.to_owned(), source };
        let unexpected = |path: &Path, reason: &str| {
            Err(SecretsError::Unexpected { path: path.to_owned(), reason: reason.to_owned() })
        };
        if depth > MAX_DEPTH {
            return unexpected(dir, "it lies deeper than secrets can");
        }
        for entry in fs::read_dir(dir).map_err(read)? {
            let entry = entry.map_err(read)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(read)?);
            let top = depth == 0 && self.is_known(&entry.file_name());
            if kind.is_dir() {
                self.directory(&path, depth + 1)?;
            } else if !kind.is_file() {
                return unexpected(&path, "expected a file, found a link or device: links belong in root/");
            } else if !top {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    /// Files directly below `secrets/` that are no secrets: our own, and what git and people keep.
    fn is_known(&self, name: &std::ffi::OsStr) -> bool {
        let known = [RECIPIENTS, MACHINE_PUB, MACHINE, RECOVERY, "README", "README.md"];
        known.iter().any(|known| name == *known) || name.as_encoded_bytes().starts_with(b".git")
    }

    fn file(&mut self, path: &Path) -> Result<(), SecretsError> {
        let unexpected = |reason: String| SecretsError::Unexpected { path: path.to_owned(), reason };
        let below = path.strip_prefix(self.top).ok().and_then(Path::to_str);
        let below = below.ok_or_else(|| unexpected("expected a name in UTF-8".to_owned()))?;
        if !below.ends_with(ENDING) {
            return Err(unexpected("expected an encrypted file NAME.age, found another one".to_owned()));
        }
        let parsed = below.parse().map_err(|BadPath { reason, .. }| unexpected(reason.to_owned()))?;
        self.found.push(parsed);
        if self.found.len() > MAX_SECRETS {
            return Err(unexpected(format!("expected at most {MAX_SECRETS} secrets, found more")));
        }
        Ok(())
    }
}
