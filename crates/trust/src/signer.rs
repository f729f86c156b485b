//! Who signs: a key at hand, or a command that has one (a token, a service).

mod command;

use std::io;
use std::process::ExitStatus;
use std::sync::OnceLock;

use zeroize::Zeroizing;

pub use command::CommandSigner;

use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::keys::KeyName;

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No words in the command.
    #[error("the command that signs is empty: expected a program and its arguments")]
    EmptyCommand,
    /// The program cannot be run.
    #[error("the command that signs cannot be run: {program}: {source}")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("the command that signs failed: {program}: {status}")]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It printed more than any signature has.
    #[error("the command that signs printed more than {} KiB: {program}: expected a signature, 256 to 512 bytes", command::MAX_OUTPUT >> 10)]
    TooMuch {
        /// Its name.
        program: String,
    },
    /// What came is not a signature by the key that was expected.
    #[error(
        "{who} gave {len} bytes that are not a signature by {key}: expected {expected} bytes, RSASSA-PKCS1-v1_5 with SHA-256, raw"
    )]
    NotASignature {
        /// Who gave it.
        who: String,
        /// How many bytes came.
        len: usize,
        /// Which key, and where its public half is.
        key: String,
        /// How many bytes its signatures have.
        expected: usize,
    },
    /// The private key is not at hand.
    #[error("the private key of {name} is not at hand: {reason}")]
    NotAtHand {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// A private key that is not the half of the public one.
    #[error("the private key of {name} does not belong to its public half, {public}")]
    OtherHalf {
        /// Which.
        name: String,
        /// Where the public half is.
        public: String,
    },
    /// A key and a certificate that do not belong together.
    #[error("the certificate {certificate} is for another key than the one that signs")]
    OtherKey {
        /// Whom it is for.
        certificate: String,
    },
}

impl SignerError {
    /// Whether the key could not be asked: another time, or on another computer, it can. What was signed with a wrong key is not
    /// of this kind.
    pub const fn is_not_at_hand(&self) -> bool {
        match self {
            Self::NotAtHand { .. } | Self::Run { .. } | Self::Failed { .. } => true,
            Self::Key(_)
            | Self::EmptyCommand
            | Self::TooMuch { .. }
            | Self::NotASignature { .. }
            | Self::OtherHalf { .. }
            | Self::OtherKey { .. } => false,
        }
    }
}

/// Makes signatures: RSASSA-PKCS1-v1_5 over the SHA-256 of a message.
pub trait Signer: Send + Sync {
    /// The public half of the key that signs.
    fn public(&self) -> &PublicKey;

    /// How messages call this signer.
    fn describe(&self) -> String;

    /// How messages call its key.
    fn key_name(&self) -> String {
        format!("the key {}", self.public().fingerprint())
    }

    /// Gets the key, where that can take time or fail: before something is begun that wants a signature in the end.
    ///
    /// # Errors
    /// Why the key is not at hand.
    fn ready(&self) -> Result<(), SignerError> {
        Ok(())
    }

    /// The signature of `message`, not yet verified.
    ///
    /// # Errors
    /// [`SignerError`].
    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// The signature of `message`, which verifies with the signer's public key: a command may have another key than
/// expected, and a signature that a fault made wrong gives away the key.
///
/// # Errors
/// [`SignerError`].
pub fn sign(signer: &dyn Signer, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    let signature = signer.raw_signature(message)?;
    if signer.public().verifies(message, &signature) {
        return Ok(signature);
    }
    Err(SignerError::NotASignature {
        who: signer.describe(),
        len: signature.len(),
        key: signer.key_name(),
        expected: signer.public().modulus().len(),
    })
}

impl Signer for PrivateKey {
    fn public(&self) -> &PublicKey {
        Self::public(self)
    }

    fn describe(&self) -> String {
        "the private key".to_owned()
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign(message)?)
    }
}

/// What gives the PEM of a private key: it decrypts a file.
pub type ReadPem = Box<dyn Fn() -> Result<Zeroizing<Vec<u8>>, String> + Send + Sync>;

/// A private key that is read when it is needed first: a build to which nothing is new asks for no passphrase.
pub struct PemSigner {
    name: KeyName,
    public: PublicKey,
    read: ReadPem,
    key: OnceLock<PrivateKey>,
}

impl PemSigner {
    /// The key `name`, whose public half is `public`, and whose PEM `read` gives.
    pub fn new(name: KeyName, public: PublicKey, read: ReadPem) -> Self {
        Self { name, public, read, key: OnceLock::new() }
    }

    fn key(&self) -> Result<&PrivateKey, SignerError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let name = self.name.to_string();
        let pem = (self.read)().map_err(|reason| SignerError::NotAtHand { name: name.clone(), reason })?;
        let key = PrivateKey::from_pem(&pem)?;
        if key.public() != &self.public {
            return Err(SignerError::OtherHalf { name, public: self.name.public_file() });
        }
        Ok(self.key.get_or_init(|| key))
    }
}

impl Signer for PemSigner {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn describe(&self) -> String {
        format!("the private key of {}", self.name)
    }

    fn ready(&self) -> Result<(), SignerError> {
        self.key().map(drop)
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.key()?.sign(message)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_private_key_is_read_once_and_only_when_it_signs() {
        let [key, other] = [PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap()];
        let reads = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let signer = |public: &PublicKey| {
            let (reads, pem) = (reads.clone(), key.to_pem().unwrap());
            let read = move || {
                reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Zeroizing::new(pem.as_bytes().to_vec()))
            };
            PemSigner::new(KeyName::Db, public.clone(), Box::new(read))
        };
        let own = signer(key.public());
        assert_eq!(reads.load(std::sync::atomic::Ordering::Relaxed), 0);
        own.ready().unwrap();
        assert_eq!(sign(&own, b"m").unwrap(), key.sign(b"m").unwrap());
        assert_eq!(reads.load(std::sync::atomic::Ordering::Relaxed), 1);
        let refusal = sign(&signer(other.public()), b"m").unwrap_err().to_string();
        assert_eq!(refusal, "the private key of db does not belong to its public half, trust/db.crt");
        let absent =
            PemSigner::new(KeyName::Pcr, key.public().clone(), Box::new(|| Err("no identity".to_owned())));
        let refusal = absent.ready().unwrap_err().to_string();
        assert_eq!(refusal, "the private key of pcr is not at hand: no identity");
    }
}
