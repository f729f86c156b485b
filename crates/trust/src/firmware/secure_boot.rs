//! What firmware with these variables starts, and what it refuses.

use data_encoding::HEXLOWER;

use super::{ListError, SignatureLists, Variable};
use crate::authenticode::{Refusal, Scan, Signature, verify};
use crate::certificate::Certificate;

/// The state of Secure Boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Without a platform key: whoever is there may enrol keys, and everything is started.
    Setup,
    /// With keys, and switched off: everything is started.
    Off,
    /// Signatures are checked.
    Enforcing,
}

/// The variables of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureBoot {
    /// Whether signatures are checked.
    pub mode: Mode,
    /// The platform key.
    pub pk: SignatureLists,
    /// Who may change `db` and `dbx`.
    pub kek: SignatureLists,
    /// What may be started.
    pub db: SignatureLists,
    /// What may not.
    pub dbx: SignatureLists,
}

/// Why a program is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Signatures are not checked.
    NotChecked(Mode),
    /// By a signature, under this certificate of `db`.
    Signature {
        /// Who signed.
        signer: Box<Certificate>,
        /// Which certificate of `db` says that this counts.
        trusted: Box<Certificate>,
    },
    /// By its digest, which is in `db`.
    Digest,
}

/// Why a program is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Nobody signed it.
    #[error("it has no signature")]
    Unsigned,
    /// Its digest is in `dbx`.
    #[error("it is revoked: its digest {0} is in dbx")]
    RevokedDigest(String),
    /// The certificate is in `dbx`.
    #[error("its signature by {0} is revoked: that certificate, or the one it is under, is in dbx")]
    RevokedSigner(String),
    /// A signature that does not count.
    #[error("it has {0}")]
    Refused(Refusal),
    /// Signed by somebody else.
    #[error("it is signed by {signers}: expected a signature under one of db's certificates: {trusted}")]
    OtherSigner {
        /// Who signed.
        signers: String,
        /// Who is in `db`.
        trusted: String,
    },
}

impl SecureBoot {
    /// Reads the content of variables, as `variable` gives it (without the attributes that efivarfs puts in front).
    ///
    /// # Errors
    /// [`ListError`], with the variable.
    pub fn read(
        mode: Mode,
        mut variable: impl FnMut(Variable) -> Vec<u8>,
    ) -> Result<Self, (Variable, ListError)> {
        let mut lists = |of| SignatureLists::parse(&variable(of)).map_err(|e| (of, e));
        Ok(Self {
            mode,
            pk: lists(Variable::Pk)?,
            kek: lists(Variable::Kek)?,
            db: lists(Variable::Db)?,
            dbx: lists(Variable::Dbx)?,
        })
    }

    /// Whether the program is started.
    ///
    /// # Errors
    /// Why it is not.
    pub fn accepts(&self, program: &Scan) -> Result<Accepted, NotAccepted> {
        if self.mode != Mode::Enforcing {
            return Ok(Accepted::NotChecked(self.mode));
        }
        if self.dbx.has_digest(&program.digest) {
            return Err(NotAccepted::RevokedDigest(HEXLOWER.encode(&program.digest)));
        }
        let mut signers = Vec::new();
        let mut accepted = None;
        let mut refusal = NotAccepted::Unsigned;
        for found in verify(program) {
            match found {
                Err(refused) => refusal = NotAccepted::Refused(refused),
                // Firmware looks at all of them: a good signature does not make up for a revoked one.
                Ok(signature) if self.dbx.revoke(&signature) => {
                    return Err(NotAccepted::RevokedSigner(signature.signer().subject()));
                }
                Ok(signature) => {
                    accepted = accepted.or_else(|| self.accepts_signature(&signature));
                    signers.push(signature.signer().subject());
                }
            }
        }
        if let Some(accepted) = accepted {
            return Ok(accepted);
        }
        if self.db.has_digest(&program.digest) {
            return Ok(Accepted::Digest);
        }
        if signers.is_empty() {
            return Err(refusal);
        }
        let trusted: Vec<_> = self.db.certificates().map(Certificate::subject).collect();
        let trusted = if trusted.is_empty() { "none".to_owned() } else { trusted.join("; ") };
        Err(NotAccepted::OtherSigner { signers: signers.join("; "), trusted })
    }

    /// Nothing where no certificate of `db` has to do with it.
    fn accepts_signature(&self, signature: &Signature) -> Option<Accepted> {
        let trusted = self.db.trusted(signature)?;
        let (signer, trusted) = (Box::new(signature.signer().clone()), Box::new(trusted.clone()));
        Some(Accepted::Signature { signer, trusted })
    }
}
