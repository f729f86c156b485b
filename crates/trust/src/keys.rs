//! The keys of a system directory: public halves in `trust/`, private ones in age files below `secrets/trust/`, or
//! with a command.
//!
//! ```text
//! trust/PK.crt  KEK.crt  db.crt     certificates, PEM
//! trust/db.next.crt                 the certificate that is to replace db.crt, while that key is being rotated
//! trust/db.old.crt                  those that signed before, the last one first
//! trust/epoch                       the epoch of images, a number (`epoch.rs`)
//! trust/pcr.pub                     the public key of signed PCR policies, PEM
//! secrets/trust/PK.key.age  ...     private keys, PEM, encrypted to the owner alone
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::input::read_up_to;

use crate::certificate::{Certificate, CertificateError};
use crate::firmware::Variable;
use crate::key::{KeyError, PublicKey};

/// The directory of the public halves.
pub const PUBLIC: &str = "trust";

/// The directory of the private halves.
pub const PRIVATE: &str = "secrets/trust";

/// The certificates that signed before `db.crt`, the last one first, below the system directory: machines may trust them still.
pub const RETIRED: &str = "trust/db.old.crt";

/// The longest file that is read.
const MAX_FILE: u64 = 64 << 10;

/// The file of the signed list for a variable, below the system directory.
pub fn list_file(variable: Variable) -> String {
    format!("{PUBLIC}/{}.auth", variable.name())
}

/// A key, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyName {
    /// The platform key, which says who may change the others.
    Pk,
    /// The key exchange key, which says what may be started.
    Kek,
    /// The key that signs images and boot loaders.
    Db,
    /// The key that is to replace it, while both sign.
    NextDb,
    /// The key that signs PCR policies.
    Pcr,
}

impl KeyName {
    /// Those that every system has.
    pub const ALL: [Self; 4] = [Self::Pk, Self::Kek, Self::Db, Self::Pcr];

