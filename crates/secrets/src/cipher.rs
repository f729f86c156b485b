//! Encrypting and decrypting: the one place that age is called from.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{Read, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::plugin::ResolveError;
use age::stream::StreamReader;
use age::{Decryptor, Encryptor};
use age_core::format::{FileKey, Stanza};

use crate::{Identities, Plaintext, Prompt, Recipients};

/// The largest secret: it lies in memory whole at build and at boot. Keys and passwords are a few KB.
pub const MAX_PLAINTEXT: usize = 8 << 20;

/// The largest file of a secret: armour makes a third more of it, and the header is bounded by itself.
pub const MAX_CIPHERTEXT: u64 = 12 << 20;

/// The longest header: hundreds of recipients. Each costs every identity that is tried some work, at boot too.
pub const MAX_HEADER: usize = 64 << 10;

/// What an armoured file begins with (C2SP age.md, "ASCII armor").
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// What the last line of a header begins with.
const MAC: &[u8] = b"\n--- ";

/// A secret could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// More than [`MAX_PLAINTEXT`].
    #[error("expected at most 8 MiB, found {0} bytes")]
    TooLarge(usize),
    /// A plugin of age is not there.
    #[error("a recipient needs the program {0}, which is not installed")]
    NoPlugin(String),
    /// What age says: incompatible recipients, a plugin that failed.
    #[error("{0}")]
    Age(String),
}

/// A secret could not be decrypted. Nothing in it tells what the secret holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Not an age file, or damaged in its header.
    #[error("expected an age file, found something else or a damaged header")]
    Header,
    /// Larger than a secret can be.
    #[error("expected at most {MAX_CIPHERTEXT} bytes with a header of at most {MAX_HEADER}, found more")]
    TooLarge,
    /// None of the identities can open it.
    #[error("no identity at hand opens it")]
    NoMatch,
    /// The header was changed by someone who has no key.
    #[error("the header's checksum does not match: the file was changed or damaged")]
    Mac,
    /// The payload is damaged or cut short.
    #[error("the payload is damaged or cut short")]
    Payload,
    /// An identity could not be used: a wrong passphrase, a plugin that is not there.
    #[error("{identity}: {reason}")]
    Identity {
        /// What the identity is called.
        identity: String,
        /// Why.
        reason: String,
    },
}

/// Encrypts for `to`.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(
    plaintext: &Plaintext,
    to: &Recipients,
    prompt: &impl Prompt,
) -> Result<Vec<u8>, EncryptError> {
    let bytes = plaintext.as_bytes();
    if bytes.len() > MAX_PLAINTEXT {
        return Err(EncryptError::TooLarge(bytes.len()));
    }
    seal(bytes, &to.encryptor(prompt).map_err(encrypt_error)?)
}

/// Encrypts behind a passphrase alone.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt_with_passphrase(
    plaintext: &Plaintext,
    passphrase: age::secrecy::SecretString,
) -> Result<Vec<u8>, EncryptError> {
    seal(plaintext.as_bytes(), &age::scrypt::Recipient::new(passphrase))
}

fn seal(bytes: &[u8], to: &dyn age::Recipient) -> Result<Vec<u8>, EncryptError> {
    let io = |error: std::io::Error| EncryptError::Age(error.to_string());
    let encryptor = Encryptor::with_recipients(std::iter::once(to)).map_err(encrypt_error)?;
    let mut writer = encryptor.wrap_output(Vec::new()).map_err(io)?;
    writer.write_all(bytes).map_err(io)?;
    writer.finish().map_err(io)
}

/// Encrypts for `to`, armoured: for text that people carry from one place to another.
pub(crate) fn seal_armored(plaintext: &Plaintext, to: &dyn age::Recipient) -> Result<Vec<u8>, EncryptError> {
    let sealed = seal(plaintext.as_bytes(), to)?;
    let armored = || {
        let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        writer.write_all(&sealed)?;
        writer.finish()
    };
    armored().map_err(|error| EncryptError::Age(error.to_string()))
}

pub(crate) fn encrypt_error(error: age::EncryptError) -> EncryptError {
    match error {
        age::EncryptError::PluginResolve(ResolveError::MissingPlugin { binary_name }) => {
            EncryptError::NoPlugin(binary_name)
        }
        other => EncryptError::Age(other.to_string()),
    }
}

/// Decrypts with the first of the identities that can.
///
/// # Errors
/// [`DecryptError`]; that of an identity which could not be used counts only where no other opens the file.
pub fn decrypt(ciphertext: &[u8], with: &Identities) -> Result<Plaintext, DecryptError> {
    let binary = binary(ciphertext)?;
    let reader = opened(with, || &*binary)?;
    Plaintext::read(reader, binary.len()).map_err(|_| DecryptError::Payload)
}