    /// As it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
            Self::NextDb => "db.next",
            Self::Pcr => "pcr",
        }
    }

    /// The file of its public half, below the system directory.
    pub fn public_file(self) -> String {
        let ending = if self == Self::Pcr { "pub" } else { "crt" };
        format!("{PUBLIC}/{self}.{ending}")
    }

    /// The variable of the firmware in which its certificate is; PCR policies have none.
    pub const fn variable(self) -> Option<Variable> {
        match self {
            Self::Pk => Some(Variable::Pk),
            Self::Kek => Some(Variable::Kek),
            Self::Db | Self::NextDb => Some(Variable::Db),
            Self::Pcr => None,
        }
    }

    /// The file of its private half, below the system directory.
    pub fn private_file(self) -> String {
        format!("{PRIVATE}/{self}.key.age")
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The public halves that a directory has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys {
    /// The certificate of the platform key.
    pub pk: Option<Certificate>,
    /// The certificate of the key exchange key.
    pub kek: Option<Certificate>,
    /// The certificate of who signs images.
    pub db: Option<Certificate>,
    /// The certificate of who signs them, too, and alone in future, while that key is being rotated.
    pub next_db: Option<Certificate>,
    /// The certificates that do not sign any more ([`RETIRED`]), the last one first.
    pub retired_db: Vec<Certificate>,
    /// The key of PCR policies.
    pub pcr: Option<PublicKey>,
}

/// A public half that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PublicKeysError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no certificate.
    #[error("{}: {source}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
    /// It is no key.
    #[error("{}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

impl PublicKeys {
    /// Reads those of the system directory `dir`; what is not there is absent.
    ///
    /// # Errors
    /// [`PublicKeysError`].
    pub fn read(dir: &Path) -> Result<Self, PublicKeysError> {
        let certificate = |name: &str| {
            let Some((path, pem)) = read(dir, name)? else { return Ok(None) };
            let read = Certificate::from_pem(&pem);
            read.map(Some).map_err(|source| PublicKeysError::Certificate { path, source })
        };
        let retired_db = match read(dir, RETIRED)? {
            None => Vec::new(),
            Some((path, pem)) => Certificate::all_from_pem(&pem)
                .map_err(|source| PublicKeysError::Certificate { path, source })?,
        };
        let pcr = match read(dir, &KeyName::Pcr.public_file())? {
            None => None,
            Some((path, pem)) => {
                Some(PublicKey::from_pem(&pem).map_err(|source| PublicKeysError::Key { path, source })?)
            }
        };
        Ok(Self {
            pk: certificate(&KeyName::Pk.public_file())?,
            kek: certificate(&KeyName::Kek.public_file())?,
            db: certificate(&KeyName::Db.public_file())?,
            next_db: certificate(&KeyName::NextDb.public_file())?,
            retired_db,
            pcr,
        })
    }

    /// The certificate of a key; nothing where it is not there, or has none.
    pub const fn certificate(&self, name: KeyName) -> Option<&Certificate> {
        match name {
            KeyName::Pk => self.pk.as_ref(),
            KeyName::Kek => self.kek.as_ref(),
            KeyName::Db => self.db.as_ref(),
            KeyName::NextDb => self.next_db.as_ref(),
            KeyName::Pcr => None,
        }
    }

    /// The public key of a key.
    pub fn key(&self, name: KeyName) -> Option<&PublicKey> {
        match name {
            KeyName::Pcr => self.pcr.as_ref(),
            KeyName::Pk | KeyName::Kek | KeyName::Db | KeyName::NextDb => {
                self.certificate(name).map(Certificate::key)
            }
        }
    }

    /// The keys that sign programs, the one to come first: firmware that knows both takes the first signature that it trusts, and
    /// measures whose it was. So nothing changes for it when the old one goes.
    pub fn program_signers(&self) -> impl Iterator<Item = (KeyName, &Certificate)> {
        let of = |name: KeyName| self.certificate(name).map(|certificate| (name, certificate));
        [KeyName::NextDb, KeyName::Db].into_iter().filter_map(of)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The signed lists that the system directory `dir` has, in the order in which they are enrolled.
///
/// # Errors
/// [`PublicKeysError::Read`].
pub fn lists(dir: &Path) -> Result<Vec<(Variable, Vec<u8>)>, PublicKeysError> {
    let mut lists = Vec::new();
    for variable in [Variable::Db, Variable::Kek, Variable::Pk] {
        lists.extend(read(dir, &list_file(variable))?.map(|(_, bytes)| (variable, bytes)));
    }
    Ok(lists)
}

fn read(dir: &Path, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>, PublicKeysError> {
    let path = dir.join(name);
    match read_up_to(&path, MAX_FILE) {
        Ok(bytes) => Ok(Some((path, bytes))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PublicKeysError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::key::PrivateKey;

    #[test]
    fn a_directory_has_the_keys_whose_files_it_has() {
        let dir = tempfile::tempdir().unwrap();
        assert!(PublicKeys::read(dir.path()).unwrap().is_empty());
        let key = PrivateKey::generate().unwrap();
        let db = Certificate::self_signed("db", "2026-01-01T00:00:00Z".parse().unwrap(), &key).unwrap();
        std::fs::create_dir(dir.path().join(PUBLIC)).unwrap();
        std::fs::write(dir.path().join("trust/db.crt"), db.to_pem().unwrap()).unwrap();
        std::fs::write(dir.path().join("trust/pcr.pub"), key.public().to_pem().unwrap()).unwrap();
        let found = PublicKeys::read(dir.path()).unwrap();
        assert_eq!((found.pk, found.kek, found.db), (None, None, Some(db)));
        assert_eq!(found.pcr.as_ref(), Some(key.public()));
        std::fs::write(dir.path().join("trust/KEK.crt"), "hello").unwrap();
        let refusal = PublicKeys::read(dir.path()).unwrap_err().to_string();
        assert!(refusal.contains("trust/KEK.crt: not an X.509 certificate"), "{refusal}");
    }
}