/// The payload of a file, opened by the first of the identities that can. Each that is tried reads the file from its start.
pub(crate) fn opened<R: Read>(
    with: &Identities,
    file: impl Fn() -> R,
) -> Result<StreamReader<R>, DecryptError> {
    let mut unusable = None;
    for identity in with.iter() {
        identity.begin();
        let decryptor = Decryptor::new(file()).map_err(header_error)?;
        match decryptor.decrypt(std::iter::once(identity.key())) {
            Ok(payload) => return Ok(payload),
            // So does a key of ssh whose passphrase was not given.
            Err(age::DecryptError::NoMatchingKeys) => {
                let identity_of = |reason: &str| DecryptError::Identity {
                    identity: identity.name().to_owned(),
                    reason: reason.to_owned(),
                };
                unusable = unusable.or_else(|| identity.unanswered().map(identity_of));
            }
            Err(age::DecryptError::InvalidMac) => return Err(DecryptError::Mac),
            Err(age::DecryptError::InvalidHeader) => return Err(DecryptError::Header),
            Err(other) => {
                let refusal =
                    identity.refusal().filter(|_| matches!(other, age::DecryptError::KeyDecryptionFailed));
                let reason = refusal.map_or_else(|| other.to_string(), str::to_owned);
                let identity = identity.name().to_owned();
                unusable = unusable.or(Some(DecryptError::Identity { identity, reason }));
            }
        }
    }
    // An age file that nobody here can open is one still; something else is not.
    Decryptor::new(file()).map_err(header_error)?;
    Err(unusable.unwrap_or(DecryptError::NoMatch))
}

/// Decrypts as one identity alone.
pub(crate) fn decrypt_as(ciphertext: &[u8], identity: &dyn age::Identity) -> Result<Plaintext, DecryptError> {
    let binary = binary(ciphertext)?;
    let decryptor = Decryptor::new(&*binary).map_err(header_error)?;
    match decryptor.decrypt(std::iter::once(identity)) {
        Ok(reader) => Plaintext::read(reader, binary.len()).map_err(|_| DecryptError::Payload),
        Err(age::DecryptError::NoMatchingKeys) => Err(DecryptError::NoMatch),
        Err(error) => Err(header_error(error)),
    }
}

fn header_error(error: age::DecryptError) -> DecryptError {
    match error {
        age::DecryptError::InvalidMac => DecryptError::Mac,
        _ => DecryptError::Header,
    }
}

/// The file without armour, within its bounds.
fn binary(ciphertext: &[u8]) -> Result<Cow<'_, [u8]>, DecryptError> {
    if ciphertext.len() as u64 > MAX_CIPHERTEXT {
        return Err(DecryptError::TooLarge);
    }
    // Spaces before armour are allowed, and the crate age does not know.
    let text = ciphertext.trim_ascii_start();
    let binary = if text.starts_with(ARMOR) {
        let mut bytes = Vec::with_capacity(ciphertext.len());
        ArmoredReader::new(text).read_to_end(&mut bytes).map_err(|_| DecryptError::Header)?;
        Cow::Owned(bytes)
    } else {
        Cow::Borrowed(ciphertext)
    };
    let end = |bytes: &[u8]| bytes.windows(MAC.len()).take(MAX_HEADER).any(|window| window == MAC);
    match end(&binary) {
        true => Ok(binary),
        false if binary.len() > MAX_HEADER => Err(DecryptError::TooLarge),
        false => Err(DecryptError::Header),
    }
}

/// A stanza of a header: for whom a file is, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderStanza {
    /// Its kind: `X25519`, `ssh-ed25519`.
    pub tag: String,
    /// What follows the kind.
    pub args: Vec<String>,
}

/// The stanzas of a file's header, in its order. No key is needed, and nothing says that they are genuine.
///
/// # Errors
/// [`DecryptError::Header`] or [`DecryptError::TooLarge`].
pub fn stanzas(ciphertext: &[u8]) -> Result<Vec<HeaderStanza>, DecryptError> {
    let binary = binary(ciphertext)?;
    let seen = Recorder::default();
    let decryptor = Decryptor::new_buffered(&*binary).map_err(header_error)?;
    // It opens nothing; that is how age tells it.
    let _ = decryptor.decrypt(std::iter::once(&seen as &dyn age::Identity));
    Ok(seen.0.into_inner())
}

/// An identity that opens nothing, and keeps what it was asked to open.
#[derive(Default)]
struct Recorder(RefCell<Vec<HeaderStanza>>);

impl age::Identity for Recorder {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let Stanza { tag, args, .. } = stanza;
        self.0.borrow_mut().push(HeaderStanza { tag: tag.clone(), args: args.clone() });
        None
    }
}
